"""What a user would try first. Each forecasts standardized windows from what was known at their origins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spline_lstm.data.windows import WindowIndex, WindowSource
from spline_lstm.model.ridge import RidgeForecaster

CHUNK = 4096
Forecast = Callable[[np.ndarray, int], np.ndarray]


def naive(history: np.ndarray, horizon: int) -> np.ndarray:
    """Repeat the last value of `(windows, steps)`, for `(windows, horizon)`."""
    return np.repeat(history[:, -1:], horizon, axis=1)


def moving_average(history: np.ndarray, horizon: int) -> np.ndarray:
    """Repeat the mean of the whole history."""
    return np.repeat(history.mean(axis=1, keepdims=True), horizon, axis=1)


def seasonal_naive(history: np.ndarray, horizon: int) -> np.ndarray:
    """Repeat the history, which is one season."""
    return history[:, np.arange(horizon) % history.shape[1]]


def baseline_forecasts(
    source: WindowSource, windows: WindowIndex, season: int, ridge: RidgeForecaster
) -> dict[str, np.ndarray]:
    """Every baseline on the same windows.

    Args:
        source: Windows of the run.
        windows: Which of them.
        season: Steps, at most a lookback; the moving average takes one season too, or the lookback where it is 1.
        ridge: Fitted on the train split.

    Returns:
        `(windows, horizon)` each, standardized.
    """
    average = season if season > 1 else source.lookback
    rules: dict[str, tuple[Forecast, int]] = {
        "naive": (naive, 1),
        "moving_average": (moving_average, average),
        "seasonal_naive": (seasonal_naive, season),
    }
    forecasts = {name: np.empty((len(windows), source.horizon), np.float32) for name in rules}
    for number, (rows, origins) in enumerate(windows.chunks(CHUNK)):
        part = slice(number * CHUNK, (number + 1) * CHUNK)
        history = source.inputs(rows, origins)
        for name, (forecast, steps) in rules.items():
            forecasts[name][part] = forecast(history[:, -steps:], source.horizon)
    return {**forecasts, "ridge": ridge.predict(source, windows.rows, windows.origins)}
