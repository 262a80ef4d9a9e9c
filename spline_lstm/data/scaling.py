"""Statistics that put channels on one scale, from observed train rows only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spline_lstm.data.layout import Layout


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
    def fit(cls, train: Iterable[np.ndarray]) -> StandardScaler:
        """Fit on the observed entries of each row's train steps, `(steps,)` each, NaN where nothing was observed.

        A row without spread keeps its own scale.
        """
        statistics = [_mean_and_std(row[~np.isnan(row)]) for row in train]
        mean, std = np.array(statistics, float).reshape(-1, 2).T
        return cls(mean, std)

    def transform(self, values: np.ndarray, layout: Layout) -> np.ndarray:
        """Standardize a flat array of all rows, `(steps,)`."""
        mean, std = (np.repeat(statistic, layout.lengths) for statistic in (self.mean, self.std))
        return (values - mean) / std

    def restore(self, scaled: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Bring `(windows, steps)` back to original units; window `i` belongs to row `rows[i]`."""
        return scaled.astype(np.float64) * self.std[rows, None] + self.mean[rows, None]


def _mean_and_std(observed: np.ndarray) -> tuple[float, float]:
    if not observed.size or observed.min() == observed.max():
        return (float(observed[0]) if observed.size else 0.0), 1.0
    std = float(np.std(observed))
    return float(np.mean(observed)), std if std > 0 else 1.0
