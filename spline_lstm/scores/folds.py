"""Folds that walk forward in time: what each may know, and what it is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from spline_lstm.data.windows import split_series
from spline_lstm.run.errors import InsufficientDataError
from spline_lstm.run.params import Params, SplitParams

LEAST_LOOKBACK = 2  # where it is derived


@dataclass(frozen=True)
class Fold:
    """A moment that someone looks back at: rows up to it are known, those after it are forecast.

    Attributes:
        number: From 1, oldest first.
        since: Rows up to this label are not learned from; None: all are.
        cutoff: The last label that is known, and the first origin.
        until: The last label of the test part.
        span: Steps of the test part; its origins are those whose targets all lie in it.
        share: Of the known steps, how many are train rows; the others are validation rows.
    """

    number: int
    since: pd.Timestamp | None
    cutoff: pd.Timestamp
    until: pd.Timestamp
    span: int
    share: float


def walk_forward(timestamps: pd.DatetimeIndex, params: Params, timezone: str) -> tuple[Fold, ...]:
    """The folds of a series, oldest first; the newest one ends where the data do. None, where none are asked for.

    Args:
        timestamps: `(time,)`, the calendar.
        params: Of the run.
        timezone: In which dates of the splits are told.

    Raises:
        ParamsError: The splits are not in order.
        InsufficientDataError: The oldest folds have too little to learn from.
    """
    asked, horizon = params.backtest, params.windows.horizon
    step, time = asked.step or horizon, len(timestamps)
    span, share = max(step, horizon), train_share(timestamps, params.split, timezone, horizon)
    known = [time - span - step * back for back in reversed(range(min(asked.windows or 0, time // step + 1)))]
    enough = [_can_learn(min(steps, asked.input or steps), share, params, span) for steps in known]
    if not all(enough):
        raise InsufficientDataError(
            f"`backtest` must leave each fold enough rows before it for train and validation. Received: "
            f"{asked.windows} folds of {step} steps in {time} steps, of which {sum(enough)} fit. "
            "Lower backtest.windows or backtest.step, raise backtest.input, shorten windows.horizon, or give more data."
        )
    return tuple(
        Fold(
            number,
            timestamps[steps - asked.input - 1] if asked.input and asked.input < steps else None,
            timestamps[steps - 1],
            timestamps[steps + span - 1],
            span,
            share,
        )
        for number, steps in enumerate(known, 1)
    )


def fitted_together(folds: Sequence[Fold], refit: bool | int) -> list[tuple[Fold, ...]]:
    """Folds by the fit that forecasts them: of each group the first one is fitted."""
    size = len(folds) if refit is False else int(refit)
    return [tuple(folds[start : start + size]) for start in range(0, len(folds), size)]


def train_share(timestamps: pd.DatetimeIndex, split: SplitParams, timezone: str, horizon: int) -> float:
    """The share of train rows among those of train and validation.

    Where both are shares, it is theirs; else it is that of the whole series. The run's own splits must be in order.

    Raises:
        ParamsError: The splits are not in order.
    """
    splits = split_series(timestamps, split, timezone, horizon)
    given = split.train, split.validation
    if all(isinstance(border, float) and border < 1 for border in given):
        return float(given[0]) / sum(map(float, given))
    return splits.train / splits.validation


def train_part(known: int, share: float, horizon: int) -> int:
    """How many of the known steps are train rows; a horizon at least is left for validation."""
    return max(1, min(round(known * share), known - horizon))


def _can_learn(known: int, share: float, params: Params, span: int) -> bool:
    """Whether a window and its targets fit into either split."""
    horizon = params.windows.horizon
    if known + span < 3 * (horizon + 1):
        return False
    train = train_part(known, share, horizon)
    lookback = params.windows.lookback or LEAST_LOOKBACK
    return train >= lookback + horizon and known - train >= horizon
