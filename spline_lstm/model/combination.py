"""How much each expert has in the forecast: least squares on validation windows, shrunk the more the fewer they are."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from spline_lstm.data.windows import WindowIndex, WindowSource
from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.training import MOST_JUDGES, predict

MEMBERS = 0.35  # prior weight of the recurrence; linear forecasts have equal parts of the rest
DEPARTURE = 0.5  # of a weight from its prior that one independent window less the error of the best would explain


def combine(model: SplineForecaster, source: WindowSource, validation: WindowIndex) -> dict[str, dict[str, float]]:
    """Set what share each expert has in the forecast.

    Returns:
        `mse` and `mae` of the `linear`, the `folded`, the `members` and the `mixed` forecast on validation windows,
        standardized; of those that there are.
    """
    validation = validation.at_most(MOST_JUDGES)
    targets = source.outputs(validation.rows, validation.origins)
    experts = {"linear": (0.0, 0.0), "folded": (0.0, 1.0), "members": (1.0, 0.0)}
    there = {"linear": model.linear is not None, "folded": model.folded is not None, "members": True}
    forecasts = {}
    for name in (name for name in experts if there[name]):
        model.share, model.folded_share = experts[name]
        forecasts[name] = predict(model, source, validation.rows, validation.origins)
    weights = dict(zip(forecasts, expert_weights(targets, forecasts, validation.origins), strict=True))
    model.share, model.folded_share = weights["members"], weights.get("folded", 0.0)
    mixed = np.sum([weights[name] * forecast for name, forecast in forecasts.items()], axis=0)
    return {name: _errors(targets, forecast) for name, forecast in {**forecasts, "mixed": mixed}.items()}


def expert_weights(targets: np.ndarray, forecasts: Mapping[str, np.ndarray], origins: np.ndarray) -> list[float]:
    """Weights of experts that sum to one, none negative.

    They minimise the mean squared error plus `least / (windows * DEPARTURE**2)` times their squared distance from the
    prior, where `least` is the error of the best expert and `windows` how many horizons the windows span: what ridge
    regression asks for if weights depart from the prior as `DEPARTURE` says (Hoerl & Kennard 1970).

    Args:
        targets: `(windows, horizon)`, NaN where nothing was observed.
        forecasts: `(windows, horizon)` each; the one called `members` is the recurrence's.
        origins: `(windows,)`.

    Returns:
        In the order of the forecasts.
    """
    observed = np.isfinite(targets)
    errors = np.stack([(forecast - targets)[observed].astype(float) for forecast in forecasts.values()])
    products = errors @ errors.T / errors.shape[1]
    if len(forecasts) == 1:
        return [1.0]
    rest = (1 - MEMBERS) / (len(forecasts) - 1)
    prior = np.array([MEMBERS if name == "members" else rest for name in forecasts])
    independent = (origins.max() - origins.min() + 1) / targets.shape[1]
    strength = products.diagonal().min() / (max(independent, 1.0) * DEPARTURE**2)
    return np.clip(_on_simplex(products + strength * np.eye(len(prior)), strength * prior), 0, 1).tolist()


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
