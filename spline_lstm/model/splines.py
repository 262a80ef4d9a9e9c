"""B-spline bases and the penalised least-squares operators that turn values into coefficients."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

PENALTY_ORDER = 2


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
