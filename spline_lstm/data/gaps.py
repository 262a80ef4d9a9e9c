"""What was known at an origin: gap filling that never looks ahead.

A missing step `i` stands between the last observation before it, at `a`, and the next, at `b`.
All that an origin `t` can know of it takes one of two values:

- **held**, for `t < b`: level + seasons + what the last observation stood out, decaying;
- **settled**, for `t >= b`: level + seasons + what both ends stood out, decaying inwards, as the
  conditional mean of an Ornstein-Uhlenbeck process between known ends does: an exponential spline
  (f'' = f / constant²), which is a straight line over short gaps and the level amid long ones.

Level and seasons are causal averages, so the held value depends on steps up to `a` and the
settled one on steps up to `b`. Two values of each missing step thus hold what is filled in
for every origin; a window takes held values behind its last observation and settled
ones elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spline_lstm.data.layout import Layout
from spline_lstm.data.phases import phases

LEVEL_SEASONS = 2  # time constant of the level, in seasons of the longest kind
DECAYS = np.geomspace(0.5, 5000, 60)  # steps; those that are tried
NO_DECAY = 1e9  # steps
CYCLES_REMEMBERED = 10  # time constant of seasonal effects, in seasons of their own kind
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

    def of_rows(self, rows: slice) -> FilledSeries:
        """Some rows that follow each other, as views."""
        begin, end = self.layout.offsets[[rows.start, rows.stop]]
        first, last = np.searchsorted(self.missing, [begin, end])
        return FilledSeries(
            self.layout.of(rows),
            self.settled[begin:end],
            self.observed[begin:end],
            self.held[first:last],
            self.since[first:last],
        )

    def usable(
        self, rows: np.ndarray, origins: np.ndarray, lookback: int, longest_gap: int, max_missing: float
    ) -> np.ndarray:
        """Whether each window is observed well enough, judged by what was known at its origin: `(windows,)`.

        Args:
            rows: `(windows,)`.
            origins: `(windows,)`, the calendar step of the last value in each window.
            lookback: Steps of a window.
            longest_gap: A window that touches a longer gap is not usable.
            max_missing: Nor is one with a larger share of missing steps.
        """
        ends = self.layout.positions(rows, origins)
        starts = ends - lookback + 1
        too_long = np.zeros_like(self.observed)
        too_long[self.missing] = self.gap_lengths() > longest_gap
        counts, long_counts = counts_before(~self.observed), counts_before(too_long)
        share = (counts[ends + 1] - counts[starts]) / lookback
        # How long an open gap will grow is not known yet: it counts by its length so far.
        open_steps = self.open_steps(ends)
        last = ends - open_steps
        touches = long_counts[np.maximum(last, starts - 1) + 1] > long_counts[starts]
        return (share <= max_missing) & (open_steps <= longest_gap) & ~touches & (last >= starts)

    def gap_lengths(self) -> np.ndarray:
        """`(missing,)`, the length that each missing step's gap has in the end."""
        # The first missing step of a gap is one step after an observation, or the first of its row.
        first = np.flatnonzero(self.since == 1)
        lengths = np.diff(np.append(first, self.since.size))
        return np.repeat(lengths, lengths)


def fill_gaps(
    values: np.ndarray, layout: Layout, seasons: Sequence[float] = (), decay: float | None = None
) -> FilledSeries:
    """Fill standardized values.

    Args:
        values: `(steps,)`, flat, NaN where nothing was observed.
        layout: Where the rows stand in it.
        seasons: Steps in a season of each kind, ascending; without any the level is the last value.
        decay: Time constant, in steps, of what an observation stands out; None: it stays.
    """
    settled, observed = values.astype(np.float32), ~np.isnan(values)
    held, since = [], []
    for row, known, filled in zip(layout.split(values), layout.split(observed), layout.split(settled), strict=True):
        missing = np.flatnonzero(~known)
        if missing.size:
            filled[missing], open_, steps = _fill_row(row, known, missing, seasons, decay or NO_DECAY)
            held.append(open_)
            since.append(steps)
    return FilledSeries(
        layout,
        settled,
        observed,
        np.concatenate(held or [np.empty(0)]).astype(np.float32),
        np.concatenate(since or [np.empty(0)]).astype(np.int32),
    )


