"""Prediction intervals from what forecasts missed before, as it was known at each origin.

Half-widths are quantiles of what forecasts of validation and earlier test windows missed (conformal prediction, Lei et
al. 2018, with weights that fade, Barber et al. 2023, Conformal prediction beyond exchangeability). At an origin only
targets that had been observed by then count. All is standardized; a miss is taken relative to what is usual at the
height and the hour of its forecast, see `MissScale`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import Field, TypeAdapter
from scipy.special import ndtri

from spline_lstm.run.params import EvaluateParams
from spline_lstm.scores.miss_scale import HOURS, MissScale

HALF_LIFE = 6  # horizons in which what a miss weighs halves
SHORTEST, LONGEST = 0.1, 0.5  # of such a half-life, as shares of the validation split
RENEWALS = 64  # of the quantiles, in as many steps as the validation split has
POWERS = (0.0, 0.5, 1.0)  # the first one stands unless another is clearly better
CLEARLY = 0.9  # of the interval score
LEAST_WIDTH = 1e-6  # standard deviations: what is forecast exactly is so but for rounding
JUDGED = 0.9  # the coverage by which powers are judged
MOST_JUDGES, MOST_JUDGED_ROWS = 1 << 12, 1 << 6  # windows and rows, evenly spread
MOST_POOLED = 1 << 13  # windows of all rows together
COLUMNS_AT_ONCE = 1 << 10
NEIGHBOURS = 2  # steps to either side

Width = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Misses:
    """What forecasts of windows missed, standardized.

    Attributes:
        rows: `(windows,)`.
        origins: `(windows,)`.
        sizes: `(windows, horizon)`, absolute errors, NaN where nothing was observed.
        scales: `(windows, horizon)`, positive, what the sizes are in proportion to.
    """

    rows: np.ndarray
    origins: np.ndarray
    sizes: np.ndarray
    scales: np.ndarray

    def of(self, windows: np.ndarray) -> Misses:
        """Those of some windows."""
        return Misses(self.rows[windows], self.origins[windows], self.sizes[windows], self.scales[windows])

    def by_row(self) -> Iterator[tuple[int, Misses]]:
        """Each row that has windows, and its own."""
        for row, windows in enumerate(_places(self.rows, int(self.rows.max(initial=-1)) + 1)):
            if len(windows):
                yield row, self.of(windows)

    def at_most(self, count: int) -> Misses:
        """Those of as many windows, evenly spread."""
        if len(self.rows) <= count:
            return self
        return self.of(np.linspace(0, len(self.rows) - 1, count).round().astype(np.int64))

    def followed_by(self, other: Misses) -> Misses:
        """These and then others."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Misses(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True)
