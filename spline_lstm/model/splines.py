"""B-spline bases and the penalised least-squares operators that turn values into coefficients."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

PENALTY_ORDER = 2
FINE_LAGS = 24  # are told apart
LAG_GROWTH = 1.25  # of the lags at which further knots stand


def bspline_basis(steps: int, coefficients: int, degree: int) -> np.ndarray:
    """Uniform B-splines on equally spaced points.

    The points are the midpoints of `steps` equal cells of the spline's domain.

    Args:
        steps: Points, 1 or more.
        coefficients: Splines, 1 or more.
        degree: Of the polynomial pieces; lowered to `coefficients - 1` where there are too few splines.

    Returns:
        `(steps, coefficients)`; the rows are non-negative and sum to one.
    """
    degree = min(degree, coefficients - 1)
    pieces = coefficients - degree
    knots = np.arange(-degree, pieces + degree + 1) / pieces
    points = (np.arange(steps) + 0.5) / steps
    return BSpline.design_matrix(points, knots, degree).toarray()


def penalized_operator(basis: np.ndarray, penalty: float) -> np.ndarray:
    """The matrix that maps values to P-spline coefficients.

    `C = (B'B + penalty * D'D)^-1 B'`, with `D` the second differences of neighbouring
    coefficients (Eilers & Marx 1996, eq. 9). Where that is singular (more splines than the
    points determine, no penalty) the least-norm solution is taken.

    Args:
        basis: `B`, `(steps, coefficients)`.
        penalty: 0 for plain least squares; larger is smoother.

    Returns:
        `(coefficients, steps)`. `basis @ operator` is the smoother of the segment.
    """
    coefficients = basis.shape[1]
    differences = np.diff(np.eye(coefficients), n=min(PENALTY_ORDER, coefficients - 1), axis=0)
    if coefficients == 1:
        differences = np.zeros((0, 1))
    stacked = np.vstack([basis, np.sqrt(penalty) * differences])
    return np.linalg.pinv(stacked)[:, : len(basis)]


def lag_basis(lookback: int) -> np.ndarray:
    """Linear B-splines over the lags of a window, with knots at every recent lag and ever fewer further back.

    Args:
        lookback: Steps of the window.

    Returns:
        `(lookback, coefficients)`; the rows are non-negative and sum to one. The last row is the origin, lag 0.
    """
    knots = [0]
    while knots[-1] < lookback - 1:
        further = knots[-1] + 1 if knots[-1] < FINE_LAGS else round(knots[-1] * LAG_GROWTH)
        knots.append(min(lookback - 1, further))
    lags = np.arange(lookback - 1, -1, -1)
    return np.stack([np.interp(lags, knots, unit) for unit in np.eye(len(knots))], axis=1)
