"""The regular grid that irregular timestamps go to: its step, its phase, its closed hours."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.data.calendar import local_time
from spline_lstm.data.closed import infer_closed
from spline_lstm.data.tables import Table
from spline_lstm.run.errors import DataError, ParamsError

log = logging.getLogger(__name__)

HEAD_ROWS = 1000  # the grid is inferred from the oldest rows, so that no later row can move it
VOTERS = 50  # series that decide on the step
FEWEST_ROWS = 3  # of a series that votes
JUDGES, MOST = 100, 0.9  # steps before the last one, and the share of them that tells when a step is over
HEAD_SHARE = 2  # of a short series, from its older half
MOST_STEPS_PER_ROW = 100
MOST_STEPS = 10_000_000
ROUNDS = 4  # of telling a step by how many of the one before lie in each gap
COUNTED_STEPS = 4  # in a longer gap, such as a night, a median that is a little off counts wrong
DAY = pd.Timedelta("1D")
BEFORE_BORDER = pd.Timedelta(weeks=2)  # the train split ends up to this much earlier where closed hours are left out
JITTER_OF_STEP = 0.05  # a median step this close to a common one is taken for it
FEWEST_OF_LABELS, FEWEST_NEIGHBOURS = 0.4, 0.2  # of a step that fits all timestamps, to be theirs
MOST_OF_WEEK = pd.Timedelta("5D")  # between rows of some days of each week, on average: a weekly one may move by a day
LEAST_BUSINESS = 0.99  # share of business days: a Saturday that is one now and then leaves the step
MOST_DAYS_APART = 6  # of the days of months, from either end, that rows of one a month may have
SECONDS, MINUTES, HOURS = (1, 5, 10, 15, 30), (1, 2, 5, 10, 15, 20, 30), (1, 2, 3, 4, 6, 8, 12, 24, 168)
UNITS, OFF_BY_ROUNDING = ("1s", "500ms", "100ms", "10ms", "1ms", "100us", "10us", "1us"), 0.25
COMMON_STEPS = pd.to_timedelta([*SECONDS, *(60 * n for n in MINUTES), *(3600 * n for n in HOURS)], unit="s")


def vote_frequency(rows: Table) -> str:
    """The step that most series have, by the votes of the `VOTERS` longest ones."""
    heads = _heads(rows)
    found = Counter(map(infer_frequency, heads)).most_common(1)[0][0]
    offset = pd.tseries.frequencies.to_offset(found)
    unusual = isinstance(offset, pd.tseries.offsets.Tick) and pd.Timedelta(offset) not in COMMON_STEPS
    if unusual and not pd.infer_freq(heads[0]):
        log.warning(
            "no usual step fits the timestamps: %s is what mostly lies between them; "
            "give data.frequency if they are due otherwise, a longer one where they come in bursts",
            found,
        )
    return found


def infer_frequency(timestamps: pd.DatetimeIndex) -> str:
    """Name the step of sorted, distinct timestamps that may have gaps and jitter.

    Raises:
        DataError: There are fewer than three, or centuries between two.
    """
    if len(timestamps) < 3:
        raise DataError(
            f"`data.frequency` can be inferred from 3 timestamps or more. Received: {len(timestamps)}. Give more rows.",
            "set data.frequency",
        )
    regular = pd.infer_freq(timestamps)
    if regular and regular != "bh":  # hours of a working day are closed hours of a plain grid
        return regular
    try:
        apart = pd.Series(timestamps[1:] - timestamps[:-1])
    except OverflowError as error:
        raise DataError(
            f"`data.frequency` can be inferred where no gap spans 292 years. Received: {timestamps[0]} to "
            f"{timestamps[-1]}. Mend a wrong timestamp.",
            "set data.frequency",
        ) from error
    step, whole = apart.median(), pd.Timedelta(int(np.gcd.reduce(np.diff(timestamps.asi8))))
    on_labels = whole in COMMON_STEPS and step < COUNTED_STEPS * whole
    for _ in range(1 if on_labels else ROUNDS):  # jitter makes the median of many gaps too long
        steps = (apart / step).round()  # of a gap, more than one: else gaps would stretch the step
        few = (steps > 0) & (steps <= COUNTED_STEPS)
        step = apart[few].sum() / steps[few].sum()
    if months := _months(timestamps):
        return months
    if abs(step / DAY - 1) < JITTER_OF_STEP and np.mean(timestamps.dayofweek < 5) >= LEAST_BUSINESS:
        return "B"
    if thinned := _thinned(timestamps):
        return thinned
    nearest = COMMON_STEPS[np.abs(COMMON_STEPS / step - 1).argmin()]
    if abs(nearest / step - 1) > JITTER_OF_STEP and on_labels:
        nearest = round(step / whole) * whole
    elif abs(nearest / step - 1) > JITTER_OF_STEP:
        are_dates = (timestamps == timestamps.normalize()).all()
        nearest = max(step.round("1D"), DAY) if are_dates else _rounded(step, timestamps)
    return pd.tseries.frequencies.to_offset(nearest).freqstr


def _rounded(step: pd.Timedelta, timestamps: pd.DatetimeIndex) -> pd.Timedelta:
    """A step in the coarsest unit by which no timestamp is off by a quarter of a step."""
    steps = (timestamps[-1] - timestamps[0]) / step
    rounded = (step.round(unit) for unit in UNITS)
    return next((each for each in rounded if abs(each / step - 1) * steps < OFF_BY_ROUNDING), step)


def _months(timestamps: pd.DatetimeIndex) -> str | None:
    """The step of timestamps of which each has a month, or half of one, of its own: months, quarters or years.

    On one day of their months they are due on it, if it is the first, else on the first of the next month. On any last
    day, and on days near each other, such as the last one of trade, they are due on the last day of their month.
    """
    day, months = timestamps.day, np.diff(12 * timestamps.year + timestamps.month)
    for halves, name in ((day == 1, "SMS-15"), (timestamps.is_month_end, "SME-15")):
        if (halves | (day == 15)).all() and 0 < halves.sum() < len(day):
            return name
    apart, whole = int(np.quantile(months, 0.5, method="inverted_cdf")), int(np.gcd.reduce(months))
    if whole and np.mean(months == whole) >= FEWEST_NEIGHBOURS and len(day) * whole >= FEWEST_OF_LABELS * months.sum():
        apart = whole  # half of all rows may be missing between the others
    ends, alike = timestamps.is_month_end.all(), (day == day[0]).all()
    near = min(np.ptp(day), np.ptp(timestamps.days_in_month - day)) <= MOST_DAYS_APART
    lengths = np.diff(timestamps.asi8)
    if apart < 1 or not (ends or alike or (near and months.min() > 0 and (lengths % lengths.min()).any())):
        return None
    ends = ends or not alike
    unit, length = next(unit for unit in (("Y", 12), ("Q", 3), ("M", 1)) if apart % unit[1] == 0)
    label = timestamps[0] if ends else pd.offsets.MonthBegin().rollforward(timestamps[0])
    anchor = "" if unit == "M" else f"-{label.month_name()[:3].upper()}"
    return f"{apart // length if apart > length else ''}{unit}{'E' if ends else 'S'}{anchor}"


def _thinned(timestamps: pd.DatetimeIndex) -> str | None:
    """The common step of which whole multiples lie between all timestamps, if enough of its labels have one.

    Many must then lie next to each other, or all be of a few days of the week.
    """
    apart = np.diff(timestamps.asi8)
    step = pd.Timedelta(int(np.gcd.reduce(apart)))
    if step not in COMMON_STEPS:
        return None
    labels = pd.date_range(timestamps[0], timestamps[-1], freq=step)
    few_days = step == DAY and timestamps.dayofweek.nunique() < 7 and apart.mean() <= MOST_OF_WEEK.value
    if few_days:
        labels = labels[np.isin(labels.dayofweek, timestamps.dayofweek)]
    neighbours = np.mean(apart == step.value) >= FEWEST_NEIGHBOURS
    enough = len(timestamps) >= FEWEST_OF_LABELS * len(labels) and (few_days or neighbours)
    return pd.tseries.frequencies.to_offset(step).freqstr if enough else None


def full_grid(rows: Table, clock: pd.DatetimeIndex, frequency: str, anchor: pd.Timestamp | None) -> pd.DatetimeIndex:
    """Labels from the first row on to the first label not before the last one.

    Args:
        rows: In order of series and time.
        clock: Their timestamps, sorted and distinct.
        frequency: Of the grid.
        anchor: A label of it; None: it is inferred.
    """
    offset = pd.tseries.frequencies.to_offset(frequency)
    try:
        several = _several(rows, (clock[0] + 2 * offset) - (clock[0] + offset))
        start = _first_label(rows, clock, offset, several) if anchor is None else _after(clock, offset, anchor)
        steps = _steps(start, clock[-1], offset)
        most = min(MOST_STEPS_PER_ROW * len(rows.timestamps), MOST_STEPS)
        if steps <= most:
            grid = pd.date_range(start, periods=steps, freq=offset)
            return grid[: int(grid.searchsorted(clock[-1], side="left")) + 1]
    except (ValueError, OverflowError) as error:
        raise ParamsError(
            f"`data.frequency` must be a step whose grid ends before the year 2262. Received: {frequency!r:.40}. "
            "Give a shorter one, or mend a wrong timestamp."
        ) from error
    raise DataError(
        f"The grid must have at most {MOST_STEPS_PER_ROW} steps per row, here {most}. Received: {steps} of {frequency} "
        f"from {clock[0]} to {clock[-1]} for {len(rows.timestamps)} rows. Mend a wrong timestamp.",
        "mend data.frequency",
    )


def last_is_over(rows: Table, full: pd.DatetimeIndex, clock: pd.DatetimeIndex) -> bool:
    """Whether rows of the last step of a grid end no earlier before its label than those of most steps before it.

    By UTC or by the clocks of people: rows keep to one of them, and seem to be early by the other when clocks change.
    Steps of one row are over with it, and an only step passes for one that is.
    """
    if len(full) == 1 or not _several(rows, full[-1] - full[-2]):
        return True
    newest = full[-JUDGES - 1 :]
    place = clock.searchsorted(newest, side="right")
    have_rows = np.diff(place[:-1], prepend=0) > 0
    if not have_rows.any():
        return True
    last = clock[np.maximum(place - 1, 0)]
    before = np.stack([(newest - last).asi8, (newest - local_time(last, rows.timezone)).asi8])
    usual = np.quantile(before[:, :-1][:, have_rows], MOST, axis=1, method="higher")
    return bool((before[:, -1] <= usual).any())


def _several(rows: Table, step: pd.Timedelta) -> bool:
    """Whether a series has several rows in a step."""
    return 2 * _median_apart(rows) <= step


def _first_label(rows: Table, clock: pd.DatetimeIndex, offset: Any, several: bool) -> pd.Timestamp:
    """The first label that is late enough: each stands after the latest of the older rows that are meant for it.

    Of one row in a step that is the jitter: zero for a regular clock, and of a jittered one labels stand later than
    its nominal time, never earlier. Several rows are of the step that they lie in, counted from a local midnight: of
    hours, the latest of a day is 23:00. Labels of a calendar share a time of day, found in the same way in UTC.
    """
    first = clock[0]
    if isinstance(offset, pd.offsets.BusinessHour):
        return offset.rollforward(first)
    ticks = isinstance(offset, pd.tseries.offsets.Tick)
    step = pd.Timedelta(offset) if ticks else DAY
    late = (_head(clock) - first + step / 2) % step - step / 2
    if several and ticks:
        return first + _until_end_of_step(clock, step, rows.timezone, _median_apart(rows))
    if several or (not ticks and late.max() - late.min() > step / 2):
        phase = (clock[: len(clock) // HEAD_SHARE + 1] - first.normalize()) % step
        late = phase - phase[0]
    start = first + max(late.max(), pd.Timedelta(0))
    return start if ticks else offset.rollforward(start)


def _until_end_of_step(clock: pd.DatetimeIndex, step: pd.Timedelta, timezone: str, apart: pd.Timedelta) -> pd.Timedelta:
    """From the first row to the latest time of its step, counted from a local midnight, that rows of a step have.

    A grid is of one length of step, so it keeps the clock of summer, when people's is ahead: in winter a day of all
    hours ends earlier by their clock, never on the next day.
    """
    older = clock[: len(clock) // HEAD_SHARE + 1]
    year = pd.date_range(f"{np.clip(older[0].year, 1678, 2261)}-01-01", periods=12, freq="MS")
    offsets = local_time(older.union(year), timezone) - older.union(year)
    local = local_time(older, timezone)
    latest = ((local - local[0].normalize()) % step).max()
    in_winter = latest + (offsets.max() - offsets.min())  # by the clock of summer
    latest = in_winter if in_winter < step else max(latest, step - apart)
    first = clock[0] + offsets.max()
    return (latest - (first - first.normalize())) % step


def _after(clock: pd.DatetimeIndex, offset: Any, anchor: pd.Timestamp) -> pd.Timestamp:
    """The first label not before the first row on the grid that has a label at `anchor`."""
    first = clock[0]
    if isinstance(offset, pd.tseries.offsets.Tick):
        return first + pd.Timedelta(_nanoseconds(first, anchor) % pd.Timedelta(offset).value)
    if first >= anchor:
        labels = pd.date_range(anchor, first + 2 * offset, freq=offset)
    else:
        labels = pd.date_range(end=anchor, periods=len(pd.date_range(first, anchor, freq=offset)) + 2, freq=offset)
    return labels[labels.searchsorted(first)]


def _steps(start: pd.Timestamp, last: pd.Timestamp, offset: Any) -> int:
    """How many labels from the first one on reach over the last row, or one more."""
    if isinstance(offset, pd.tseries.offsets.Tick):
        return max(0, -(_nanoseconds(last, start) // pd.Timedelta(offset).value)) + 1
    return len(pd.date_range(start, last, freq=offset)) + 2  # pandas rolls the end back by its own time of day


def _nanoseconds(start: pd.Timestamp, end: pd.Timestamp) -> int:
    """From one to the other; a Timedelta ends at 292 years."""
    return end.value - start.value


def closed_hours(rows: Table, full: pd.DatetimeIndex, frequency: str, timezone: str, train: int) -> tuple[str, ...]:
    labels = full[full <= full[max(train - 1, 0)] - BEFORE_BORDER]
    filled = rows.timestamps[~np.isnan(rows.values).all(axis=1)]
    bins = labels.searchsorted(filled, side="left")
    observed = np.bincount(bins, minlength=len(labels))[: len(labels)] > 0  # later rows have no bin
    return infer_closed(labels, observed, frequency, timezone)


def _heads(rows: Table) -> list[pd.DatetimeIndex]:
    """The oldest timestamps of the longest series."""
    counts = np.bincount(rows.series)
    ends = np.cumsum(counts)
    longest = np.argsort(-counts, kind="stable")[:VOTERS]
    voters = [longest[0], *(code for code in longest[1:] if counts[code] >= FEWEST_ROWS)]
    return [_head(rows.timestamps[ends[code] - counts[code] : ends[code]]) for code in voters]


def _median_apart(rows: Table) -> pd.Timedelta:
    """The time between rows of a series; the longest there is where each has but one."""
    apart = np.concatenate([np.diff(head.asi8) for head in _heads(rows)])
    return pd.Timedelta(int(np.median(apart))) if apart.size else pd.Timedelta.max / 4


def _head(timestamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return timestamps[: max(3, min(HEAD_ROWS, len(timestamps) // HEAD_SHARE))]