def fit_decay(rows: Iterable[np.ndarray], seasons: Sequence[float], longest: int) -> float:
    """The time constant, in steps, that fills open gaps of 1, 2, 4, ... `longest` steps with the least squared error.

    Args:
        rows: `(time,)` each, NaN where nothing was observed. Each counts by its number of observations.
        seasons: Steps in a season of each kind, one at least, ascending.
        longest: Steps.
    """
    lags = 2 ** np.arange(int(longest).bit_length())
    squares, products, pairs = np.zeros((3, len(lags)))
    for row in rows:
        observed = ~np.isnan(row)
        if not observed.any() or not (spread := np.nanstd(row)):
            continue
        values = (row - np.nanmean(row)) / spread
        level, profile = _level_and_profile(np.where(observed, values, 0.0), observed, seasons)
        for place, lag in enumerate(lags[lags < len(row)]):
            last = values[:-lag] - profile[:-lag] - level[:-lag]
            hidden = values[lag:] - profile[lag:] - level[:-lag]
            both = observed[:-lag] & observed[lag:]
            squares[place] += last[both] @ last[both]
            products[place] += last[both] @ hidden[both]
            pairs[place] += both.sum()
    kept = np.exp(-lags / DECAYS[:, None])
    # Of the mean of (hidden - kept * last)² only these terms depend on the decay.
    errors = ((kept**2 * squares - 2 * kept * products) / np.maximum(pairs, 1)).sum(axis=1)
    return round(float(DECAYS[errors.argmin()]), 2)


def _fill_row(
    values: np.ndarray, observed: np.ndarray, missing: np.ndarray, seasons: Sequence[float], decay: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each missing step of a row: its settled value, its held value, steps since the last observation."""
    time = len(values)
    steps = np.arange(time)
    before = np.maximum.accumulate(np.where(observed, steps, -1))[missing]
    after = np.minimum.accumulate(np.where(observed, steps, time)[::-1])[::-1][missing]
    level, profile = _level_and_profile(np.where(observed, values, 0.0), observed, seasons)
    begun, closed = before >= 0, after < time
    effect = profile[missing]

    def end(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Level at the observed end of a gap, and what is left of its observation without the seasons."""
        steps = np.clip(steps, 0, time - 1)
        return level[steps], values[steps] - profile[steps]

    (level_before, left), (level_after, right) = end(before), end(after)
    since, until = (missing - before) / decay, (after - missing) / decay
    open_ = np.where(begun, effect + level_before + (left - level_before) * np.exp(-since), 0.0)
    bridge = (left - level_after) * _bridge(since, until) + (right - level_after) * _bridge(until, since)
    shut = effect + np.where(begun, level_after + bridge, right)
    return np.where(closed, shut, open_), open_, missing - before


def counts_before(flags: np.ndarray) -> np.ndarray:
    """How many of the flags before each position hold: `(steps + 1,)`."""
    return np.concatenate([[0], np.cumsum(flags, dtype=np.int32)])


def _bridge(near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """`sinh(far) / sinh(near + far)`, the weight of an end `near` away, without overflow."""
    return np.exp(-near) * np.expm1(-2 * far) / np.expm1(-2 * (near + far))


def runs(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First steps of the stretches where `flags`, `(time,)`, holds, and the steps after their last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2]


def _level_and_profile(
    values: np.ndarray, observed: np.ndarray, seasons: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Causal level of a row, valid at observed steps, and the sum of its seasonal effects, `(time,)` each.

    The level at a step averages observations up to that step. The effect of the shortest season averages what
    stood out from the level at the same phase of earlier seasons, that of each longer one what is left then.
    All forget exponentially.
    """
    from scipy.signal import lfilter  # half a second, which most stages, that fill nothing, do without

    weights = observed.astype(float)
    keep = np.exp(-1 / (LEVEL_SEASONS * seasons[-1])) if seasons else 0.0
    total = lfilter([1.0], [1.0, -keep], weights)
    level = lfilter([1.0], [1.0, -keep], values) / np.maximum(total, FORGOTTEN)
    profile = np.zeros_like(level)
    for season in seasons:
        profile += _effect((values - level - profile) * weights, weights, season)
    return level, profile


def _effect(stands_out: np.ndarray, weights: np.ndarray, season: float) -> np.ndarray:
    """Causal mean of earlier seasons at the same phase, shrunk towards zero: `(time,)`."""
    from scipy.signal import lfilter

    cycle, phase = phases(len(weights), season)
    table = np.zeros((2, cycle[-1] + 1, phase.max() + 1))
    table[:, cycle, phase] = stands_out, weights
    keep = np.exp(-1 / CYCLES_REMEMBERED)
    total, count = lfilter([0.0, 1.0], [1.0, -keep], table, axis=1)
    return (total / (count + PRIOR_WEIGHT))[cycle, phase]
