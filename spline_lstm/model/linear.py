"""The linear forecast: what is known in advance by its effects, the rest by one matrix from a level-free window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spline_lstm.data.windows import Windows
from spline_lstm.model.splines import lag_basis


@dataclass(frozen=True)
class RidgeForecaster:
    """Linear map of what a window stands out from its last value, over the effects of known covariates.

    It has no intercept: a drift that only the train rows had is not carried on.

    Attributes:
        kernel: `(lookback + past * lags, horizon)`: of the window, then of the lag splines of each past covariate.
        effects: `(1 + static, known)`: of known covariates, then of their products with each static one.
        penalty: The share of the input variance that was chosen.
    """

    kernel: np.ndarray
    effects: np.ndarray
    penalty: float

    def predict(self, windows: Windows) -> np.ndarray:
        """Forecast `(windows, horizon)`, standardized."""
        free, level, ahead = level_free(windows, self.effects)
        return linear_inputs(free) @ self.kernel + level + ahead


def level_free(windows: Windows, effects: np.ndarray) -> tuple[Windows, np.ndarray, np.ndarray | float]:
    """Windows without the effects of known covariates and without the last value of what is left.

    Returns:
        The windows, that value, `(windows, 1)`, and the effects ahead, `(windows, horizon)`.
    """
    values, ahead = windows.values, 0.0
    if effects.any():
        lookback = values.shape[1]
        effect = known_effect(windows.known, windows.static, effects)
        values, ahead = values - effect[:, :lookback], effect[:, lookback:]
    level = values[:, -1:]
    return windows._replace(values=values - level), level, ahead


def linear_inputs(windows: Windows) -> np.ndarray:
    """The values of windows and the lag splines of their past covariates side by side: `(windows, inputs)`."""
    past = windows.past
    if not past.shape[2]:
        return windows.values
    splines = past.transpose(0, 2, 1) @ lag_operator(past.shape[1])
    return np.concatenate([windows.values, splines.reshape(len(past), -1)], axis=1)


def lag_operator(lookback: int) -> np.ndarray:
    """From the steps of a window to its mean under each lag spline: `(lookback, lags)`, float32."""
    basis = lag_basis(lookback)
    return (basis / basis.sum(axis=0)).astype(np.float32)


def known_effect(known: np.ndarray, static: np.ndarray, effects: np.ndarray) -> np.ndarray:
    """The effect of known covariates at each step: `(windows, steps)`.

    Args:
        known: `(windows, steps, known)`.
        static: `(windows, static)`.
        effects: `(1 + static, known)`: of the covariates, then of their products with each static one.
    """
    return np.einsum("wsk,wk->ws", known, effects[0] + static @ effects[1:])
