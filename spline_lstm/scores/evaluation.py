"""Scores of test windows: overall, per series and per horizon step, beside the baselines'.

Errors of different series are compared through numbers without a unit: each series' MASE, and its RMSE relative to
that of its own best baseline. Their means over series are the headline.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from spline_lstm.scores import metrics
from spline_lstm.scores.doubt import skill_margins
from spline_lstm.scores.forecasts import Forecasts, suffix_of

EXACT = 1e-6  # standard deviations: a smaller error is one of rounding, of which no other is a multiple


@dataclass(frozen=True)
class _Targets:
    """Targets of some windows and steps, and all that was forecast for them; the observed are picked when asked for.

    Attributes:
        forecasts: Of the model.
        baselines: `(windows, horizon)` of each baseline.
        mase_scales: `(rows,)`, what MASE divides errors by.
        spreads: `(rows,)`, standard deviations.
    """

    forecasts: Forecasts
    baselines: Mapping[str, np.ndarray]
    mase_scales: np.ndarray
    spreads: np.ndarray

    def cut(self, windows: slice, steps: slice = slice(None)) -> _Targets:
        """Fewer windows or steps, as views."""
        baselines = {name: forecast[windows, steps] for name, forecast in self.baselines.items()}
        return _Targets(self.forecasts.of(windows, steps), baselines, self.mase_scales, self.spreads)

    @cached_property
    def observed(self) -> np.ndarray:
        """`(windows, horizon)`."""
        return ~np.isnan(self.forecasts.y_true)

    @cached_property
    def y_true(self) -> np.ndarray:
        """`(targets,)`, observed ones."""
        return self.forecasts.y_true[self.observed]

    @cached_property
    def rows(self) -> np.ndarray:
        """`(targets,)`, which row each observed one is of."""
        return np.repeat(self.forecasts.rows, self.observed.sum(axis=1))


def evaluate_forecasts(
    forecasts: Forecasts,
    baselines: Mapping[str, np.ndarray],
    names: tuple[str, ...],
    mase_scales: np.ndarray,
    spreads: np.ndarray,
) -> dict[str, Any]:
    """Tables of scores over observed targets.

    Args:
        forecasts: Of the model.
        baselines: `(windows, horizon)` each, in the same units.
        names: One per row.
        mase_scales: `(rows,)`, in the same units.
        spreads: `(rows,)`, standard deviations over train rows, in the same units.

    Returns:
        `metrics`, `baselines`, `best_baseline`, `per_series` and `per_step`; a score that is undefined is None.
    """
    targets = _Targets(*_in_order(forecasts, baselines), mase_scales, spreads)
    by_row = {row: _series_scores(part) for row, part in _by_row(targets)}
    per_series = {names[row]: scores for row, scores in by_row.items()}
    overall = {"model": _model_scores(targets), **{name: _point_scores(targets, name) for name in baselines}}
    for name, table in overall.items():
        table |= _means_over_series(list(per_series.values()), name)
    scores = overall.pop("model")
    compared = {row for row, table in by_row.items() if not math.isnan(table["relative_rmse"])}
    best_of_rows = [by_row[row]["best_baseline"] if row in compared else "" for row in range(len(names))]
    margins, margins_of_rows = skill_margins(forecasts, baselines, best_of_rows)
    for row in compared:
        by_row[row]["skill_margin"] = float(margins_of_rows[row])
    missed = any(table["skill_margin"] == 0 for row, table in by_row.items() if row not in compared)
    for name, table in overall.items():
        exact = all(series["baselines"][name]["rmse"] <= EXACT * spreads[row] for row, series in by_row.items())
        table["skill"] = metrics.skill(scores["relative_rmse"], table["relative_rmse"])
        table["skill_margin"] = 0.0 if exact and missed else margins[name]
    best = min(overall, key=lambda name: (overall[name]["relative_rmse"], overall[name]["rmse"]))
    scores |= {key: overall[best][key] for key in ("skill", "skill_margin")}
    return _without_nan(
        {
            "metrics": scores,
            "baselines": overall,
            "best_baseline": best,
            "per_series": per_series,
            "per_step": [{"step": step, **_step_scores(part)} for step, part in _by_step(targets)],
        }
    )


def errors(y_true: np.ndarray, y_pred: np.ndarray) -> dict[str, float]:
    """MAE, MSE and RMSE of the observed among paired targets, NaN where nothing was observed."""
    observed = ~np.isnan(y_true)
    return {
        measure.__name__: measure(y_true[observed], y_pred[observed])
        for measure in (metrics.mae, metrics.mse, metrics.rmse)
    }


def _in_order(forecasts: Forecasts, baselines: Mapping[str, np.ndarray]) -> tuple[Forecasts, Mapping[str, np.ndarray]]:
    """The same in order of rows."""
    if (np.diff(forecasts.rows) >= 0).all():
        return forecasts, baselines
    order = np.argsort(forecasts.rows, kind="stable")
    return forecasts.of(order), {name: table[order] for name, table in baselines.items()}


def _by_row(targets: _Targets) -> Iterator[tuple[int, _Targets]]:
    """Each row that has observed targets, and them."""
    rows, starts = np.unique(targets.forecasts.rows, return_index=True)
    for row, start, end in zip(rows, starts, np.append(starts[1:], len(targets.forecasts.rows)), strict=True):
        part = targets.cut(slice(start, end))
        if part.observed.any():
            yield int(row), part


def _by_step(targets: _Targets) -> Iterator[tuple[int, _Targets]]:
    """Each step, from 1, that has observed targets, and them."""
    for step in range(targets.forecasts.y_true.shape[1]):
        part = targets.cut(slice(None), slice(step, step + 1))
        if part.observed.any():
            yield step + 1, part


def _series_scores(targets: _Targets) -> dict[str, Any]:
    tables = {name: _point_scores(targets, name) for name in targets.baselines}
    best = min(tables, key=lambda name: tables[name]["rmse"])
    scores, least = _model_scores(targets), tables[best]["rmse"]
    rounding = EXACT * targets.spreads[targets.rows[0]]
    for table in (scores, *tables.values()):
        table["relative_rmse"] = math.nan if least <= rounding else table["rmse"] / least
    margin = 0.0 if least <= rounding < scores["rmse"] else math.nan  # of no share, yet surely worse
    skill = {"skill": 1 - scores["relative_rmse"], "skill_margin": margin}
    return {**scores, **skill, "best_baseline": best, "baselines": tables}


def _means_over_series(per_series: list[dict[str, Any]], name: str) -> dict[str, float]:
    """Of the model or a baseline: what can be averaged over series of different units."""
    tables = [series if name == "model" else series["baselines"][name] for series in per_series]
    return {key: _mean([table[key] for table in tables]) for key in ("mase", "relative_rmse")}


def _mean(values: list[float]) -> float:
    """Of the values that are defined."""
    defined = [value for value in values if math.isfinite(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _model_scores(targets: _Targets) -> dict[str, Any]:
    intervals = {name: value for table in _interval_scores(targets) for name, value in table.items()}
    return {
        **_point_scores(targets, None),
        **intervals,
        "wql": metrics.weighted_quantile_loss(targets.y_true, _quantiles(targets)),
        "observed": len(targets.y_true),
    }


def _bounds(targets: _Targets) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Each level, and the borders of its intervals of observed targets."""
    forecasts = targets.forecasts
    for level, lower, upper in zip(forecasts.levels, forecasts.lower, forecasts.upper, strict=True):
        yield level, lower[targets.observed], upper[targets.observed]


