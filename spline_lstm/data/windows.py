"""Chronological splits, the origins in them, and windows gathered on the fly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from spline_lstm.data.covariates import Covariates
from spline_lstm.data.gaps import FilledSeries, counts_before
from spline_lstm.data.layout import Layout
from spline_lstm.data.phases import ROUNDING
from spline_lstm.run.errors import InsufficientDataError, NothingToScoreError, ParamsError
from spline_lstm.run.params import SplitParams

SPLITS = ("train", "validation", "test")
UNKNOWN = 0  # the identity of a row that training did not see
STEPS_AT_ONCE = 1 << 19  # of rows whose windows are listed together


@dataclass(frozen=True)
class Splits:
    """Chronological borders: each split holds steps from where the one before it ends."""

    train: int
    validation: int
    test: int

    def bounds(self, name: str) -> tuple[int, int]:
        """First step of a split, or of `all` together, and the step after its last."""
        if name == "all":
            return 0, self.test
        ends = (0, self.train, self.validation, self.test)
        index = SPLITS.index(name)
        return ends[index], ends[index + 1]


def split_series(timestamps: pd.DatetimeIndex, params: SplitParams, timezone: str, least: int = 0) -> Splits:
    """Turn shares, counts or dates into borders; dates are told by the clocks of a time zone.

    Args:
        timestamps: `(time,)`.
        params: Of the splits.
        timezone: In which dates are told.
        least: Steps that validation and test have at least, where `leaves_test`.

    Raises:
        ParamsError: A border is no date, or the borders are not in order within the series.
    """
    ends = [0]
    for name in SPLITS:
        ends.append(_end(name, getattr(params, name), ends[-1], timestamps, timezone))
    if leaves_test(params):
        ends[2] = min(max(ends[2], ends[1] + least), ends[3] - least)
        ends[1] = min(ends[1], ends[2] - least)
    if not all(earlier < later for earlier, later in pairwise(ends)) or ends[-1] > len(timestamps):
        raise ParamsError(
            f"`split` must give each of train, validation and test some of the {len(timestamps)} steps, in this order. "
            f"Received: borders {ends}. Mend split in params.yaml."
        )
    return Splits(*ends[1:])


def leaves_test(params: SplitParams) -> bool:
    """Whether train and validation are shares that leave some, and test is what is left."""
    shares = [border for border in (params.train, params.validation) if isinstance(border, float) and border < 1]
    return len(shares) == 2 and sum(shares) < 1 - ROUNDING and params.test is None


def train_steps(timestamps: pd.DatetimeIndex, params: SplitParams, timezone: str, least: int = 0) -> int:
    """Steps of the train split, as `split_series` has it, whether or not the other splits fit.

    Raises:
        ParamsError: The border is no date.
    """
    end = min(_end("train", params.train, 0, timestamps, timezone), len(timestamps))
    return max(min(end, len(timestamps) - 2 * least), 0) if leaves_test(params) else end


def _end(name: str, border: float | int | str | None, start: int, timestamps: pd.DatetimeIndex, timezone: str) -> int:
    if border is None:
        return len(timestamps)
    if isinstance(border, str):
        try:
            last = datetime.fromisoformat(border)
            if len(border) < len("20011231T00"):  # a date alone, whose day is in the split
                last += timedelta(days=1, microseconds=-1)
            local = pd.Timestamp(last).tz_localize(timezone, ambiguous=False, nonexistent="shift_forward")
            return int(timestamps.searchsorted(local.tz_convert("UTC").tz_localize(None), side="right"))
        except (ValueError, TypeError) as error:
            raise ParamsError(
                f"`split.{name}` must be a share, a number of rows or a date without offset. Received: {border!r:.40}."
            ) from error
    if border >= 1:
        return start + round(border)
    end = start + round(border * len(timestamps))
    rounded_up = 0 < end - len(timestamps) < len(SPLITS)  # shares that add up to one may come out longer
    return len(timestamps) if rounded_up else end


class Windows(NamedTuple):
    """All that a model sees of some windows, as known at their origins; everything is standardized, float32.

    Attributes:
        values: `(windows, lookback)`; step `lookback - 1` is the origin.
        missing: `(windows, lookback)`, 1 where a value was filled.
        past: `(windows, lookback, past)`, covariates known up to the origin.
        known: `(windows, lookback + horizon, known)`, covariates known for their own time.
        delayed: `(windows, lookback + horizon, delayed)`, what they were earlier, see `Covariates.delayed`.
        calendar: `(windows, lookback + horizon, calendar)`, those that all series share.
        static: `(windows, static)`, constants of the series.
        rows: `(windows,)`, int32, the identity of each window's row.
        cycles: `(windows, cycles, phases)`, a longer past, see `WindowSource.folded`.
        level: `(windows, 1)`, its mean.
        reach: `(windows, 1)`, the share of it that lies within the row.
    """

    values: np.ndarray
    missing: np.ndarray
    past: np.ndarray
    known: np.ndarray
    delayed: np.ndarray
    calendar: np.ndarray
    static: np.ndarray
    rows: np.ndarray
    cycles: np.ndarray
    level: np.ndarray
    reach: np.ndarray


@dataclass(frozen=True)
class WindowSource:
    """Filled series from which windows are cut; it holds no window itself.

    Rows and origins of windows are `(windows,)` each. An origin is the calendar step of the last value that a
    window sees.

    Attributes:
        filled: What was known at each origin, standardized: the rows to forecast, then those of past covariates.
        lookback: Steps of an input.
        horizon: Steps of a target.
        identities: `(rows,)`, int32, by which the model knows each row; `UNKNOWN` for one that training did not see.
        covariates: What accompanies the rows.
        cycles: How many seasons of a longer past go with each window.
        season: Steps of one, not always whole; a cycle has its whole number of them.
        effects: `(1 + static, known + delayed + calendar)`, which are taken out of that past; None for none. See
            `Covariates.effect`.
    """

    filled: FilledSeries
    lookback: int
    horizon: int
    identities: np.ndarray
    covariates: Covariates
    cycles: int = 0
    season: float = 1
    effects: np.ndarray | None = None

    @property
    def layout(self) -> Layout:
        return self.filled.layout

    @property
    def phases(self) -> int:
        """Steps of a cycle of the longer past."""
        return round(self.season)

    @property
    def trained(self) -> int:
        """How many rows a model of it must know."""
        return int(self.identities.max())

    @property
    def targets(self) -> Layout:
        """Where the rows to forecast stand."""
        return self.layout.of(slice(len(self.identities)))

    def inputs(self, rows: np.ndarray, origins: np.ndarray, lookback: int | None = None) -> np.ndarray:
        """What was known at each origin of the steps up to it.

        Returns:
            `(windows, lookback)`, float32; step `lookback - 1` is the origin.
        """
        lookback = lookback or self.lookback
        windows = self.layout.cut(self.filled.settled, rows, origins - lookback + 1, lookback)
        positions = self.layout.positions(rows, origins)
        open_steps = self.filled.open_steps(positions)
        open_ = np.flatnonzero(open_steps)
        if open_.size:
            # The open gap ends at the origin, so its held values are the last ones up to the origin's own.
            newest = np.searchsorted(self.filled.missing, positions[open_])[:, None]
            back = np.arange(lookback - 1, -1, -1)
            held = self.filled.held[np.maximum(newest - back, 0)]
            windows[open_] = np.where(back < open_steps[open_, None], held, windows[open_])
        return windows

    def without_clock(self) -> WindowSource:
        """The same without covariates of the clock and the year."""
        return replace(self, covariates=self.covariates.without_clock())

    def with_delays(self) -> WindowSource:
        """The same with what known covariates were earlier."""
        return replace(self, covariates=self.covariates.with_delays(self.lookback))

    def with_cycles(self, cycles: int, season: float, effects: np.ndarray) -> WindowSource:
        """The same with a longer past, without the effects of known covariates."""
        return replace(self, cycles=cycles, season=season, effects=effects if effects.any() else None)

    @cached_property
    def _effect(self) -> np.ndarray | None:
        return None if self.effects is None else self.covariates.effect(self.effects)

    def folded(self, rows: np.ndarray, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What was known at each origin of the newest cycles.

        Returns:
            `(windows, cycles, phases)`, float32, departures from their mean; what lies before a row begins is like the
            mean of the same phase since then. The steps ahead go through the same phases from the first one on.
            `(windows, 1)`, the mean, 0 where there is no cycle. `(windows, 1)`, the share that lies within the row.
        """
        begun = np.round(np.arange(self.cycles - 1, -1, -1) * self.season).astype(np.int64)  # after so many seasons
        lags = (begun[:, None] + np.arange(self.phases - 1, -1, -1)).ravel()
        positions, begins = self.layout.positions(rows, origins), self.layout.offsets[rows]
        back = positions[:, None] - lags
        values = self.filled.settled[np.maximum(back, begins[:, None])]
        newest = lags < self.lookback  # an open gap is shorter
        values[:, newest] = self.inputs(rows, origins)[:, self.lookback - 1 - lags[newest]]
        if self._effect is not None:
            seen = origins[:, None] - lags
            values = values - self.covariates.effect_before(self._effect, self.covariates.series[rows], seen)
        inside = back >= begins[:, None]
        level = (values * inside).sum(axis=1, keepdims=True) / np.maximum(inside.sum(axis=1, keepdims=True), 1)
        level = level.astype(np.float32)
        shape = len(rows), self.cycles, self.phases
        known = inside.reshape(shape)
        cycles = np.where(known, (values - level).reshape(shape), 0)
        of_phase = cycles.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
        reach = inside.sum(axis=1, keepdims=True) / np.float32(max(len(lags), 1))
        return np.where(known, cycles, of_phase.astype(np.float32)), level, reach.astype(np.float32)

    def effect_ahead(self, rows: np.ndarray, origins: np.ndarray) -> np.ndarray | float:
        """The effects of known covariates over the horizon: `(windows, horizon)`."""
        if self._effect is None:
            return 0.0
        return self.covariates.effect_steps(self._effect, self.covariates.series[rows], origins + 1, self.horizon)

    def windows(self, rows: np.ndarray, origins: np.ndarray) -> Windows:
        """All that a model sees."""
        covariates, series = self.covariates, self.covariates.series[rows]
        starts, length = origins - self.lookback + 1, self.lookback + self.horizon
        places = covariates.places(series, starts, length)
        return Windows(
            self.inputs(rows, origins),
            self.missing(rows, origins),
            self.past(rows, origins),
            covariates.known[places],
            covariates.delayed[places],
            covariates.calendar[starts[:, None] + np.arange(length)],
            covariates.static[series],
            self.identities[rows],
            *self.folded(rows, origins),
        )

    def past(self, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """What was known at each origin of past covariates: `(windows, lookback, past)`, float32."""
        past = self.covariates.past_rows(self.covariates.series[rows], len(self.identities))
        channels = self.inputs(past.ravel(), np.repeat(origins, past.shape[1]))
        return channels.reshape(*past.shape, self.lookback).transpose(0, 2, 1)

    def missing(self, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Which steps of the inputs were filled: `(windows, lookback)`, float32, 1 where missing."""
        observed = self.layout.cut(self.filled.observed, rows, origins - self.lookback + 1, self.lookback)
        return 1 - observed.astype(np.float32)

    def outputs(self, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Observed targets: `(windows, horizon)`, float32, NaN where nothing was observed."""
        flats = (self.filled.settled, self.filled.observed)
        values, observed = (self.layout.cut(flat, rows, origins + 1, self.horizon) for flat in flats)
        return np.where(observed, values, np.float32(np.nan))


@dataclass(frozen=True)
class WindowIndex:
    """Which windows a split has, ordered by row, then origin.

    Stretches of origins that follow each other in one row are kept by their first one: windows cost next to nothing.

    Attributes:
        first_rows: `(stretches,)`, int32.
        first_origins: `(stretches,)`, int32.
        begins: `(stretches + 1,)`, how many windows stand before each stretch, and how many there are.
        dropped: How many others were not usable.
    """

    first_rows: np.ndarray
    first_origins: np.ndarray
    begins: np.ndarray
    dropped: int

    @classmethod
    def of(cls, rows: np.ndarray, origins: np.ndarray, dropped: int = 0) -> WindowIndex:
        """Args: row and origin of each window, `(windows,)`, int32; how many others were not usable."""
        begins = np.flatnonzero((np.diff(rows, prepend=-1) != 0) | (np.diff(origins, prepend=-2) != 1))
        return cls(rows[begins], origins[begins], np.append(begins, len(rows)), dropped)

    @classmethod
    def joined(cls, parts: Sequence[WindowIndex]) -> WindowIndex:
        """Parts of which each has other rows, in order."""
        before = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        return cls(
            np.concatenate([part.first_rows for part in parts]),
            np.concatenate([part.first_origins for part in parts]),
            np.append(
                np.concatenate([part.begins[:-1] + count for part, count in zip(parts, before, strict=False)]),
                before[-1],
            ),
            sum(part.dropped for part in parts),
        )

    def __len__(self) -> int:
        return int(self.begins[-1])

    @property
    def rows(self) -> np.ndarray:
        """`(windows,)`, int32."""
        return np.repeat(self.first_rows, np.diff(self.begins))

    @property
    def origins(self) -> np.ndarray:
        """`(windows,)`, int32."""
        return self.at(np.arange(len(self)))[1]

    def at(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and origins of some windows, by their numbers from 0."""
        stretch = np.searchsorted(self.begins, chosen, side="right") - 1
        origins = self.first_origins[stretch] + (chosen - self.begins[stretch])
        return self.first_rows[stretch], origins.astype(np.int32)

    def chunks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows and origins of all windows, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.at(np.arange(start, min(start + size, len(self))))

    def at_most(self, count: int) -> WindowIndex:
        """As many of them, evenly spread; all where there are no more."""
        if len(self) <= count:
            return self
        return WindowIndex.of(*self.at(np.linspace(0, len(self) - 1, count).round().astype(np.int64)), self.dropped)


def origins_of(layout: Layout, bounds: tuple[int, int], lookback: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of row and origin whose targets all lie within bounds and whose window lies in its row.

    The input of a window may reach back beyond the bounds.

    Returns:
        Rows and origins, `(windows,)` each, ordered by row, then origin.
    """
    start, end = bounds
    first = np.maximum(start - 1, layout.starts + lookback - 1)
    counts = np.maximum(np.minimum(end, layout.ends) - horizon - first, 0)
    rows = np.repeat(np.arange(len(layout), dtype=np.int32), counts)
    before = np.repeat(np.cumsum(counts) - counts - first, counts)
    return rows, (np.arange(len(rows)) - before).astype(np.int32)


def index_windows(source: WindowSource, splits: Splits, name: str, longest_gap: int, max_missing: float) -> WindowIndex:
    """List the usable windows of a split.

    Raises:
        InsufficientDataError: There is none, or not one of their targets was observed; in the test split a
            NothingToScoreError.
    """
    bounds, error = splits.bounds(name), NothingToScoreError if name == "test" else InsufficientDataError
    found, some_observed = [], False
    for part in source.targets.chunks(STEPS_AT_ONCE):  # memory and time of each are in proportion to its steps
        filled = source.filled.of_rows(part)
        rows, origins = origins_of(filled.layout, bounds, source.lookback, source.horizon)
        usable = filled.usable(rows, origins, source.lookback, longest_gap, max_missing)
        rows, origins, dropped = rows[usable], origins[usable], int((~usable).sum())
        counts, first = counts_before(filled.observed), filled.layout.positions(rows, origins) + 1
        some_observed |= bool((counts[first + source.horizon] > counts[first]).any())
        found.append(WindowIndex.of(rows + np.int32(part.start), origins, dropped))
    windows = WindowIndex.joined(found)
    if not len(windows):
        start, end = bounds
        needed = source.horizon + max(0, source.lookback - start)  # a window may begin in the splits before
        enlarge = f", enlarge split.{name}" if splits.test - (end - start) > 2 * source.horizon else ""
        shorter = "windows.horizon" if end - start < source.horizon else "windows.horizon or windows.lookback"
        raise error(
            f"The {name} split must hold a window: lookback {source.lookback}, horizon {source.horizon}, "
            f"{needed} steps or more. Received: {end - start} steps, {windows.dropped} windows"
            f"{' and all dropped for gaps' if windows.dropped else ''}. "
            f"{'Give a longer data.frequency' if windows.dropped else 'Give more data'}{enlarge}, or shorten {shorter}."
        )
    if not some_observed:
        raise error(
            f"The {name} split must hold observed targets. Received: none. Move split.{name}, or give more data."
        )
    return windows
