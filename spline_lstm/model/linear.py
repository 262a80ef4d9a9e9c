"""The linear forecast: what is known in advance by its effects, the rest by one matrix from a level-free window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spline_lstm.data.lags import lag_operator
from spline_lstm.data.windows import WindowSource

CHUNK = 4096  # windows


@dataclass(frozen=True)
class Remainder:
    """What the effects of known covariates leave of a source.

    Attributes:
        source: Where windows are cut from.
        effects: `(1 + static, known + delayed + calendar)`, see `Covariates.effect`.
    """

    source: WindowSource
    effects: np.ndarray

    @cached_property
    def _effect(self) -> np.ndarray | None:
        return self.source.covariates.effect(self.effects) if self.effects.any() else None

    def level_free(self, rows: np.ndarray, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | float]:
        """Windows without their last value, `(windows, lookback)`; that value, `(windows, 1)`; effects ahead of the
        origins, `(windows, horizon)`.
        """
        values, lookback = self.source.inputs(rows, origins), self.source.lookback
        ahead: np.ndarray | float = 0.0
        if self._effect is not None:
            covariates, length = self.source.covariates, lookback + self.source.horizon
            series, starts = covariates.series[rows], origins - lookback + 1
            effect = covariates.effect_steps(self._effect, series, starts, length)
            values, ahead = values - effect[:, :lookback], effect[:, lookback:]
        level = values[:, -1:]
        return values - level, level, ahead

    def linear_inputs(self, rows: np.ndarray, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | float]:
        """As `level_free`, the lag splines of past covariates beside the windows: `(windows, inputs)`."""
        values, level, ahead = self.level_free(rows, origins)
        if self.source.covariates.past:
            splines = self.source.past(rows, origins).transpose(0, 2, 1) @ lag_operator(self.source.lookback)
            values = np.concatenate([values, splines.reshape(len(values), -1)], axis=1)
        return values, level, ahead


@dataclass(frozen=True)
class RidgeForecaster:
    """Linear map of what a window stands out from its last value, over the effects of known covariates.

    It has no intercept: a drift that only the train rows had is not carried on.

    Attributes:
        kernel: `(lookback + past * lags, horizon)`: of the window, then of the lag splines of each past covariate.
        effects: `(1 + static, known + delayed + calendar)`, see `Covariates.effect`.
        penalty: The share of the input variance that was chosen.
        past_weight: The one of past covariates beside the window that was chosen.
    """

    kernel: np.ndarray
    effects: np.ndarray
    penalty: float
    past_weight: float = 1.0

    def predict(self, source: WindowSource, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Forecast `(windows, horizon)`, standardized, float32."""
        remainder, result = Remainder(source, self.effects), np.empty((len(rows), source.horizon), np.float32)
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            inputs, level, ahead = remainder.linear_inputs(rows[part], origins[part])
            result[part] = inputs @ self.kernel + level + ahead
        return result
