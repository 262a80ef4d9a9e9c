"""What was known at an origin: gap filling that never looks ahead.

A missing step `i` stands between the last observation before it, at `a`, and the next, at `b`.
All that an origin `t` can know of it takes one of two values:

- **held**, for `t < b`: level + season + what the last observation stood out, decaying;
- **settled**, for `t >= b`: level + season + what both ends stood out, decaying inwards, as the
  conditional mean of an Ornstein-Uhlenbeck process between known ends does: an exponential spline
  (f'' = f / constant²), which is a straight line over short gaps and the level amid long ones.

Level and season are causal averages, so the held value depends on steps up to `a` and the
settled one on steps up to `b`. Two arrays of the length of the series thus hold the filled
value for every origin; a window takes held values behind its last observation and settled
ones elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.signal import lfilter

from spline_lstm.data.layout import Layout

LEVEL_SEASONS = 2  # time constant of the level
DECAY = 0.4  # time constant of what an observation stands out from the level, in seasons
NO_DECAY = 1e9  # steps
CYCLES_REMEMBERED = 10  # time constant of seasonal effects, in seasons
PRIOR_WEIGHT = 0.5  # observations of zero that a seasonal effect starts from
FORGOTTEN = 1e-250  # total weight under which an average knows nothing


@dataclass(frozen=True)
class FilledSeries:
    """Series with every gap filled, as of every origin, in flat arrays.

    Gaps are few, so what only they need is kept for missing steps alone.

    Attributes:
        layout: Where the rows stand.
        settled: `(steps,)`, float32: the value once the gap is closed; observations as they are.
        observed: `(steps,)`, whether a value was observed.
        held: `(missing,)`, float32: the value of each missing step while its gap is open.
        since: `(missing,)`, int32: how many steps before it the last observation of its row stands;
            before the first, the steps to the row's begin and one more.
    """

    layout: Layout
    settled: np.ndarray
    observed: np.ndarray
    held: np.ndarray
    since: np.ndarray

    @cached_property
    def missing(self) -> np.ndarray:
        """`(missing,)`, positions of the missing steps, in order."""
        return np.flatnonzero(~self.observed)

    def open_steps(self, positions: np.ndarray) -> np.ndarray:
        """How long the gap at each position has been open: 0 where a value was observed."""
        if not self.missing.size:
            return np.zeros(len(positions), np.int32)
        index = np.minimum(np.searchsorted(self.missing, positions), self.missing.size - 1)
        return np.where(self.observed[positions], 0, self.since[index])

    def gap_lengths(self) -> np.ndarray:
        """`(missing,)`, the length that each missing step's gap has in the end."""
        # The first missing step of a gap is one step after an observation, or the first of its row.
        first = np.flatnonzero(self.since == 1)
        lengths = np.diff(np.append(first, self.since.size))
        return np.repeat(lengths, lengths)


def fill_gaps(values: np.ndarray, layout: Layout, season: int) -> FilledSeries:
    """Fill standardized values.

    Args:
        values: `(steps,)`, flat, NaN where nothing was observed.
        layout: Where the rows stand in it.
        season: Steps in one season; 1 for none, when an open gap holds the last value.
    """
    settled, observed = values.astype(np.float32), ~np.isnan(values)
    held, since = [], []
    for row, known, filled in zip(layout.split(values), layout.split(observed), layout.split(settled), strict=True):
        missing = np.flatnonzero(~known)
        if missing.size:
            filled[missing], open_, steps = _fill_row(row, known, missing, season)
            held.append(open_)
            since.append(steps)
    return FilledSeries(
        layout,
        settled,
        observed,
        np.concatenate(held or [np.empty(0)]).astype(np.float32),
        np.concatenate(since or [np.empty(0)]).astype(np.int32),
    )


def _fill_row(
    values: np.ndarray, observed: np.ndarray, missing: np.ndarray, season: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each missing step of a row: its settled value, its held value, steps since the last observation."""
    time = len(values)
    steps = np.arange(time)
    before = np.maximum.accumulate(np.where(observed, steps, -1))[missing]
    after = np.minimum.accumulate(np.where(observed, steps, time)[::-1])[::-1][missing]
    level, profile = _level_and_profile(np.where(observed, values, 0.0), observed, season)
    constant = season * DECAY if season > 1 else NO_DECAY
    begun, closed = before >= 0, after < time
    effect = profile[missing]

    def end(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Level at the observed end of a gap, and what is left of its observation without the season."""
        steps = np.clip(steps, 0, time - 1)
        return level[steps], values[steps] - profile[steps]

    (level_before, left), (level_after, right) = end(before), end(after)
    since, until = (missing - before) / constant, (after - missing) / constant
    open_ = np.where(begun, effect + level_before + (left - level_before) * np.exp(-since), 0.0)
    bridge = (left - level_after) * _bridge(since, until) + (right - level_after) * _bridge(until, since)
    shut = effect + np.where(begun, level_after + bridge, right)
    return np.where(closed, shut, open_), open_, missing - before


def _bridge(near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """`sinh(far) / sinh(near + far)`, the weight of an end `near` away, without overflow."""
    return np.exp(-near) * np.expm1(-2 * far) / np.expm1(-2 * (near + far))


def runs(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First steps of the stretches where `flags`, `(time,)`, holds, and the steps after their last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2]


def _level_and_profile(values: np.ndarray, observed: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Causal level of a row, valid at observed steps, and its seasonal effect, `(time,)` each.

    The level at a step averages observations up to that step; the seasonal effect averages what
    stood out from the level at the same phase of earlier seasons. Both forget exponentially.
    """
    time = len(values)
    weights = observed.astype(float)
    keep = np.exp(-1 / (LEVEL_SEASONS * season)) if season > 1 else 0.0
    total = lfilter([1.0], [1.0, -keep], weights)
    level = lfilter([1.0], [1.0, -keep], values) / np.maximum(total, FORGOTTEN)
    if season == 1:
        return level, np.zeros_like(level)

    cycles = -(-time // season)
    padding = (0, cycles * season - time)
    stands_out = np.pad((values - level) * weights, padding).reshape(cycles, season)
    counts = np.pad(weights, padding).reshape(cycles, season)
    keep = np.exp(-1 / CYCLES_REMEMBERED)
    total = lfilter([0.0, 1.0], [1.0, -keep], counts, axis=0)
    profile = lfilter([0.0, 1.0], [1.0, -keep], stands_out, axis=0) / (total + PRIOR_WEIGHT)
    return level, profile.ravel()[:time]