class Certainty:
    """What intervals of a run are made from.

    Attributes:
        misses: Of validation windows, and of later ones.
        scale: What they are in proportion to.
        levels: Wanted coverage, each between 0 and 1.
        span: Steps of the validation split.
    """

    misses: Misses
    scale: MissScale
    levels: tuple[float, ...]
    span: int

    def half_widths(self, asked: Misses, open_steps: np.ndarray) -> np.ndarray:
        """Of some windows, standardized: `(windows, levels, horizon)`; see the function of this name.

        Args:
            asked: The windows; what they missed counts only if it is among the misses of the run.
            open_steps: `(windows,)`, how many of the newest steps up to the origin are missing.
        """
        relative = half_widths(self.misses, asked.rows, asked.origins, self.levels, self.span)
        return in_force(relative, asked.scales, open_steps)

    def newest(self, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Relative half-widths as of the end of all rows, for forecasts beyond them.

        Args:
            ends: `(rows,)`, the calendar step after each row's last.

        Returns:
            `(rows, levels, horizon)`, and `(levels, horizon)` of all rows together, for others.
        """
        rows = np.arange(len(ends) + 1)
        widths = half_widths(self.misses, rows, np.full(len(rows), ends.max() - 1), self.levels, self.span)
        return widths[:-1], widths[-1]


def choose_power(validation: Misses, span: int) -> float:
    """The power of a forecast's height that its misses follow, by the interval scores of later validation windows.

    Args:
        validation: Of validation windows; their scales are heights.
        span: Steps of the validation split.
    """
    rows = np.unique(validation.rows)
    if len(rows) > MOST_JUDGED_ROWS:
        chosen = rows[np.linspace(0, len(rows) - 1, MOST_JUDGED_ROWS).round().astype(np.int64)]
        validation = validation.of(np.isin(validation.rows, chosen))
    first, last = validation.origins.min(), validation.origins.max()
    judges = validation.of(validation.origins > (first + last) / 2).at_most(MOST_JUDGES)
    if np.isnan(judges.sizes).all():  # of none, too
        return POWERS[0]
    scores = []
    for power in POWERS:
        misses = replace(validation, scales=validation.scales**power)
        widths = half_widths(misses, judges.rows, judges.origins, (JUDGED,), span)[:, 0] * judges.scales**power
        scores.append(float(np.nanmean(2 * widths + 2 / (1 - JUDGED) * np.maximum(judges.sizes - widths, 0))))
    best = min(range(len(POWERS)), key=lambda index: scores[index])
    return POWERS[best] if scores[best] < CLEARLY * scores[0] else POWERS[0]


def half_widths(
    misses: Misses, rows: np.ndarray, origins: np.ndarray, levels: Sequence[float], span: int
) -> np.ndarray:
    """Half-widths of intervals at some origins, relative to the scales of misses.

    A miss weighs half as much for every half-life that it is older, see `half_life`. The wanted level grows as if one
    more independent window had been missed by far, of which overlapping windows are one for each horizon. Where a row
    has too few misses for a level, those of all rows together decide.

    Args:
        misses: Of windows before and after.
        rows: `(asked,)`.
        origins: `(asked,)`.
        levels: Wanted coverage, each between 0 and 1.
        span: Steps of the validation split.

    Returns:
        `(asked, levels, horizon)`, float32; a higher level is never narrower.
    """
    every = max(1, span // RENEWALS)
    times = origins - origins % every  # on the calendar, so that no renewal depends on what comes later
    relative = (misses.sizes / misses.scales).astype(np.float32)
    horizon = relative.shape[1]
    fading = half_life(span, horizon)
    result = np.full((len(rows), len(levels), horizon), np.nan, np.float32)
    by_row = _places(rows, int(max(rows.max(initial=0), misses.rows.max())) + 1)
    for group, known in _alike(misses):
        asked = [by_row[row] for row in group]
        if not sum(map(len, asked)):
            continue
        ranked = _Ranked.of(np.stack([relative[windows] for windows in known], 1), misses.origins[known[0]], fading)
        for time in np.unique(times[np.concatenate(asked)]):
            widths = ranked.quantiles(time, levels, enough=True)
            for place, windows in enumerate(asked):
                result[windows[times[windows] == time]] = widths[:, place]
    lacking = np.isnan(result).any(axis=(1, 2))
    if lacking.any():
        for time in np.unique(times[lacking]):
            pool = misses.of(misses.origins < time).at_most(MOST_POOLED)  # chosen without those that come later
            ranked = _Ranked.of((pool.sizes / pool.scales).astype(np.float32)[:, None], pool.origins, fading)
            widths = ranked.quantiles(time, levels, enough=False)[:, 0]
            widths = np.where(np.isnan(widths), np.nanmax(widths, initial=0, axis=1, keepdims=True), widths)
            at = np.flatnonzero(lacking & (times == time))
            result[at] = np.where(np.isnan(result[at]), widths, result[at])
    order = np.argsort(levels, kind="stable")
    result[:, order] = np.maximum.accumulate(result[:, order], axis=1)  # own and pooled ones could cross
    return np.maximum(result, np.float32(LEAST_WIDTH))


def half_life(span: int, horizon: int) -> float:
    """Steps in which what a miss weighs halves: some independent windows, but not too small a share of all.

    Many windows can follow a drift; few need all of what they know.

    Args:
        span: Steps of the validation split.
        horizon: Steps of an independent window.
    """
    return min(max(HALF_LIFE * horizon, SHORTEST * span), LONGEST * span)


@dataclass(frozen=True)
class RecordedIntervals:
    """What a finished run leaves for the intervals of forecasts beyond its rows.

    Attributes:
        asked: Coverage and quantiles.
        power: See `MissScale`.
        hourly: The same, `(HOURS,)` of each series; of others all hours are alike.
        half_widths: `(levels, horizon)` of each series, see `Certainty.newest`.
        pooled: `(levels, horizon)`, of others.
    """

    asked: EvaluateParams
    power: float
    hourly: Mapping[str, np.ndarray]
    half_widths: Mapping[str, np.ndarray]
    pooled: np.ndarray

    @classmethod
    def of_content(cls, content: Mapping[str, Any], horizon: int) -> RecordedIntervals:
        """From `intervals` of a metrics file.

        Raises:
            ValueError, TypeError, KeyError: It holds something else.
        """
        asked = EvaluateParams(coverage=content["coverage"], quantiles=content["quantiles"])
        power = TypeAdapter(Width).validate_python(content["power"])
        hourly = TypeAdapter(dict[str, list[Scale]]).validate_python(content["hourly"])
        if any(len(each) != HOURS for each in hourly.values()):
            raise ValueError(f"scales of other than {HOURS} hours")
        widths = TypeAdapter(dict[str, list[list[Width]]]).validate_python(content["half_widths"])
        pooled = TypeAdapter(list[list[Width]]).validate_python(content["pooled"])
        shape = len(asked.levels), horizon
        arrays = {name: np.array(each) for name, each in widths.items()}
        if any(each.shape != shape for each in (*arrays.values(), np.array(pooled))):
            raise ValueError(f"half-widths of another shape than {shape}")
        scales = {name: np.array(each, np.float32) for name, each in hourly.items()}
        return cls(asked, power, scales, arrays, np.array(pooled))

    def scale(self, names: Sequence[str]) -> MissScale:
        """What misses of these rows are in proportion to."""
        even = np.ones(HOURS, np.float32)
        return MissScale(self.power, np.array([self.hourly.get(name, even) for name in names]))

    def of(self, names: Sequence[str]) -> np.ndarray:
        """Relative half-widths: `(names, levels, horizon)`."""
        return np.array([self.half_widths.get(name, self.pooled) for name in names])


def in_force(relative: np.ndarray, scales: np.ndarray, open_steps: np.ndarray) -> np.ndarray:
    """Half-widths as forecasts need them, standardized: `(windows, levels, horizon)`.

    Where the newest steps are missing, a step ahead is as unsure as one that is so much further ahead.

    Args:
        relative: `(windows, levels, horizon)`, to the scales.
        scales: `(windows, horizon)`, see `MissScale`.
        open_steps: `(windows,)`, how many of the newest steps up to the origin are missing.
    """
    horizon = relative.shape[2]
    later = np.minimum(np.arange(horizon) + open_steps[:, None], horizon - 1)
    waited = np.maximum(relative, np.take_along_axis(relative, later[:, None], axis=2))
    return waited * scales[:, None]


def _places(rows: np.ndarray, count: int) -> list[np.ndarray]:
    """Which windows are of each row."""
    order = np.argsort(rows, kind="stable")
    return np.split(order, np.searchsorted(rows[order], np.arange(1, count)))


def _alike(misses: Misses) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """Rows that have windows at the same origins, some at a time, and the windows of each."""
    groups: dict[bytes, list[tuple[int, np.ndarray]]] = {}
    for row, windows in enumerate(_places(misses.rows, int(misses.rows.max()) + 1)):
        if len(windows):
            groups.setdefault(misses.origins[windows].tobytes(), []).append((row, windows))
    at_once = max(1, COLUMNS_AT_ONCE // misses.sizes.shape[1])
    for members in groups.values():
        for start in range(0, len(members), at_once):
            rows, windows = zip(*members[start : start + at_once], strict=True)
            yield list(rows), list(windows)


@dataclass(frozen=True)
class _Ranked:
    """Misses in ascending order, apart for each row and step.

    Attributes:
        sizes: `(windows, rows, horizon)`, NaN last.
        order: The same, which window each is of.
        origins: `(windows,)`.
        half_life: Steps.
    """

    sizes: np.ndarray
    order: np.ndarray
    origins: np.ndarray
    half_life: float

    @classmethod
    def of(cls, sizes: np.ndarray, origins: np.ndarray, half_life: float) -> _Ranked:
        order = np.argsort(sizes, axis=0, kind="stable")
        return cls(np.take_along_axis(sizes, order, axis=0), order, origins, half_life)

    def quantiles(self, time: int, levels: Sequence[float], enough: bool) -> np.ndarray:
        """As of a time: `(levels, rows, horizon)`, NaN where nothing was known.

        Args:
            time: Calendar step.
            levels: Wanted coverage.
            enough: Whether there must be so many misses that one of them is the quantile. Otherwise the quantile of
                too few is the largest one, stretched as between two quantiles of a normal distribution, and then the
                mean of those of the steps around it: each alone is chance.
        """
        if not len(self.origins):
            return np.full((len(levels), *self.sizes.shape[1:]), np.nan)
        fading = 0.5 ** (np.maximum(time - self.origins, 0) / self.half_life)
        known = self.origins[self.order] + np.arange(1, self.sizes.shape[2] + 1) <= time
        weights = np.where(known & ~np.isnan(self.sizes), fading[self.order], 0)
        total, count, largest = weights.cumsum(axis=0), (weights > 0).sum(axis=0), weights.max(axis=0)
        horizon, everything = weights.shape[2], total[-1]
        independent = np.maximum(everything**2 / np.where(count > 0, (weights**2).sum(axis=0), 1) / horizon, 1)
        some = np.maximum(count, 1)
        reached = ndtri((1 + some / (some + 1)) / 2)  # by the largest one
        last = len(weights) - 1 - (weights[::-1] > 0).argmax(axis=0)
        result = []
        for level in levels:
            wanted = level + (1 - level) / (1 + independent)
            place = np.minimum((total < wanted * (everything + largest)).sum(axis=0), last)
            widths = np.take_along_axis(self.sizes, place[None], axis=0)[0]
            stretch = np.nan if enough else ndtri((1 + level) / 2) / reached
            few = (count + 1) * level > count
            widths = np.where(count > 0, widths * np.where(few, stretch, 1), np.nan)
            result.append(widths if enough else np.where(few, _around(widths), widths))
        return np.stack(result)


def _around(widths: np.ndarray) -> np.ndarray:
    """The mean of each step and its neighbours, `NEIGHBOURS` to either side, as far as they are known.

    Args:
        widths: `(rows, horizon)`, NaN where nothing is known, which stays so.
    """
    padded = np.pad(widths, ((0, 0), (NEIGHBOURS, NEIGHBOURS)), constant_values=np.nan)
    near = sliding_window_view(padded, 2 * NEIGHBOURS + 1, axis=1)
    means = np.nansum(near, axis=2) / np.maximum(np.sum(~np.isnan(near), axis=2), 1)
    return np.where(np.isnan(widths), np.nan, means)
