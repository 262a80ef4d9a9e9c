"""Scores of test windows: overall, per series and per horizon step, beside the baselines'."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spline_lstm.run.errors import InsufficientDataError
from spline_lstm.scores import metrics

POINT_METRICS = (metrics.mae, metrics.mse, metrics.rmse, metrics.mape, metrics.r2)
MORE_METRICS = (metrics.smape, metrics.wape, metrics.bias)


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
        `metrics`, `baselines`, `per_series` and `per_step`; a score that is undefined is None.

    Raises:
        InsufficientDataError: No target was observed.
    """
    observed = ~np.isnan(forecasts.y_true)
    if not observed.any():
        raise InsufficientDataError(
            "The test split must hold observed targets. Received: none. Move split.test, or give more data."
        )
    scores = _scores(forecasts, observed, mase_scales)
    tables = {
        name: _point_scores(forecasts.y_true, prediction, observed, forecasts.rows, mase_scales)
        for name, prediction in baselines.items()
    }
    best = min(tables, key=lambda name: tables[name]["rmse"])
    scores["skill"] = metrics.skill(scores["rmse"], tables[best]["rmse"])
    per_series = {
        name: _scores(forecasts, observed & (forecasts.rows == row)[:, None], mase_scales)
        for row, name in enumerate(names)
        if observed[forecasts.rows == row].any()
    }
    return _without_nan(
        {
            "metrics": scores,
            "baselines": tables,
            "best_baseline": best,
            "per_series": per_series,
            "per_step": [
                {"step": step + 1, **_step_scores(forecasts, baselines, observed, step)}
                for step in range(observed.shape[1])
                if observed[:, step].any()
            ],
        }
    )


def _scores(forecasts: Forecasts, chosen: np.ndarray, mase_scales: np.ndarray) -> dict[str, float]:
    lower, upper = forecasts.lower[chosen], forecasts.upper[chosen]
    return {
        **_point_scores(forecasts.y_true, forecasts.y_pred, chosen, forecasts.rows, mase_scales),
        "coverage": metrics.coverage(forecasts.y_true[chosen], lower, upper),
        "interval_width": float(np.mean(upper - lower)),
        "observed": int(chosen.sum()),
    }


def _point_scores(
    y_true: np.ndarray, y_pred: np.ndarray, chosen: np.ndarray, rows: np.ndarray, mase_scales: np.ndarray
) -> dict[str, float]:
    scores = {measure.__name__: measure(y_true[chosen], y_pred[chosen]) for measure in POINT_METRICS + MORE_METRICS}
    scale = mase_scales[rows][:, None]
    scores["mase"] = metrics.mae((y_true / scale)[chosen], (y_pred / scale)[chosen])
    return scores


def _step_scores(
    forecasts: Forecasts, baselines: Mapping[str, np.ndarray], observed: np.ndarray, step: int
) -> dict[str, float]:
    chosen = observed[:, step]
    truth, forecast = forecasts.y_true[chosen, step], forecasts.y_pred[chosen, step]
    half_width = forecasts.half_widths[forecasts.rows[chosen], step]
    scores = {
        "mae": metrics.mae(truth, forecast),
        "rmse": metrics.rmse(truth, forecast),
        "coverage": metrics.coverage(truth, forecast - half_width, forecast + half_width),
    }
    for name, prediction in baselines.items():
        scores[f"{name}_rmse"] = metrics.rmse(truth, prediction[chosen, step])
    return scores


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: an undefined score becomes null."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
