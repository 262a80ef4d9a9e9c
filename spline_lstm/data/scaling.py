"""Statistics that put channels on one scale, from observed train rows only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spline_lstm.data.layout import Layout
from spline_lstm.run.errors import DataError

FEWEST_CYCLES = 5
SURE_STEPS, MANY_STRETCHES = 28, 10  # a spread of so many steps is sure enough; so many stretches must be left
CLOSELY, STEEPLY = 0.9, 0.75  # correlation and slope of log spread on log level
IN_ORDER = 0.7  # correlation of their ranks, in which a few outliers have no weight
PILED_UP = 0.1  # share of the median under which the lowest hundredth lies where values cannot fall below zero
PASSED = 0.01  # standard deviations beyond a bound: jitter around zero lies nearer
NEVER = np.iinfo(np.int64).max
FULL = (1.0, 100.0)  # which shares and percentages do not exceed
OFTEN, FEWEST_FULL = 0.01, 3  # the share and the number of values that are just that where it is a bound
RELATIVE_ROUNDING = 8 * np.finfo(float).eps  # of a number, after a few sums
SMALLEST_SPREAD = 1e-140  # the variance of many rows is a number, too
FARTHEST = 1e12  # standard deviations, whose squares have sums in single precision
LARGEST_LOG = 700.0  # whose exponential is still a number


@dataclass(frozen=True)
class StandardScaler:
    """Monotone map of each row to zero mean and unit variance: affine, of values or of their logarithms.

    Attributes:
        mean: `(rows,)`, of values in original units, or of their logarithms.
        std: `(rows,)`, positive, the same.
        spread: `(rows,)`, positive, the standard deviation of values, original units.
        lowest: `(rows,)`, the least value, standardized.
        logs: `(rows,)`, whether logarithms are taken.
        minimum: `(rows,)`, what forecasts never fall below, original units; -inf for nothing.
        maximum: `(rows,)`, what they never exceed; inf for nothing.
        floor: `(rows,)`, below which a value is doubted, original units; see `doubtful`; -inf for nothing.
        ceiling: `(rows,)`, above which it is; inf for nothing.
    """

    mean: np.ndarray
    std: np.ndarray
    spread: np.ndarray
    lowest: np.ndarray
    logs: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    floor: np.ndarray
    ceiling: np.ndarray

    @classmethod
    def of_content(cls, content: Mapping[str, Any], rows: int) -> StandardScaler:
        """From lists.

        Raises:
            ValueError, TypeError: They are no statistics of so many rows.
        """
        kinds = {name: bool if name == "logs" else float for name in content}
        statistics = {name: np.array(statistic, kinds[name]) for name, statistic in content.items()}
        scaler = cls(**statistics)
        finite = np.isfinite([scaler.mean, scaler.std, scaler.spread, scaler.lowest]).all()
        if any(each.shape != (rows,) for each in statistics.values()) or not finite:
            raise ValueError(f"no statistics of {rows} rows")
        if not (np.array([scaler.std, scaler.spread]) > 0).all():
            raise ValueError("statistics of rows without spread")
        if not ((scaler.floor < scaler.ceiling) & (scaler.minimum <= scaler.maximum)).all():
            raise ValueError("bounds that leave no room between them")
        return scaler

    @classmethod
    def fit(
        cls, train: Iterable[np.ndarray], logs: Sequence[bool] | np.ndarray, otherwise: Any = (0.0, 1.0)
    ) -> StandardScaler:
        """Fit on the observed entries of each row's train steps, `(steps,)` each, NaN where nothing was observed.

        Nothing is bounded, and nothing doubted.

        Args:
            train: Of each row; positive where logarithms are taken.
            logs: `(rows,)`, whether they are.
            otherwise: `(rows, 2)`, the mean of a row without observations and the standard deviation of one without.
        """
        rows = zip(train, logs, np.broadcast_to(otherwise, (len(logs), 2)), strict=True)
        statistics = [_statistics(row[~np.isnan(row)], log, *scale) for row, log, scale in rows]
        mean, std, spread, lowest = np.array(statistics, float).reshape(-1, 4).T
        nothing = np.full(len(mean), np.inf)
        return cls(mean, std, spread, lowest, np.asarray(logs, bool), -nothing, nothing, -nothing, nothing)

    def bounded(self, minimum: np.ndarray, maximum: np.ndarray) -> StandardScaler:
        """The same with bounds, `(rows,)` each."""
        return replace(self, minimum=minimum, maximum=maximum)

    def doubting(self, floor: np.ndarray, ceiling: np.ndarray) -> StandardScaler:
        """The same with what is doubted, `(rows,)` each."""
        return replace(self, floor=floor, ceiling=ceiling)

    def where(self, chosen: np.ndarray, places: np.ndarray, other: StandardScaler) -> StandardScaler:
        """Rows `places` of this one where they are chosen, `(rows,)`, and those of another one elsewhere."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return StandardScaler(*(np.where(chosen, own[places], others) for own, others in pairs))

    def transform(self, values: np.ndarray, layout: Layout) -> np.ndarray:
        """Standardize a flat array of all rows, `(steps,)`.

        A value far below all that were fitted has the logarithm of half the least one, for it may be zero.
        """
        mean, std = (np.repeat(statistic, layout.lengths) for statistic in (self.mean, self.std))
        if self.logs.any():
            logs = np.repeat(self.logs, layout.lengths)
            least = np.exp(np.where(self.logs, self.lowest * self.std + self.mean, 0)) / 2
            positive = np.maximum(np.where(logs, values, 1), np.repeat(least, layout.lengths))
            values = np.where(logs, np.log(positive), values)
        return (values - mean) / std

    def restore(self, scaled: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Bring `(windows, ...)` back to original units; window `i` belongs to row `rows[i]`."""

        def of_windows(statistic: np.ndarray) -> np.ndarray:
            return statistic[rows].reshape(-1, *[1] * (scaled.ndim - 1))

        values = scaled.astype(np.float64) * of_windows(self.std) + of_windows(self.mean)
        if self.logs.any():
            values = np.where(of_windows(self.logs), np.exp(np.minimum(values, LARGEST_LOG)), values)
        return values

    def within(self, values: np.ndarray, rows: np.ndarray, bound: np.ndarray) -> np.ndarray:
        """Bring values of windows, `(windows, ...)`, within the bounds of their rows.

        Args:
            values: Original units.
            rows: `(windows,)`, of which row each is.
            bound: `(2, windows)`, whether the minimum, and the maximum, bind it.
        """
        low, high = np.where(bound, (self.minimum[rows], self.maximum[rows]), [[-np.inf], [np.inf]])
        shape = -1, *[1] * (values.ndim - 1)
        return np.clip(values, low.reshape(shape), high.reshape(shape))

    def bound_until(self, values: np.ndarray, seen: np.ndarray, layout: Layout, given: Sequence[bool]) -> np.ndarray:
        """From which step of the calendar on bounds bind no more, for a value beyond them was seen.

        Args:
            values: `(steps,)`, flat, original units.
            seen: `(steps,)`, which of them a model sees.
            layout: Where the rows stand.
            given: Whether minimum, and maximum, are told, and so bind always; else they are what values showed.

        Returns:
            `(2, rows)`, of the minimum and the maximum.
        """
        until = np.full((2, len(layout)), NEVER)
        rows = zip(layout.split(values), layout.split(seen), layout.starts, strict=True)
        for number, (row, there, start) in enumerate(rows):
            near = PASSED * self.spread[number]
            for side, beyond in enumerate((row < self.minimum[number] - near, row > self.maximum[number] + near)):
                if not given[side] and (passed := beyond & there).any():
                    until[side, number] = start + passed.argmax()
        return until


def spread_follows_level(train: Iterable[np.ndarray], cycle: int) -> bool:
    """Whether rows are positive, and the range of values within a cycle grows with their median, nearly in proportion.

    Then logarithms have one spread (Box & Cox 1964, with the power decided between 0 and 1 only). The range is that of
    the middle 80 %, so that a single peak makes neither spread nor level. Of short cycles several are taken together
    where there are many: a spread of few steps is chance, which hides the proportion.

    Args:
        train: `(steps,)` each, NaN where nothing was observed.
        cycle: Steps.
    """
    correlations, slopes, orders = [], [], []
    for row in train:
        if np.nanmin(row, initial=np.inf) <= 0:
            return False
        at_once = max(1, min(math.ceil(SURE_STEPS / cycle), len(row) // (MANY_STRETCHES * cycle)))
        cycles = row[len(row) % (at_once * cycle) :].reshape(-1, at_once * cycle)
        cycles = cycles[np.isnan(cycles).sum(axis=1) <= at_once * cycle // 2]
        if len(cycles) < FEWEST_CYCLES:
            continue
        low, level, high = np.nanquantile(cycles, [0.1, 0.5, 0.9], axis=1)
        spread = high - low
        level, spread = np.log(level[spread > 0]), np.log(spread[spread > 0])
        if len(level) >= FEWEST_CYCLES and level.std() > 0 and spread.std() > 0:
            correlation = np.corrcoef(level, spread)[0, 1]
            correlations.append(correlation)
            slopes.append(correlation * spread.std() / level.std())
            orders.append(np.corrcoef(level.argsort().argsort(), spread.argsort().argsort())[0, 1])
    found, least = (correlations, slopes, orders), (CLOSELY, STEEPLY, IN_ORDER)
    return bool(correlations) and bool((np.median(found, axis=1) >= least).all())


def constant(values: np.ndarray) -> bool:
    """Whether numbers, one at least, differ by no more than rounding, or by too little for a variance."""
    low, high = values.min(), values.max()
    return bool(high - low <= max(RELATIVE_ROUNDING * max(-low, high), SMALLEST_SPREAD))


def natural_bounds(row: np.ndarray) -> tuple[float, float]:
    """What values do not fall below and do not exceed by their nature, as far as they show it; infinite if they do not.

    Zero, where none lies below it and the lowest ones crowd close above it; values that merely stayed positive, such as
    temperatures, do not. One or a hundred, where none of a share or of percent exceeds it and many are just that; zeros
    and ones alone are counts.

    Args:
        row: `(steps,)`, NaN where nothing was observed.
    """
    observed = row[~np.isnan(row)]
    if not observed.size or observed.min() < 0 or constant(observed):
        return -np.inf, np.inf
    low, middle = np.quantile(observed, [0.01, 0.5])
    most = float(observed.max())
    often = np.sum(observed == most) >= max(FEWEST_FULL, OFTEN * len(observed))
    full = often and most in FULL and (most > 1 or (observed % 1 > 0).any())
    return 0.0 if low <= PILED_UP * middle else -np.inf, most if full else np.inf


def require_near(of: str, standardized: np.ndarray) -> None:
    """Refuse what single precision cannot count with, such as a number that stands for a missing one.

    Raises:
        DataError: A value is farther than `FARTHEST` from the mean of train rows.
    """
    farthest = np.nanmax(np.abs(standardized), initial=0.0)
    if farthest > FARTHEST:
        raise DataError(
            f"{of} must stay within {FARTHEST:g} standard deviations of its train rows. Received: {farthest:.3g} of "
            "them. Mend the cell; leave it empty where nothing was measured."
        )


def _statistics(observed: np.ndarray, log: bool, center: float, otherwise: float) -> tuple[float, float, float, float]:
    """Mean, standard deviation, that of original values, the least value."""
    spread = _spread(observed, otherwise)
    values = np.log(observed) if log else observed
    mean = (float(values[0]) if constant(values) else float(np.mean(values))) if values.size else float(center)
    std = _spread(values, otherwise)
    return mean, std, spread, (float(values.min()) - mean) / std if values.size else 0.0


def _spread(values: np.ndarray, otherwise: float) -> float:
    return float(otherwise) if not values.size or constant(values) else float(np.std(values))
