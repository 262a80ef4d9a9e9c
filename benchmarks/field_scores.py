"""Scores of forecasts that are points and intervals, the same for the product and for its peers."""

from __future__ import annotations

import math

import numpy as np

from spline_lstm.scores import metrics

COVERAGES = (0.9, 0.8, 0.95)  # as `evaluate.coverage` is given them: the first has the columns without a number
QUANTILES = tuple(
    sorted([0.5, *(round(0.5 + side * coverage / 2, 6) for coverage in COVERAGES for side in (-1, 1))])
)  # the point forecast stands for the median


def bounds(coverage: float) -> tuple[str, str]:
    """The columns of predictions that hold an interval's ends."""
    suffix = "" if coverage == COVERAGES[0] else f"_{100 * coverage:g}"
    return f"y_lower{suffix}", f"y_upper{suffix}"


def columns() -> list[str]:
    """The columns of predictions that hold the `QUANTILES`, in their order."""
    lower, upper = zip(*(bounds(coverage) for coverage in sorted(COVERAGES)), strict=True)
    return [*reversed(lower), "y_pred", *upper]


def scores(y_true: np.ndarray, forecasts: np.ndarray) -> dict[str, float]:
    """RMSE, MAE, weighted quantile loss and the coverage of each interval, over observed targets.

    Args:
        y_true: `(windows, horizon)`, NaN where nothing was observed.
        forecasts: `(windows, horizon, quantiles)`, of the `QUANTILES`.
    """
    observed = ~np.isnan(y_true)
    truth, median = y_true[observed], forecasts[observed][:, QUANTILES.index(0.5)]
    return {
        "rmse": metrics.rmse(truth, median),
        "mae": metrics.mae(truth, median),
        "wql": metrics.weighted_quantile_loss(truth, dict(zip(QUANTILES, forecasts[observed].T, strict=True))),
        **{str(coverage): covered(y_true, forecasts, coverage) for coverage in COVERAGES},
    }


def covered(y_true: np.ndarray, forecasts: np.ndarray, coverage: float) -> float:
    """The share of observed targets that lie in an interval."""
    observed = ~np.isnan(y_true)
    tail = QUANTILES.index(round(0.5 - coverage / 2, 6))
    lower, upper = forecasts[observed][:, tail], forecasts[observed][:, -1 - tail]
    return metrics.coverage(y_true[observed], lower, upper)


def allowed(coverage: float, independent: int) -> float:
    """How far the coverage of so many independent windows may be from the wanted one: .03, or two standard errors."""
    return max(0.03, 2 * math.sqrt(coverage * (1 - coverage) / independent))
