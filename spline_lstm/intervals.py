"""Split-conformal prediction intervals from the residuals of validation windows."""

from __future__ import annotations

import numpy as np


def conformal_half_widths(y_true: np.ndarray, y_pred: np.ndarray, coverage: float) -> np.ndarray:
    """Half-widths of intervals with the wanted coverage, one per horizon step.

    The `ceil((n + 1) * coverage)`-th smallest absolute residual of `n` (Lei et al. 2018,
    Distribution-Free Predictive Inference for Regression, section 2.2); the largest one where
    `n` is too small for the coverage.

    Args:
        y_true: `(windows, horizon)`, NaN where nothing was observed.
        y_pred: `(windows, horizon)`.
        coverage: Wanted share, between 0 and 1.

    Returns:
        `(horizon,)`. A step without residuals takes the widest of the others.
    """
    residuals = np.sort(np.abs(y_true - y_pred), axis=0)  # NaN sorts last
    counts = (~np.isnan(residuals)).sum(axis=0)
    ranks = np.minimum(np.ceil((counts + 1) * coverage).astype(int), counts)
    widths = np.take_along_axis(residuals, np.maximum(ranks - 1, 0)[None], axis=0)[0]
    widest = np.nanmax(widths) if (counts > 0).any() else np.nan
    return np.where(counts > 0, widths, widest)
