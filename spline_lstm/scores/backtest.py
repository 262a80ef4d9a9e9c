"""What folds come to: mean and spread of each score, and how sure it is that the model is better than baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.scores.doubt import verdict
from spline_lstm.scores.evaluation import evaluate_forecasts
from spline_lstm.scores.folds import Fold
from spline_lstm.scores.forecasts import Forecasts
from spline_lstm.scores.predictions import WINDOW_COLUMNS, predictions_table, target_span

MODEL = "model"
LABELS = ("fold", "cutoff", "first", "last", "fitted")  # of a row of the table
TIME = "datetime64[ns]"
TYPES = {"fold": np.int32, "series_id": "string", "origin": TIME, "timestamp": TIME, "step": np.int32}  # others: float
KEPT = ("metrics", "baselines", "best_baseline", "per_step")


@dataclass(frozen=True)
class FoldScores:
    """What a fold leaves.

    Attributes:
        fold: Its borders.
        fitted: Number of the fold whose model forecasts it.
        facts: Plain builtins for reports: what was learned from.
        names: Of the rows.
        timestamps: `(time,)`, the calendar of the fold.
        forecasts: Of its test windows, in original units.
        baselines: `(windows, horizon)` each, in original units.
        units: `(rows,)`, what errors are divided by.
        mase_scales: `(rows,)`, in original units.
        spreads: `(rows,)`, standard deviations over train rows, in original units.
        scored: As of `evaluate_forecasts`.
    """

    fold: Fold
    fitted: int
    facts: Mapping[str, Any]
    names: tuple[str, ...]
    timestamps: pd.DatetimeIndex
    forecasts: Forecasts
    baselines: Mapping[str, np.ndarray]
    units: np.ndarray
    mase_scales: np.ndarray
    spreads: np.ndarray
    scored: Mapping[str, Any]


def backtest_content(folds: Sequence[FoldScores], scale: str, left_out: Sequence[Fold] = ()) -> dict[str, Any]:
    """Scores of folds as plain builtins.

    Args:
        folds: One after the other.
        scale: Of their scores.
        left_out: Those with nothing to score or to learn from.

    Returns:
        The `scale` of scores; `folds`; those `left_out`; of the model and each baseline in `summary` the mean and
        the standard deviation of each score over folds; in `better`, in how many folds the model has the lower error;
        and `pooled`, scores of the targets of all folds together, with the `verdict` on them. Without folds, `folds`
        alone.
    """
    if not folds:
        return {"folds": []}
    tables = [_fold_content(each) for each in folds]
    pooled = {key: value for key, value in _pooled(folds).items() if key in KEPT}
    return {
        "scale": scale,
        "folds": tables,
        "left_out": [{"fold": each.number, "cutoff": str(each.cutoff)} for each in left_out],
        "summary": {
            MODEL: _summary([each["metrics"] for each in tables]),
            **{name: _summary([each["baselines"][name] for each in tables]) for name in tables[0]["baselines"]},
        },
        "better": {name: sum(_errs_less(each, name) for each in tables) for name in tables[0]["baselines"]},
        "pooled": {**pooled, "verdict": verdict(pooled["metrics"])},
    }


def scores_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """One row for each fold and method."""
    rows = [
        {**{key: fold[key] for key in LABELS}, "method": name, **scores}
        for fold in content["folds"]
        for name, scores in {MODEL: fold["metrics"], **fold["baselines"]}.items()
    ]
    if not rows:
        return pd.DataFrame(columns=[*LABELS, "method"])
    return pd.DataFrame(rows).astype({"observed": "Int64"})  # baselines have none


def fold_predictions(folds: Sequence[FoldScores]) -> pd.DataFrame:
    """All windows in original units: `fold`, the columns of a run's predictions, and what each baseline forecast."""
    if not folds:
        return pd.DataFrame({name: pd.Series(dtype=TYPES.get(name, float)) for name in ("fold", *WINDOW_COLUMNS)})
    parts = []
    for each in folds:
        table = predictions_table(each.forecasts, each.names, each.timestamps, each.names)
        table.insert(0, "fold", np.int32(each.fold.number))
        baselines = {name: forecast.ravel() for name, forecast in each.baselines.items()}
        parts.append(table.astype({"series_id": str}).assign(**baselines))
    return pd.concat(parts, ignore_index=True)


def _fold_content(each: FoldScores) -> dict[str, Any]:
    return {
        "fold": each.fold.number,
        "cutoff": str(each.fold.cutoff),
        "fitted": each.fitted,
        **each.facts,
        **target_span(each.forecasts, each.timestamps),
        **{key: each.scored[key] for key in ("metrics", "baselines", "best_baseline")},
    }


def _errs_less(fold: Mapping[str, Any], name: str) -> bool:
    """Whether the model errs less than a baseline: by skill, or by errors themselves where no skill is defined."""
    skill = fold["baselines"][name]["skill"]
    return bool(fold["metrics"]["rmse"] < fold["baselines"][name]["rmse"] if skill is None else skill > 0)


def _summary(tables: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    return {name: _spread([table[name] for table in tables]) for name in tables[0]}


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean and standard deviation of folds, of those in which the score is defined."""
    defined = [value for value in values if value is not None]
    if not defined:
        return {"mean": None, "std": None}
    mean = math.fsum(defined) / len(defined)
    if len(defined) == 1:
        return {"mean": mean, "std": None}
    squares = math.fsum((value - mean) ** 2 for value in defined)
    return {"mean": mean, "std": math.sqrt(squares / (len(defined) - 1))}


def _pooled(folds: Sequence[FoldScores]) -> dict[str, Any]:
    """Scores of all folds' targets together; scales are of train rows of the first fold that has the series."""
    names = tuple(dict.fromkeys(name for each in folds for name in each.names))
    place = {name: row for row, name in enumerate(names)}
    calendar = folds[-1].timestamps
    for each in reversed(folds[:-1]):  # no union of them: where clocks jitter, each fold has labels of its own
        calendar = each.timestamps[each.timestamps < calendar[0]].append(calendar)
    scales, parts = np.full((2, len(names)), np.nan), []
    for each in folds:
        rows = np.array([place[name] for name in each.names])
        own = np.array([each.mase_scales, each.spreads]) / each.units
        scales[:, rows] = np.where(np.isnan(scales[:, rows]), own, scales[:, rows])
        scored = each.forecasts.in_units(each.units)
        origins = calendar.get_indexer(each.timestamps[scored.origins], method="nearest")
        parts.append(Forecasts(**{**vars(scored), "rows": rows[scored.rows], "origins": origins}))
    baselines = {
        name: np.concatenate([each.baselines[name] / each.units[each.forecasts.rows, None] for each in folds])
        for name in folds[0].baselines
    }
    return evaluate_forecasts(Forecasts.joined(parts), baselines, names, *scales)
