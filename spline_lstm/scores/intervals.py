"""Split-conformal prediction intervals from the residuals of validation windows."""

from __future__ import annotations

import numpy as np

from spline_lstm.run.errors import InsufficientDataError


def conformal_half_widths(
    y_true: np.ndarray, y_pred: np.ndarray, rows: np.ndarray, coverage: float, std: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Half-widths of intervals with the wanted coverage, for each row and horizon step.

    The `ceil((n + 1) * coverage)`-th smallest absolute residual of `n` (Lei et al. 2018,
    Distribution-Free Predictive Inference for Regression, section 2.2). Where a row has too few residuals for the
    coverage, those of all rows together decide, in units of the rows' scales.

    Args:
        y_true: `(windows, horizon)`, NaN where nothing was observed.
        y_pred: `(windows, horizon)`.
        rows: `(windows,)`, which row a window is of.
        coverage: Wanted share, between 0 and 1.
        std: `(rows,)`, the rows' scales.

    Returns:
        `(rows, horizon)`, in units of the target, and `(horizon,)`, of all rows, in units of their scales.

    Raises:
        InsufficientDataError: No validation target was observed.
    """
    residuals = np.abs(y_true - y_pred)
    if np.isnan(residuals).all():
        raise InsufficientDataError(
            "The validation split must hold observed targets. Received: none. Move split.validation, or give more data."
        )
    pooled = _order_statistic(residuals / std[rows, None], coverage)
    pooled = np.where(np.isnan(pooled), np.nanmax(pooled), pooled)
    order = np.argsort(rows, kind="stable")
    parts = np.split(residuals[order], np.searchsorted(rows[order], np.arange(1, len(std))))
    widths = np.stack([_order_statistic(part, coverage) for part in parts])
    counts = np.stack([(~np.isnan(part)).sum(axis=0) for part in parts])
    enough = (counts + 1) * coverage <= counts
    return np.where(enough, widths, pooled * std[:, None]), pooled


def _order_statistic(residuals: np.ndarray, coverage: float) -> np.ndarray:
    """Per column of `(windows, horizon)`; NaN where it has no value."""
    counts = (~np.isnan(residuals)).sum(axis=0)
    ranks = np.minimum(np.ceil((counts + 1) * coverage).astype(int), counts)
    padded = np.vstack([np.sort(residuals, axis=0), np.full((1, residuals.shape[1]), np.nan)])  # NaN sorts last
    return np.take_along_axis(padded, np.maximum(ranks - 1, 0)[None], axis=0)[0]
