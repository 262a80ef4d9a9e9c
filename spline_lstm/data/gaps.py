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

import numpy as np
from scipy.signal import lfilter

LEVEL_SEASONS = 2  # time constant of the level
DECAY = 0.4  # time constant of what an observation stands out from the level, in seasons
NO_DECAY = 1e9  # steps
CYCLES_REMEMBERED = 10  # time constant of seasonal effects, in seasons
PRIOR_WEIGHT = 0.5  # observations of zero that a seasonal effect starts from
FORGOTTEN = 1e-250  # total weight under which an average knows nothing


@dataclass(frozen=True)
class FilledSeries:
    """Series with every gap filled, as of every origin.

    Attributes:
        settled: `(rows, time)`, float32: the value once the gap is closed; observations as they are.
        held: `(rows, time)`, float32: the value while the gap is open; observations as they are.
        last_observed: `(rows, time)`: index of the last observation at or before each step, -1 before the first.
        next_observed: `(rows, time)`: index of the next observation at or after each step, `time` after the last.
    """

    settled: np.ndarray
    held: np.ndarray
    last_observed: np.ndarray
    next_observed: np.ndarray

    @property
    def observed(self) -> np.ndarray:
        """`(rows, time)`, whether a value was observed."""
        return self.last_observed == np.arange(self.last_observed.shape[1])


def fill_gaps(values: np.ndarray, season: int) -> FilledSeries:
    """Fill `(rows, time)` standardized values, NaN where nothing was observed.

    Args:
        values: What was observed.
        season: Steps in one season; 1 for none, when an open gap holds the last value.
    """
    time = values.shape[1]
    steps = np.arange(time)
    observed = ~np.isnan(values)
    last = np.maximum.accumulate(np.where(observed, steps, -1), axis=1)
    following = np.minimum.accumulate(np.where(observed, steps, time)[:, ::-1], axis=1)[:, ::-1]
    level, profile = _level_and_profile(np.where(observed, values, 0.0), observed, season)
    constant = season * DECAY if season > 1 else NO_DECAY

    rows, missing = np.nonzero(~observed)
    before, after = last[rows, missing], following[rows, missing]
    begun, closed = before >= 0, after < time
    effect = profile[rows, missing]

    def end(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Level at the observed end of a gap, and what is left of its observation without the season."""
        steps = np.clip(steps, 0, time - 1)
        return level[rows, steps], values[rows, steps] - profile[rows, steps]

    (level_before, left), (level_after, right) = end(before), end(after)
    since, until = (missing - before) / constant, (after - missing) / constant
    open_ = np.where(begun, effect + level_before + (left - level_before) * np.exp(-since), 0.0)
    bridge = (left - level_after) * _bridge(since, until) + (right - level_after) * _bridge(until, since)
    shut = effect + np.where(begun, level_after + bridge, right)
    settled, held = values.astype(np.float32), values.astype(np.float32)
    settled[rows, missing] = np.where(closed, shut, open_)
    held[rows, missing] = open_
    return FilledSeries(settled, held, last.astype(np.int32), following.astype(np.int32))


def _bridge(near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """`sinh(far) / sinh(near + far)`, the weight of an end `near` away, without overflow."""
    return np.exp(-near) * np.expm1(-2 * far) / np.expm1(-2 * (near + far))


def runs(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First steps of the stretches where `flags`, `(time,)`, holds, and the steps after their last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2]


def _level_and_profile(values: np.ndarray, observed: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Causal level, valid at observed steps, and seasonal effect, `(rows, time)` each.

    The level at a step averages observations up to that step; the seasonal effect averages what
    stood out from the level at the same phase of earlier seasons. Both forget exponentially.
    """
    rows, time = values.shape
    weights = observed.astype(float)
    keep = np.exp(-1 / (LEVEL_SEASONS * season)) if season > 1 else 0.0
    total = lfilter([1.0], [1.0, -keep], weights, axis=1)
    level = lfilter([1.0], [1.0, -keep], values, axis=1) / np.maximum(total, FORGOTTEN)
    if season == 1:
        return level, np.zeros_like(level)

    cycles = -(-time // season)
    padding = ((0, 0), (0, cycles * season - time))
    shape = (rows, cycles, season)
    stands_out = np.pad((values - level) * weights, padding).reshape(shape)
    counts = np.pad(weights, padding).reshape(shape)
    keep = np.exp(-1 / CYCLES_REMEMBERED)
    total = lfilter([0.0, 1.0], [1.0, -keep], counts, axis=1)
    profile = lfilter([0.0, 1.0], [1.0, -keep], stands_out, axis=1) / (total + PRIOR_WEIGHT)
    return level, profile.reshape(rows, -1)[:, :time]
