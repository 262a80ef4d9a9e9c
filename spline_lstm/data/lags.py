"""Splines over lags: what lies further back is told apart less."""

from __future__ import annotations

import numpy as np

FINE_LAGS = 24  # are told apart
LAG_GROWTH = 1.25  # of the lags at which further knots stand


def lag_basis(lookback: int, fine: int = FINE_LAGS, growth: float = LAG_GROWTH) -> np.ndarray:
    """Linear B-splines over the lags of a window, with knots at every recent lag and ever fewer further back.

    Args:
        lookback: Steps of the window.
        fine: Recent lags with a knot each, 2 or more.
        growth: How many times as far as the one before each further knot stands, 1.25 or more.

    Returns:
        `(lookback, coefficients)`; the rows are non-negative and sum to one. The last row is the origin, lag 0.
    """
    knots = [0]
    while knots[-1] < lookback - 1:
        further = knots[-1] + 1 if knots[-1] < fine else round(knots[-1] * growth)
        knots.append(min(lookback - 1, further))
    lags = np.arange(lookback - 1, -1, -1)
    return np.stack([np.interp(lags, knots, unit) for unit in np.eye(len(knots))], axis=1)


def lag_operator(lookback: int, fine: int = FINE_LAGS, growth: float = LAG_GROWTH) -> np.ndarray:
    """From the steps of a window to its mean under each lag spline: `(lookback, coefficients)`, float32."""
    basis = lag_basis(lookback, fine, growth)
    return (basis / basis.sum(axis=0)).astype(np.float32)
