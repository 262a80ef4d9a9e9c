"""Forecasts of windows beside what was observed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of windows, in the units that are scored.

    Attributes:
        rows: `(windows,)`.
        origins: `(windows,)`.
        y_true: `(windows, horizon)`, NaN where nothing was observed.
        y_pred: `(windows, horizon)`.
        half_widths: `(rows, horizon)` of the prediction intervals.
    """

    rows: np.ndarray
    origins: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    half_widths: np.ndarray

    @property
    def lower(self) -> np.ndarray:
        return self.y_pred - self.half_widths[self.rows]

    @property
    def upper(self) -> np.ndarray:
        return self.y_pred + self.half_widths[self.rows]

    def in_units(self, units: np.ndarray) -> Forecasts:
        """The same with each row divided by its unit, `(rows,)`."""
        unit = units[self.rows, None]
        return Forecasts(
            self.rows, self.origins, self.y_true / unit, self.y_pred / unit, self.half_widths / units[:, None]
        )
