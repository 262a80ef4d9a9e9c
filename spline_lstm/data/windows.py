"""Chronological splits, the origins in them, and windows gathered on the fly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from spline_lstm.data.gaps import FilledSeries
from spline_lstm.run.errors import InsufficientDataError, ParamsError
from spline_lstm.run.params import SplitParams

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Splits:
    """Chronological borders: each split holds steps from where the one before it ends."""

    train: int
    validation: int
    test: int

    def bounds(self, name: str) -> tuple[int, int]:
        """First step of a split, and the step after its last."""
        ends = (0, self.train, self.validation, self.test)
        index = SPLITS.index(name)
        return ends[index], ends[index + 1]

    def origins(self, name: str, lookback: int, horizon: int) -> np.ndarray:
        """Last observed steps of the windows whose targets all lie in a split.

        The input of a window may reach back into the split before.
        """
        start, end = self.bounds(name)
        return np.arange(max(start - 1, lookback - 1), end - horizon)


def split_series(timestamps: pd.DatetimeIndex, params: SplitParams) -> Splits:
    """Turn shares, counts or dates into borders.

    Raises:
        ParamsError: A border is no date, or the borders are not in order within the series.
    """
    ends = [0]
    for name in SPLITS:
        ends.append(_end(name, getattr(params, name), ends[-1], timestamps))
    if not all(earlier < later for earlier, later in pairwise(ends)) or ends[-1] > len(timestamps):
        raise ParamsError(
            f"`split` must give each of train, validation and test some of the {len(timestamps)} steps, in this order. "
            f"Received: borders {ends}. Mend split in params.yaml."
        )
    return Splits(*ends[1:])


def _end(name: str, border: float | int | str | None, start: int, timestamps: pd.DatetimeIndex) -> int:
    if border is None:
        return len(timestamps)
    if isinstance(border, str):
        try:
            last = datetime.fromisoformat(border)
            if len(border) == len("2001-12-31"):
                last += timedelta(days=1, microseconds=-1)  # the day is in the split
            return int(timestamps.searchsorted(pd.Timestamp(last), side="right"))
        except (ValueError, TypeError) as error:
            raise ParamsError(
                f"`split.{name}` must be a share, a number of rows or a date without offset. Received: {border!r:.40}."
            ) from error
    if border >= 1:
        return start + round(border)
    end = start + round(border * len(timestamps))
    rounded_up = 0 < end - len(timestamps) < len(SPLITS)  # shares that add up to one may come out longer
    return len(timestamps) if rounded_up else end


@dataclass(frozen=True)
class WindowSource:
    """Filled and observed series from which windows are cut; it holds no window itself.

    Attributes:
        filled: What was known at each origin, standardized.
        targets: `(rows, time)`, float32, standardized observations, NaN where nothing was observed.
        lookback: Steps of an input.
        horizon: Steps of a target.
    """

    filled: FilledSeries
    targets: np.ndarray
    lookback: int
    horizon: int

    def inputs(self, rows: np.ndarray, origins: np.ndarray, lookback: int | None = None) -> np.ndarray:
        """What was known at each origin of the steps up to it.

        Returns:
            `(windows, lookback)`, float32; step `lookback - 1` is the origin.
        """
        lookback = lookback or self.lookback
        starts = origins - lookback + 1
        windows = _cut(self.filled.settled, rows, starts, lookback)
        last = self.filled.last_observed[rows, origins]
        open_ = np.flatnonzero(last < origins)
        if open_.size:
            held = _cut(self.filled.held, rows[open_], starts[open_], lookback)
            behind = starts[open_, None] + np.arange(lookback) > last[open_, None]
            windows[open_] = np.where(behind, held, windows[open_])
        return windows

    def missing(self, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Which steps of the inputs were filled: `(windows, lookback)`, float32, 1 where missing."""
        return 1 - _cut(self.filled.observed, rows, origins - self.lookback + 1, self.lookback).astype(np.float32)

    def outputs(self, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Observed targets: `(windows, horizon)`, float32, NaN where nothing was observed."""
        return _cut(self.targets, rows, origins + 1, self.horizon)

    def usable(self, rows: np.ndarray, origins: np.ndarray, longest_gap: int, max_missing: float) -> np.ndarray:
        """Whether each input is observed well enough, judged by what was known at its origin.

        Args:
            rows: `(windows,)`.
            origins: `(windows,)`.
            longest_gap: A window that touches a longer gap is not usable.
            max_missing: Nor is one with a larger share of missing steps.
        """
        filled = self.filled
        counts = np.pad(np.cumsum(~filled.observed, axis=1), ((0, 0), (1, 0)))
        too_long = ~filled.observed & (filled.next_observed - filled.last_observed - 1 > longest_gap)
        long_counts = np.pad(np.cumsum(too_long, axis=1), ((0, 0), (1, 0)))
        starts = origins - self.lookback + 1
        last = filled.last_observed[rows, origins]
        share = (counts[rows, origins + 1] - counts[rows, starts]) / self.lookback
        # How long an open gap will grow is not known yet: it counts by its length so far.
        closed = np.maximum(last, starts - 1)
        touches = long_counts[rows, closed + 1] > long_counts[rows, starts]
        return (share <= max_missing) & (origins - last <= longest_gap) & ~touches & (last >= starts)


@dataclass(frozen=True)
class WindowIndex:
    """Which windows a split has: pairs of row and origin, ordered by origin, then row."""

    rows: np.ndarray
    origins: np.ndarray
    dropped: int

    def __len__(self) -> int:
        return len(self.rows)


def index_windows(source: WindowSource, splits: Splits, name: str, longest_gap: int, max_missing: float) -> WindowIndex:
    """List the usable windows of a split.

    Raises:
        InsufficientDataError: There is none, or not one of their targets was observed.
    """
    origins = splits.origins(name, source.lookback, source.horizon)
    rows = len(source.targets)
    row_of, origin_of = np.tile(np.arange(rows), len(origins)), np.repeat(origins, rows)
    usable = source.usable(row_of, origin_of, longest_gap, max_missing)
    if not usable.any():
        start, end = splits.bounds(name)
        needed = source.horizon + (source.lookback if name == "train" else 0)
        raise InsufficientDataError(
            f"The {name} split must hold a window: lookback {source.lookback}, horizon {source.horizon}, "
            f"{needed} steps or more. Received: {end - start} steps, {len(origins)} windows"
            f"{' and all dropped for gaps' if len(origins) else ''}. "
            "Give more data, or shorten windows.horizon or windows.lookback."
        )
    windows = WindowIndex(row_of[usable], origin_of[usable], int((~usable).sum()))
    counts = np.pad(np.cumsum(np.isfinite(source.targets), axis=1), ((0, 0), (1, 0)))
    first = windows.origins + 1
    if not (counts[windows.rows, first + source.horizon] > counts[windows.rows, first]).any():
        raise InsufficientDataError(
            f"The {name} split must hold observed targets. Received: none. Move split.{name}, or give more data."
        )
    return windows


def _cut(array: np.ndarray, rows: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    return sliding_window_view(array, length, axis=1)[rows, starts]
