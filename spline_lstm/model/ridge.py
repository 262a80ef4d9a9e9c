"""Closed-form ridge regression from level-free windows to all horizon steps at once.

It is a baseline by itself and the linear part under the recurrent forecaster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spline_lstm.data.windows import WindowIndex, WindowSource

PENALTIES = np.logspace(-5, 1, 13)  # shares of the mean variance of an input step
CHUNK = 4096  # windows in memory at a time
IMPUTATIONS = 4  # passes that let missing targets take the model's own forecast


@dataclass(frozen=True)
class RidgeForecaster:
    """Linear map of what a window stands out from its last value.

    It has no intercept: a drift that only the train rows had is not carried on.

    Attributes:
        kernel: `(lookback, horizon)`.
        penalty: The share of the input variance that was chosen.
    """

    kernel: np.ndarray
    penalty: float

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Forecast `(windows, horizon)` from `(windows, lookback)`, both standardized."""
        level = inputs[:, -1:]
        return (inputs - level) @ self.kernel + level


def fit_ridge(source: WindowSource, train: WindowIndex, validation: WindowIndex) -> RidgeForecaster:
    """Solve on train windows for every penalty, and keep the one with the least validation error.

    Missing targets must not count. They are replaced by the model's own forecast and the solution
    is repeated, whose fixed point solves the normal equations of the observed targets alone
    (the EM view of least squares with missing values).
    """
    gram, cross = _moments(source, train, None)
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0)
    unit = values.sum() / len(values) + np.finfo(float).tiny

    def solve(penalty: float, cross: np.ndarray) -> RidgeForecaster:
        kernel = vectors @ ((vectors.T @ cross) / (values + penalty * unit)[:, None])
        return RidgeForecaster(kernel.astype(np.float32), float(penalty))

    candidates = [solve(penalty, cross) for penalty in PENALTIES]
    best = candidates[int(np.argmin(_squared_errors(source, validation, candidates)))]
    if any(np.isnan(outputs).any() for _, outputs in _chunks(source, train)):
        for _ in range(IMPUTATIONS):
            best = solve(best.penalty, _moments(source, train, best)[1])
    return best


def typical_sizes(source: WindowSource, windows: WindowIndex) -> tuple[float, float]:
    """Root mean squares of inputs and of targets, both less the window's last value."""
    totals, counts = np.zeros(2), np.zeros(2)
    for inputs, outputs in _chunks(source, windows):
        level = inputs[:, -1:]
        parts = inputs - level, outputs - level
        totals += [np.nansum(part**2, dtype=float) for part in parts]
        counts += [np.isfinite(part).sum() for part in parts]
    sizes = np.sqrt(totals / np.maximum(counts, 1))
    return tuple(float(size) if size > 0 else 1.0 for size in sizes)  # type: ignore[return-value]


def _chunks(source: WindowSource, windows: WindowIndex) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(windows), CHUNK):
        part = slice(start, start + CHUNK)
        rows, origins = windows.rows[part], windows.origins[part]
        yield source.inputs(rows, origins), source.outputs(rows, origins)


def _moments(
    source: WindowSource, windows: WindowIndex, imputer: RidgeForecaster | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean products of level-free inputs with themselves and with targets; the level imputes at first."""
    gram = np.zeros((source.lookback, source.lookback))
    cross = np.zeros((source.lookback, source.horizon))
    for inputs, outputs in _chunks(source, windows):
        level = inputs[:, -1:]
        expected = imputer.predict(inputs) if imputer else np.broadcast_to(level, outputs.shape)
        inputs, outputs = inputs - level, np.where(np.isnan(outputs), expected, outputs) - level
        gram += inputs.T @ inputs
        cross += inputs.T @ outputs
    return gram / len(windows), cross / len(windows)


def _squared_errors(source: WindowSource, windows: WindowIndex, candidates: list[RidgeForecaster]) -> np.ndarray:
    totals = np.zeros(len(candidates))
    for inputs, outputs in _chunks(source, windows):
        for index, candidate in enumerate(candidates):
            totals[index] += np.nansum((candidate.predict(inputs) - outputs) ** 2, dtype=float)
    return totals
