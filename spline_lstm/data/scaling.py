"""Statistics that put channels on one scale, from observed train rows only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spline_lstm.run.errors import DataError


@dataclass(frozen=True)
class StandardScaler:
    """Affine map to zero mean and unit variance. Fitted once, then a plain value.

    Attributes:
        mean: `(rows,)`, original units.
        std: `(rows,)`, original units, positive.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, train: np.ndarray, names: tuple[str, ...]) -> StandardScaler:
        """Fit on the observed entries of `train`, `(rows, time)`, NaN where nothing was observed.

        A row without spread keeps its own scale.

        Raises:
            DataError: A row has no observation, or values too large to square.
        """
        for name, row in zip(names, train, strict=True):
            if np.isnan(row).all():
                raise DataError(
                    f"Column {name!r} must hold observations in the train split. Received: none. "
                    "Move split.train, or leave the column out."
                )
        with np.errstate(over="ignore"):
            mean, std = np.nanmean(train, axis=1), np.nanstd(train, axis=1)
        if not (np.isfinite(mean).all() and np.isfinite(std).all()):
            raise DataError(f"Values must be small enough to square. Received: columns {names} beyond 1e150. Rescale.")
        constant = (np.nanmax(train, axis=1) == np.nanmin(train, axis=1)) | (std == 0)
        return cls(mean, np.where(constant, 1.0, std))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Standardize `(rows, time)`."""
        return (values - self.mean[:, None]) / self.std[:, None]

    def restore(self, scaled: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Bring `(windows, steps)` back to original units; window `i` belongs to row `rows[i]`."""
        return scaled.astype(np.float64) * self.std[rows, None] + self.mean[rows, None]
