"""Split-conformal prediction intervals from the residuals of validation windows."""

from __future__ import annotations

import numpy as np

from spline_lstm.run.errors import InsufficientDataError


def conformal_half_widths(
    y_true: np.ndarray, y_pred: np.ndarray, rows: np.ndarray, row_count: int, coverage: float, std: np.ndarray
) -> np.ndarray:
    """Half-widths of intervals with the wanted coverage, for each row and horizon step.

    The `ceil((n + 1) * coverage)`-th smallest absolute residual of `n` (Lei et al. 2018,
    Distribution-Free Predictive Inference for Regression, section 2.2); the largest one where
    `n` is too small for the coverage.

    Args:
        y_true: `(windows, horizon)`, NaN where nothing was observed.
        y_pred: `(windows, horizon)`.
        rows: `(windows,)`, which row a window is of.
        row_count: How many rows there are.
        coverage: Wanted share, between 0 and 1.
        std: `(rows,)`, the rows' scales.

    Returns:
        `(rows, horizon)`. A step of a row without residuals takes the widest interval of all, in
        units of the rows' scales.

    Raises:
        InsufficientDataError: No validation target was observed.
    """
    widths = np.stack([_order_statistic(np.abs(y_true - y_pred)[rows == row], coverage) for row in range(row_count)])
    if np.isnan(widths).all():
        raise InsufficientDataError(
            "The validation split must hold observed targets. Received: none. Move split.validation, or give more data."
        )
    widest = np.nanmax(widths / std[:, None])
    return np.where(np.isnan(widths), widest * std[:, None], widths)


def _order_statistic(residuals: np.ndarray, coverage: float) -> np.ndarray:
    """Per column of `(windows, horizon)`; NaN where it has no value."""
    counts = (~np.isnan(residuals)).sum(axis=0)
    ranks = np.minimum(np.ceil((counts + 1) * coverage).astype(int), counts)
    padded = np.vstack([np.sort(residuals, axis=0), np.full((1, residuals.shape[1]), np.nan)])  # NaN sorts last
    return np.take_along_axis(padded, np.maximum(ranks - 1, 0)[None], axis=0)[0]
