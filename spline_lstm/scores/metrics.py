"""Error measures of arrays without missing values.

Point measures take `y_true` and `y_pred` of one shape; each function returns a float.
Names and formulas follow Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 5.8.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spline_lstm.data.repetition import seasonal_difference
from spline_lstm.data.scaling import constant


def mae(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Mean absolute error, in units of the target."""
    return float(np.mean(np.abs(y_true - y_pred)))


def mse(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Mean squared error, in squared units of the target."""
    return float(np.mean((y_true - y_pred) ** 2))


def rmse(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Root mean squared error, in units of the target."""
    return float(np.sqrt(mse(y_true, y_pred)))


def mape(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Robust MAPE, in percent: over non-zero targets. NaN where all are zero."""
    nonzero = y_true != 0
    if not nonzero.any():
        return float("nan")
    return float(100 * np.mean(np.abs((y_true[nonzero] - y_pred[nonzero]) / y_true[nonzero])))


def smape(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Symmetric MAPE, in percent, 0 to 200; a pair of zeros counts as no error."""
    size = np.abs(y_true) + np.abs(y_pred)
    return float(200 * np.mean(np.abs(y_true - y_pred) / np.where(size > 0, size, 1)))


def wape(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Weighted absolute percentage error, in percent. NaN where all targets are zero."""
    total = np.sum(np.abs(y_true))
    return float(100 * np.sum(np.abs(y_true - y_pred)) / total) if total > 0 else float("nan")


def bias(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Mean of forecast less target: positive where forecasts are too high."""
    return float(np.mean(y_pred - y_true))


# What the model and every baseline are scored by, under the names of the functions.
POINT_METRICS = (mae, mse, rmse, mape, smape, wape, bias)


def r2(y_true: np.ndarray, y_pred: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Coefficient of determination. NaN where the targets do not vary.

    Args:
        y_true: Targets.
        y_pred: Forecasts.
        groups: Which series each target is of, in ascending order: what its series' own mean explains is no merit.
    """
    starts = [0] if groups is None else np.unique(groups, return_index=True)[1]
    parts = np.split(np.ravel(y_true), starts[1:])
    spread = sum(float(np.sum((part - np.mean(part)) ** 2)) for part in parts if not constant(part))
    return float(1 - np.sum((y_true - y_pred) ** 2) / spread) if spread > 0 else float("nan")


def mase_scale(train: np.ndarray, season: int) -> float:
    """Mean absolute difference of observations one season apart: what MASE divides the MAE by.

    Args:
        train: `(time,)`, NaN where nothing was observed.
        season: Steps; one step where the row holds no pair a season apart.

    Returns:
        The scale in units of the target; NaN where there is no pair or no difference.
    """
    scale = seasonal_difference(train, season)
    if np.isnan(scale) and season > 1:
        return mase_scale(train, 1)
    return scale if scale > 0 else float("nan")


def coverage(y_true: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """Share of targets within their interval, ends included."""
    return float(np.mean((lower <= y_true) & (y_true <= upper)))


def winkler(y_true: np.ndarray, lower: np.ndarray, upper: np.ndarray, level: float) -> float:
    """Mean interval score, in units of the target: the width, and 2 / (1 - level) times what a target lies outside.

    Winkler 1972, A Decision-Theoretic Approach to Interval Estimation.
    """
    outside = np.maximum(lower - y_true, 0) + np.maximum(y_true - upper, 0)
    return float(np.mean(upper - lower + 2 / (1 - level) * outside))


def weighted_quantile_loss(y_true: np.ndarray, quantiles: Mapping[float, np.ndarray]) -> float:
    """Twice the pinball loss of each quantile relative to the sum of absolute targets, on average over quantiles.

    NaN where all targets are zero.
    """
    total = np.sum(np.abs(y_true))
    if not total > 0:
        return float("nan")
    losses = [
        np.sum(np.maximum(share * (y_true - forecast), (share - 1) * (y_true - forecast)))
        for share, forecast in quantiles.items()
    ]
    return float(2 * np.mean(losses) / total)


def skill(error: float, reference: float) -> float:
    """Share of a reference's error that is gone: 0 no better, 1 perfect, negative worse."""
    return 1 - error / reference if reference > 0 else float("nan")
