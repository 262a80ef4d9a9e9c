"""Closed hours: times of the day or week at which nothing is ever observed, so that they are no gaps.

A step is known by its **phase**, the local time of the week of its label, rounded down to a multiple of the step:
the label of a jittered clock stands a little after its nominal time, and a change of clocks moves that of a day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from spline_lstm.data.calendar import local_time
from spline_lstm.data.gaps import runs
from spline_lstm.run.errors import DataError, ParamsError
from spline_lstm.run.hours import DAY, WEEK, Hours

LEAST_DAYS = 10  # on which a time of the day was not observed
LEAST_WEEKS_OF_DAYS, LEAST_WEEKS = 5, 10  # in which a day of the week, or a time of the week, was not
RISK = 1e-3  # that chance leaves some open phase unobserved
LOW = 0.25  # quantile of how often open phases are observed: night may be observed less often than day
EPOCH = 3 * DAY  # 1970 began on a Thursday


def closed_labels(labels: pd.DatetimeIndex, frequency: str, hours: Sequence[str], timezone: str) -> np.ndarray:
    """Which labels of a full grid lie in closed hours, `(labels,)`.

    Raises:
        ParamsError: The step has no phases, or no phase is open.
    """
    if not hours:
        return np.zeros(len(labels), bool)
    step = _seconds(frequency)
    if step is None:
        raise ParamsError(
            f"`data.closed` needs a step that divides a day. Received: hours {', '.join(hours)} for a step of "
            f"{frequency}. Set data.closed to null, or mend data.frequency."
        )
    closed = phases_of(hours, step)
    if closed.all():
        raise ParamsError(
            f"`data.closed` must leave a step of {frequency} open in each week. Received: {', '.join(hours)}. "
            "Shorten the hours."
        )
    return closed[_since_a_monday(labels, timezone) % WEEK // step]


def open_grid(full: pd.DatetimeIndex, frequency: str, hours: Sequence[str], timezone: str) -> pd.DatetimeIndex:
    """The labels of a full grid that are not in closed hours, and the next such label after it.

    Raises:
        ParamsError: As `closed_labels`.
    """
    labels = full[~closed_labels(full, frequency, hours, timezone)]
    return labels.append(following_timestamps(full, frequency, 1, hours, timezone))


def following_timestamps(
    timestamps: pd.DatetimeIndex, frequency: str, steps: int, hours: Sequence[str], timezone: str
) -> pd.DatetimeIndex:
    """The `steps` grid labels after the last one, closed hours left out.

    Raises:
        DataError: They are later than nanoseconds can count.
    """
    span = steps
    while True:
        try:
            labels = pd.date_range(timestamps[-1], periods=span + 1, freq=frequency)[1:]
        except pd.errors.OutOfBoundsDatetime as error:
            raise DataError(
                f"A forecast must end before the year 2262. Received: {steps} steps of {frequency} after "
                f"{timestamps[-1]}. Mend a wrong timestamp.",
                "shorten windows.horizon",
            ) from error
        labels = labels[~closed_labels(labels, frequency, hours, timezone)] if hours else labels
        if len(labels) >= steps:
            return labels[:steps]
        span *= 2


def infer_closed(labels: pd.DatetimeIndex, observed: np.ndarray, frequency: str, timezone: str) -> tuple[str, ...]:
    """Hours of the day, days and hours of the week in which no step was ever observed.

    Days and weeks without any observation do not count, so an outage closes nothing, and neither do gaps at random:
    chance must be unlikely to leave a phase empty, were it observed as often as the rarer ones of the others.

    Args:
        labels: Those of a full grid.
        observed: `(labels,)`, whether something was observed in the step.
        frequency: Step of the grid; one that does not divide a day has no phases and no closed hours.
        timezone: Of the hours.
    """
    step = _seconds(frequency)
    if step is None or not observed.any():
        return ()
    local = _since_a_monday(labels, timezone)
    dates, weeks, phases = local // DAY, local // WEEK, local % WEEK // step
    dates -= dates.min()
    weeks -= weeks.min()
    open_dates, open_weeks = (np.bincount(units, observed) > 0 for units in (dates, weeks))
    in_days, in_weeks = open_dates[dates], open_weeks[weeks]
    times = _never(phases[in_days] % (DAY // step), observed[in_days], DAY // step, LEAST_DAYS)
    each, first = np.unique(dates[in_weeks], return_index=True)
    weekdays = _never(local[in_weeks][first] % WEEK // DAY, open_dates[each], 7, LEAST_WEEKS_OF_DAYS)
    single = _never(phases[in_weeks], observed[in_weeks], WEEK // step, LEAST_WEEKS)
    return describe(single.reshape(7, -1) | weekdays[:, None] | times, step)


def _never(phases: np.ndarray, observed: np.ndarray, count: int, least: int) -> np.ndarray:
    """Which of `count` phases were there `least` times or more, but never observed, and not by chance."""
    there = np.bincount(phases, minlength=count)
    seen = np.bincount(phases[observed], minlength=count)
    missed = 1 - np.quantile(seen[seen > 0] / there[seen > 0], LOW)
    return (seen == 0) & (there >= least) & (count * missed**there <= RISK)


def phases_of(hours: Sequence[str], step: int) -> np.ndarray:
    """Which phases of a step in seconds lie in some hours: `(phases,)`, from Monday's midnight on."""
    times = np.arange(0, WEEK, step)
    closed = np.zeros(len(times), bool)
    for text in hours:
        closed |= Hours.parse(text).hold(times)
    return closed


