"""Forecasts of windows beside what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spline_lstm.run.params import level_of


def suffix_of(place: int, level: float) -> str:
    """What names of a level's columns and scores end in: nothing for the first level, others are told in percent."""
    return f"_{100 * level:g}" if place else ""


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of windows, in the units that are scored.

    Attributes:
        rows: `(windows,)`.
        origins: `(windows,)`.
        y_true: `(windows, horizon)`, NaN where nothing was observed.
        y_pred: `(windows, horizon)`.
        levels: Coverage of each kind of prediction interval; scores without a suffix are of the first.
        lower: `(levels, windows, horizon)`.
        upper: `(levels, windows, horizon)`.
    """

    rows: np.ndarray
    origins: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    levels: tuple[float, ...]
    lower: np.ndarray
    upper: np.ndarray

    def of(self, windows: slice | np.ndarray, steps: slice = slice(None)) -> Forecasts:
        """Fewer windows or steps, as views where slices choose."""
        return Forecasts(
            self.rows[windows],
            self.origins[windows],
            self.y_true[windows, steps],
            self.y_pred[windows, steps],
            self.levels,
            self.lower[:, windows, steps],
            self.upper[:, windows, steps],
        )

    @classmethod
    def joined(cls, parts: Sequence[Forecasts]) -> Forecasts:
        """All windows of several, which have the same levels."""
        windows = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("rows", "origins", "y_true", "y_pred")
        }
        bounds = {name: np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("lower", "upper")}
        return cls(**windows, **bounds, levels=parts[0].levels)

    def in_units(self, units: np.ndarray) -> Forecasts:
        """The same with each row divided by its unit, `(rows,)`."""
        unit = units[self.rows, None]
        return replace(
            self,
            y_true=self.y_true / unit,
            y_pred=self.y_pred / unit,
            lower=self.lower / unit,
            upper=self.upper / unit,
        )


def interval_columns(
    forecasts: Forecasts, coverage: Sequence[float], quantiles: Sequence[float] = ()
) -> dict[str, np.ndarray]:
    """Intervals as columns of a table.

    Args:
        forecasts: With every level that is needed, see `EvaluateParams.levels`.
        coverage: Of the intervals that become columns.
        quantiles: That do.

    Returns:
        `y_lower` and `y_upper` of the first coverage, `y_lower_80` and `y_upper_80` of one of 0.8 after it, `q0.1` of
        a quantile of 0.1; `(windows, horizon)` each.
    """
    columns, place = {}, {level: number for number, level in enumerate(forecasts.levels)}
    for number, level in enumerate(coverage):
        suffix = suffix_of(number, level)
        columns[f"y_lower{suffix}"] = forecasts.lower[place[level]]
        columns[f"y_upper{suffix}"] = forecasts.upper[place[level]]
    for quantile in quantiles:
        bounds = forecasts.lower if quantile < 0.5 else forecasts.upper
        level = level_of(quantile)
        columns[f"q{quantile:g}"] = bounds[place[level]] if level else forecasts.y_pred
    return columns
