"""From a panel to a prepared run: settings resolved on train rows, gaps filled, scaled and split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spline_lstm.data.faults import usable_rows
from spline_lstm.data.gaps import fill_gaps, fit_decay
from spline_lstm.data.layout import Layout
from spline_lstm.data.phases import ROUNDING
from spline_lstm.data.prepared import Fitted, Prepared, Series, Settings, held_once
from spline_lstm.data.repetition import best_repeated
from spline_lstm.data.scaling import StandardScaler
from spline_lstm.data.seasonality import infer_seasons, longest_rows
from spline_lstm.data.series import Panel
from spline_lstm.data.windows import SPLITS, UNKNOWN, WindowSource, split_series
from spline_lstm.run.errors import InsufficientDataError
from spline_lstm.run.params import Params

LONGEST_LOOKBACK = 480
TRAIN_SHARE_OF_LOOKBACK = 10  # a derived lookback spans at most a tenth of the train rows


def prepare(panel: Panel, params: Params) -> Prepared:
    """Resolve settings on train rows, then leave out what cannot be used, fill, scale and split.

    Raises:
        ParamsError: The splits are not in order.
        DataError: A series is unusable.
        InsufficientDataError: A split has no window.
    """
    layout, horizon = panel.layout, params.windows.horizon
    if len(panel.timestamps) < 3 * (horizon + 1):
        raise InsufficientDataError(
            f"The series must have at least {3 * (horizon + 1)} steps for a horizon of {horizon} in three splits. "
            f"Received: {len(panel.timestamps)}. Give more data, or shorten windows.horizon."
        )
    splits = split_series(panel.timestamps, params.split)
    settings = _resolve(params, panel, splits.train)
    known_until = _known_until(layout, splits.train, settings.lookback)
    drop = params.data.on_bad_series == "drop"
    kept, dropped = usable_rows(panel, known_until, settings.lookback + horizon, drop)
    values, layout = layout.keep(panel.values, kept)
    heads = (row[:known] for row, known in zip(layout.split(values), known_until[kept], strict=True))
    scaler = StandardScaler.fit(heads)
    names = tuple(name for name, keep in zip(panel.names, kept, strict=True) if keep)
    source = _source(values, layout, scaler, settings, np.arange(1, len(names) + 1, dtype=np.int32))
    prepared = Prepared(values, panel.timestamps, names, settings, scaler, source, dropped, splits)
    for split in SPLITS:
        prepared.windows(split)
    # A row is known by its number from 1, if training sees a window of it.
    seen = np.isin(source.identities - 1, prepared.windows("train").rows)
    return replace(prepared, source=replace(source, identities=np.where(seen, source.identities, UNKNOWN)))


def prepare_for_forecast(panel: Panel, fit: Fitted, drop: bool) -> Series:
    """New data, prepared as a finished run was. A series that the run does not know has a scale of its own.

    Args:
        panel: New data.
        fit: Of the run.
        drop: Whether series may be left out.

    Raises:
        DataError: A series is unusable, or has fewer steps than one lookback.
    """
    layout, lookback = panel.layout, fit.settings.lookback
    kept, dropped = usable_rows(panel, layout.lengths, lookback, drop)
    values, layout = layout.keep(panel.values, kept)
    names = tuple(name for name, keep in zip(panel.names, kept, strict=True) if keep)
    number = {name: row for row, name in enumerate(fit.names)}
    rows = np.array([number.get(name, -1) for name in names])
    known = rows >= 0
    own = StandardScaler.fit(layout.split(values))
    scaler = StandardScaler(
        np.where(known, fit.scaler.mean[rows], own.mean), np.where(known, fit.scaler.std[rows], own.std)
    )
    identities = np.where(known, fit.identities[rows], UNKNOWN).astype(np.int32)
    source = _source(values, layout, scaler, fit.settings, identities)
    return Series(values, panel.timestamps, names, fit.settings, scaler, source, dropped)


def _known_until(layout: Layout, train: int, lookback: int) -> np.ndarray:
    """Steps of each row from which its scale comes: those of the train split, one lookback at least.

    A series that begins late has few train steps or none. Its scale may come from its first lookback, which
    every window of it follows or holds.
    """
    return np.clip(train - layout.starts, lookback, layout.lengths)


def _resolve(params: Params, panel: Panel, train: int) -> Settings:
    rows = [row for row in panel.layout.before(panel.values, train) if len(row)]
    typical = int(np.median([len(row) for row in rows])) if rows else train
    given, horizon = params.gaps.seasons, params.windows.horizon
    seasons = infer_seasons(rows, panel.timestamps[:train]) if given is None else given
    lookback = params.windows.lookback or _derived_lookback(typical, horizon, seasons)
    used, voters = held_once(seasons, lookback), longest_rows(rows)
    longest_gap = params.gaps.longest or max(1, lookback // 4)
    return Settings(
        frequency=panel.frequency,
        anchor=str(panel.timestamps[0]),
        seasons=seasons,
        season=best_repeated(voters, used),
        decay=fit_decay(voters, used, longest_gap) if used else None,
        lookback=lookback,
        horizon=horizon,
        longest_gap=longest_gap,
        max_missing=params.gaps.max_missing,
        closed=panel.closed,
        timezone=params.data.timezone,
    )


def _derived_lookback(train: int, horizon: int, seasons: Sequence[float]) -> int:
    """A tenth of the train rows in whole seasons of the shortest kind, or more to hold longer ones twice, or once."""
    most = max(1, min(LONGEST_LOOKBACK, (train - horizon) // 2))
    wanted = min(most, max(train // TRAIN_SHARE_OF_LOOKBACK, 2))
    fitting = [season for season in seasons if round(season) <= most]
    if not fitting:
        return most if seasons else wanted
    shortest = fitting[0]
    needed = max(2 * season if 2 * season <= most else season for season in fitting)
    whole = max((wanted + 0.5) // shortest, math.ceil(needed / shortest - ROUNDING))
    return min(round(whole * shortest), most)


def _source(
    values: np.ndarray, layout: Layout, scaler: StandardScaler, settings: Settings, identities: np.ndarray
) -> WindowSource:
    filled = fill_gaps(scaler.transform(values, layout), layout, settings.used_seasons, settings.decay)
    return WindowSource(filled, settings.lookback, settings.horizon, identities)