def describe(closed: np.ndarray, step: int) -> tuple[str, ...]:
    """The inverse of `phases_of`, in few words: whole days, then what all other days share, then the rest.

    Args:
        closed: `(7, phases of a day)`, not all of it True.
        step: Seconds.
    """
    whole: np.ndarray = np.all(closed, axis=1)
    daily: np.ndarray = np.all(closed[~whole], axis=0)
    rest = closed & ~whole[:, None] & ~daily
    found = [Hours(first, last) for first, last in _day_ranges(whole)]
    phases = closed.shape[1]
    found += [_between(0, 6, before, length, phases, step) for before, length in _stretches(daily)]
    alike: dict[tuple[int, int], np.ndarray] = defaultdict(lambda: np.zeros(7, bool))
    for before, length in _stretches(rest.ravel()):
        for start in range(before, before + length, phases - 1 or 1):  # hours end within a day
            part = min(phases - 1, before + length - start)
            alike[start % phases, part][start // phases % 7] = True
    for (before, length), days in alike.items():
        found += [_between(first, last, before, length, phases, step) for first, last in _day_ranges(days)]
    return tuple(map(str, found))


def _between(first: int, last: int, before: int, length: int, phases: int, step: int) -> Hours:
    """The hours between the phase `before` of a day and the one that follows `length` closed ones."""
    return Hours(first, last, before * step, (before + length + 1) % phases * step)


def _stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    """Of each stretch of flags on a circle: the position before it, and its length."""
    shift = int(flags.argmin())
    starts, ends = runs(np.roll(flags, -shift))
    return [(int(start - 1 + shift) % len(flags), int(end - start)) for start, end in zip(starts, ends, strict=True)]


def _day_ranges(days: np.ndarray) -> list[tuple[int, int]]:
    """First and last day of each stretch of days of the week."""
    if days.all():
        return [(0, 6)]
    return [((before + 1) % 7, (before + length) % 7) for before, length in _stretches(days)]


def _seconds(frequency: str) -> int | None:
    """Of a step that divides a day; None for any other."""
    offset = pd.tseries.frequencies.to_offset(frequency)
    if not isinstance(offset, pd.tseries.offsets.Tick):
        return None
    seconds = pd.Timedelta(offset).total_seconds()
    return int(seconds) if seconds >= 1 and seconds == int(seconds) and DAY % seconds == 0 else None


def _since_a_monday(labels: pd.DatetimeIndex, timezone: str) -> np.ndarray:
    """Seconds since a Monday's midnight, by the clocks of a time zone."""
    return local_time(labels, timezone).as_unit("ns").asi8 // 10**9 + EPOCH
