"""Scores of test windows: overall, per series and per horizon step, beside the baselines'.

Errors of different series are compared through numbers without a unit: each series' MASE, and its RMSE relative to
that of its own best baseline. Their means over series are the headline.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spline_lstm.run.errors import InsufficientDataError
from spline_lstm.scores import metrics


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of windows, in the units that are scored.

    Attributes:
        rows: `(windows,)`.
        origins: `(windows,)`.
        y_true: `(windows, horizon)`, NaN where nothing was observed.
        y_pred: `(windows, horizon)`.
        half_widths: `(rows, horizon)` of the prediction intervals.
    """

    rows: np.ndarray
    origins: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    half_widths: np.ndarray

    @property
    def lower(self) -> np.ndarray:
        return self.y_pred - self.half_widths[self.rows]

    @property
    def upper(self) -> np.ndarray:
        return self.y_pred + self.half_widths[self.rows]

    def in_units(self, units: np.ndarray) -> Forecasts:
        """The same with each row divided by its unit, `(rows,)`."""
        unit = units[self.rows, None]
        return Forecasts(
            self.rows, self.origins, self.y_true / unit, self.y_pred / unit, self.half_widths / units[:, None]
        )


@dataclass(frozen=True)
class _Targets:
    """Observed targets and what was forecast for them, `(targets,)` each.

    Attributes:
        groups: What scores are grouped by: rows or steps, in ascending order.
        scales: What MASE divides errors by.
        y_true: Observations.
        y_pred: Of the model.
        lower, upper: Of its interval.
        baselines: Of each baseline.
    """

    groups: np.ndarray
    scales: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    baselines: Mapping[str, np.ndarray]

    def parts(self) -> Iterator[tuple[int, _Targets]]:
        """The targets of each group."""
        groups, starts = np.unique(self.groups, return_index=True)
        for group, start, end in zip(groups, starts, np.append(starts[1:], len(self.groups)), strict=True):
            part = slice(start, end)
            yield (
                int(group),
                _Targets(
                    self.groups[part],
                    self.scales[part],
                    self.y_true[part],
                    self.y_pred[part],
                    self.lower[part],
                    self.upper[part],
                    {name: forecast[part] for name, forecast in self.baselines.items()},
                ),
            )


def evaluate_forecasts(
    forecasts: Forecasts, baselines: Mapping[str, np.ndarray], names: tuple[str, ...], mase_scales: np.ndarray
) -> dict[str, Any]:
    """Tables of scores over observed targets.

    Args:
        forecasts: Of the model.
        baselines: `(windows, horizon)` each, in the same units.
        names: One per row.
        mase_scales: `(rows,)`, in the same units.

    Returns:
        `metrics`, `baselines`, `best_baseline`, `per_series` and `per_step`; a score that is undefined is None.

    Raises:
        InsufficientDataError: No target was observed.
    """
    if np.isnan(forecasts.y_true).all():
        raise InsufficientDataError(
            "The test split must hold observed targets. Received: none. Move split.test, or give more data."
        )
    steps = np.broadcast_to(np.arange(1, forecasts.y_true.shape[1] + 1), forecasts.y_true.shape)
    rows = np.broadcast_to(forecasts.rows[:, None], forecasts.y_true.shape)
    by_row = _targets(forecasts, baselines, rows, mase_scales)
    per_series = {names[row]: _series_scores(part) for row, part in by_row.parts()}
    overall = {"model": _model_scores(by_row), **{name: _point_scores(by_row, name) for name in baselines}}
    for name, table in overall.items():
        table |= _means_over_series(list(per_series.values()), name)
    scores = overall.pop("model")
    best = min(overall, key=lambda name: (overall[name]["relative_rmse"], overall[name]["rmse"]))
    scores["skill"] = metrics.skill(scores["relative_rmse"], overall[best]["relative_rmse"])
    by_step = _targets(forecasts, baselines, steps, mase_scales)
    return _without_nan(
        {
            "metrics": scores,
            "baselines": overall,
            "best_baseline": best,
            "per_series": per_series,
            "per_step": [{"step": step, **_step_scores(part)} for step, part in by_step.parts()],
        }
    )


def errors(y_true: np.ndarray, y_pred: np.ndarray) -> dict[str, float]:
    """MAE, MSE and RMSE of the observed among paired targets, NaN where nothing was observed."""
    observed = ~np.isnan(y_true)
    return {
        measure.__name__: measure(y_true[observed], y_pred[observed])
        for measure in (metrics.mae, metrics.mse, metrics.rmse)
    }


def _targets(
    forecasts: Forecasts, baselines: Mapping[str, np.ndarray], groups: np.ndarray, mase_scales: np.ndarray
) -> _Targets:
    """The observed targets in order of their groups, `(windows, horizon)`."""
    observed = ~np.isnan(forecasts.y_true)
    order = np.argsort(groups[observed], kind="stable")
    scales = np.broadcast_to(mase_scales[forecasts.rows][:, None], observed.shape)

    def flat(array: np.ndarray) -> np.ndarray:
        return array[observed][order]

    return _Targets(
        flat(groups),
        flat(scales),
        flat(forecasts.y_true),
        flat(forecasts.y_pred),
        flat(forecasts.lower),
        flat(forecasts.upper),
        {name: flat(forecast) for name, forecast in baselines.items()},
    )


def _series_scores(targets: _Targets) -> dict[str, Any]:
    tables = {name: _point_scores(targets, name) for name in targets.baselines}
    best = min(tables, key=lambda name: tables[name]["rmse"])
    scores = _model_scores(targets)
    for table in (scores, *tables.values()):
        table["relative_rmse"] = table["rmse"] / tables[best]["rmse"] if tables[best]["rmse"] > 0 else math.nan
    return {**scores, "skill": 1 - scores["relative_rmse"], "best_baseline": best, "baselines": tables}


def _means_over_series(per_series: list[dict[str, Any]], name: str) -> dict[str, float]:
    """Of the model or a baseline: what can be averaged over series of different units."""
    tables = [series if name == "model" else series["baselines"][name] for series in per_series]
    return {key: _mean([table[key] for table in tables]) for key in ("mase", "relative_rmse")}


def _mean(values: list[float]) -> float:
    """Of the values that are defined."""
    defined = [value for value in values if math.isfinite(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _model_scores(targets: _Targets) -> dict[str, Any]:
    return {
        **_point_scores(targets, None),
        "coverage": metrics.coverage(targets.y_true, targets.lower, targets.upper),
        "interval_width": float(np.mean(targets.upper - targets.lower)),
        "observed": len(targets.y_true),
    }


def _point_scores(targets: _Targets, baseline: str | None) -> dict[str, Any]:
    forecast = targets.y_pred if baseline is None else targets.baselines[baseline]
    scores = {measure.__name__: measure(targets.y_true, forecast) for measure in metrics.POINT_METRICS}
    scores["r2"] = metrics.r2(targets.y_true, forecast, targets.groups)
    scores["mase"] = metrics.mae(targets.y_true / targets.scales, forecast / targets.scales)
    return scores


def _step_scores(targets: _Targets) -> dict[str, float]:
    scores = {
        "mae": metrics.mae(targets.y_true, targets.y_pred),
        "rmse": metrics.rmse(targets.y_true, targets.y_pred),
        "coverage": metrics.coverage(targets.y_true, targets.lower, targets.upper),
    }
    return scores | {
        f"{name}_rmse": metrics.rmse(targets.y_true, forecast) for name, forecast in targets.baselines.items()
    }


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: an undefined score becomes null."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