def _interval_scores(targets: _Targets) -> Iterator[dict[str, float]]:
    """Of each level; the names of those after the first end in it, in percent."""
    for number, (level, lower, upper) in enumerate(_bounds(targets)):
        suffix = suffix_of(number, level)
        yield {
            f"coverage{suffix}": metrics.coverage(targets.y_true, lower, upper),
            f"interval_width{suffix}": float(np.mean(upper - lower)),
            f"winkler{suffix}": metrics.winkler(targets.y_true, lower, upper, level),
        }


def _quantiles(targets: _Targets) -> dict[float, np.ndarray]:
    """Forecasts of the quantiles that intervals are bordered by; the point forecast stands for the median."""
    result = {0.5: targets.forecasts.y_pred[targets.observed]}
    for level, lower, upper in _bounds(targets):
        result |= {(1 - level) / 2: lower, (1 + level) / 2: upper}
    return result


def _point_scores(targets: _Targets, baseline: str | None) -> dict[str, Any]:
    table = targets.forecasts.y_pred if baseline is None else targets.baselines[baseline]
    forecast, scales = table[targets.observed], targets.mase_scales[targets.rows]
    scores = {measure.__name__: measure(targets.y_true, forecast) for measure in metrics.POINT_METRICS}
    scores["r2"] = metrics.r2(targets.y_true, forecast, targets.rows)
    scores["mase"] = metrics.mae(targets.y_true / scales, forecast / scales)
    return scores


def _step_scores(targets: _Targets) -> dict[str, float]:
    observed = targets.observed
    y_pred = targets.forecasts.y_pred[observed]
    scores = {
        "mae": metrics.mae(targets.y_true, y_pred),
        "rmse": metrics.rmse(targets.y_true, y_pred),
    }
    for table in _interval_scores(targets):
        scores |= {name: value for name, value in table.items() if name.startswith("coverage")}
    return scores | {
        f"{name}_rmse": metrics.rmse(targets.y_true, forecast[observed]) for name, forecast in targets.baselines.items()
    }


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: an undefined score becomes null."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
