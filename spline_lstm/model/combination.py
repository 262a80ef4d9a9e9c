"""How much each expert has in the forecast: least squares on validation windows, shrunk the more the fewer they are."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from spline_lstm.data.windows import WindowIndex, WindowSource
from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.training import MOST_JUDGES, predict_by_expert

EXPERTS = ("linear", "folded", "holt_winters", "members")
DEPARTURE = 0.5  # of a weight from its prior that one independent window less the error of the best would explain


def combine(model: SplineForecaster, source: WindowSource, validation: WindowIndex) -> dict[str, dict[str, float]]:
    """Set what share each expert has in the forecast.

    Returns:
        `mse` and `mae` of each expert that there is and of what is `mixed`, on validation windows, standardized.
    """
    validation = validation.at_most(MOST_JUDGES)
    targets = source.outputs(validation.rows, validation.origins)
    experts = predict_by_expert(model, source, validation.rows, validation.origins)
    forecasts = {name: experts[name] for name in EXPERTS if getattr(model, name)}
    weights = dict(zip(forecasts, expert_weights(targets, forecasts, validation.rows, validation.origins), strict=True))
    model.shares = weights
    mixed = np.sum([weights[name] * forecast for name, forecast in forecasts.items()], axis=0)
    return {name: _errors(targets, forecast) for name, forecast in {**forecasts, "mixed": mixed}.items()}


def expert_weights(
    targets: np.ndarray, forecasts: Mapping[str, np.ndarray], rows: np.ndarray, origins: np.ndarray
) -> list[float]:
    """Weights of experts that sum to one, none negative.

    They minimise the mean squared error plus `least / (windows * DEPARTURE**2)` times their squared distance from the
    prior, where `least` is the error of the best expert and `windows` the number of independent ones: what ridge
    regression asks for if weights depart from the prior as `DEPARTURE` says (Hoerl & Kennard 1970). The prior is
    inverse to the experts' errors (Bates & Granger 1969, The Combination of Forecasts).

    Args:
        targets: `(windows, horizon)`, NaN where nothing was observed.
        forecasts: `(windows, horizon)` each.
        rows: `(windows,)`.
        origins: `(windows,)`.

    Returns:
        In the order of the forecasts.
    """
    if len(forecasts) == 1:
        return [1.0]
    missed = {name: np.where(np.isnan(targets), 0, forecast - targets) for name, forecast in forecasts.items()}
    errors = np.stack([table[np.isfinite(targets)].astype(float) for table in missed.values()])
    products = errors @ errors.T / errors.shape[1]
    squares = np.maximum(products.diagonal(), np.finfo(float).tiny)
    prior = squares.min() / squares
    prior /= prior.sum()
    first, *_, last = missed.values()
    gains = np.sum(first**2 - last**2, axis=1)
    independent = independent_windows(gains, rows, origins, targets.shape[1])
    strength = squares.min() / (independent * DEPARTURE**2)
    return np.clip(_on_simplex(products + strength * np.eye(len(prior)), strength * prior), 0, 1).tolist()


def independent_windows(gains: np.ndarray, rows: np.ndarray, origins: np.ndarray, horizon: int) -> float:
    """How many windows there would be that tell as much and share nothing: 1 or more.

    Of one row, one for each horizon that they span. Rows that have their ups and downs at the same time tell little
    more than one of them: their number is divided by how much more the sums of all rows over stretches of one horizon
    vary than those of independent rows would.

    Args:
        gains: `(windows,)`, what is compared.
        rows: `(windows,)`.
        origins: `(windows,)`.
        horizon: Steps.
    """
    stretches = (origins - origins.min()) // horizon
    cells, place = np.unique(stretches * (rows.max() + 1) + rows, return_inverse=True)
    sums = np.bincount(place, gains.astype(float))
    sums -= sums.mean()
    of_stretch = np.unique(cells // (rows.max() + 1), return_inverse=True)[1]
    at_once = len(cells) / (of_stretch.max() + 1)
    alone = np.sum(sums**2)
    together = np.sum(np.bincount(of_stretch, sums) ** 2)
    alike = np.clip(together / alone if alone > 0 else at_once, 1, at_once)
    return max((origins.max() - origins.min() + 1) / horizon * at_once / alike, 1.0)


def _on_simplex(quadratic: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """The w with the least `w'Qw - 2 b'w` among those that sum to one and are not negative, by trying every support."""
    best, least = np.zeros(len(linear)), np.inf
    for size in range(1, len(linear) + 1):
        for support in map(list, combinations(range(len(linear)), size)):
            system = np.ones((size + 1, size + 1))
            system[:size, :size], system[size, size] = quadratic[np.ix_(support, support)], 0
            solution = np.linalg.lstsq(system, np.append(linear[support], 1), rcond=None)[0][:size]
            if (solution < 0).any():
                continue
            weights = np.zeros(len(linear))
            weights[support] = solution
            value = weights @ quadratic @ weights - 2 * linear @ weights
            if value < least:
                best, least = weights, value
    return best


def _errors(targets: np.ndarray, forecast: np.ndarray) -> dict[str, float]:
    observed = np.isfinite(targets)
    error = (targets - forecast)[observed].astype(float)
    return {"mse": float(np.mean(error**2)), "mae": float(np.mean(np.abs(error)))}
