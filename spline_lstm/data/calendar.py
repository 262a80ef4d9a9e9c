"""What the clock and the calendar say of each step, as covariates known in advance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, TypeAdapter
from scipy.interpolate import BSpline

DEGREE = 3
TIMES_OF_DAY = 8  # splines around a day
TIMES_OF_YEAR = 12
FEWEST_YEARS = 2  # of train rows, from which the time of the year is learned
DAY, YEAR = pd.Timedelta("1D"), pd.Timedelta("365.25D")
LONGEST_MONTH = pd.Timedelta("31D")
SATURDAY = 5  # days are counted from Monday, 0
KINDS = (0, -1, 1)  # of a holiday's days: itself, the one before, the one after
SOME_DAYS = pd.date_range("2001-01-01", periods=2)


def local_time(moments: pd.DatetimeIndex, timezone: str) -> pd.DatetimeIndex:
    """Moments, UTC without offset, as the clocks of a time zone show them, without offset either."""
    return moments.tz_localize("UTC").tz_convert(timezone).tz_localize(None)


def periodic_basis(phase: np.ndarray, splines: int) -> np.ndarray:
    """Uniform cubic B-splines on a circle; of a lower degree where there are too few of them.

    Args:
        phase: `(steps,)`, from 0 to below 1.
        splines: 1 or more.

    Returns:
        `(steps, splines)`; the rows are non-negative and sum to one.
    """
    degree = min(DEGREE, splines - 1)
    knots = np.arange(-degree, splines + degree + 1) / splines
    unrolled = BSpline.design_matrix(phase, knots, degree).toarray()
    basis = unrolled[:, :splines].copy()
    basis[:, :degree] += unrolled[:, splines:]
    return basis


def hours_of_day(labels: pd.DatetimeIndex, timezone: str) -> np.ndarray:
    """The hour in which each step lies, `(time,)`, by the clocks of a time zone; 0 where steps are a day or longer.

    Args:
        labels: UTC without offset.
        timezone: Of people.
    """
    if pd.Series(np.diff(labels)).median() >= DAY:
        return np.zeros(len(labels), np.int64)
    return local_time(labels, timezone).hour.to_numpy(np.int64)


@dataclass(frozen=True)
class Calendar:
    """What is said of each step. Fitted on train rows once, then a plain value.

    Attributes:
        timezone: In which people live by clock and calendar.
        holidays: A country such as DE, or a part of one such as DE-BY; None: no holidays.
        times_of_day: Splines around a day; 0: none. Weekends have some of their own.
        weekdays: Whether weekdays are told apart.
        times_of_year: Splines around a year; 0: none.
        mean: Of each feature over train rows.
        varies: Whether each does in train rows; others, of which nothing was learned, are zero.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    timezone: str
    holidays: str | None
    times_of_day: Annotated[int, Field(ge=0, le=TIMES_OF_DAY)]
    weekdays: bool
    times_of_year: Annotated[int, Field(ge=0, le=TIMES_OF_YEAR)]
    mean: tuple[float, ...] = ()
    varies: tuple[bool, ...] = ()

    @classmethod
    def fit(cls, train: pd.DatetimeIndex, timezone: str, holidays: str | None, clock: bool) -> Calendar:
        """What the step of the train rows, `(time,)`, UTC without offset, makes meaningful.

        Args:
            train: Labels; a time of year takes two years of them.
            timezone: Of people.
            holidays: As asked for; none where a step is longer than a day.
            clock: Whether time of day, weekday and time of year are wanted at all.
        """
        step = pd.Series(np.diff(train)).median()
        times = len(np.unique(train - train.normalize())) if step <= DAY / 3 else 0
        yearly = step <= LONGEST_MONTH and train[-1] - train[0] >= FEWEST_YEARS * YEAR
        unfitted = cls(
            timezone,
            holidays if step <= DAY else None,
            min(TIMES_OF_DAY, times) * clock,
            bool(clock and step <= DAY),
            TIMES_OF_YEAR * bool(clock and yearly),
        )
        raw = unfitted._raw(train)
        varies = raw.max(axis=0) > raw.min(axis=0)
        return replace(unfitted, mean=tuple(raw.mean(axis=0).tolist()), varies=tuple(varies.tolist()))

    @classmethod
    def restore(cls, content: Mapping[str, Any]) -> Calendar:
        """The inverse of `content`.

        Raises:
            ValueError, KeyError, NotImplementedError: It is of another kind, or names a timezone or a country that
                nobody knows.
        """
        calendar = TypeAdapter(cls).validate_python(content)
        calendar.features(SOME_DAYS)
        return calendar

    def content(self) -> dict[str, Any]:
        """Plain builtins."""
        return {**asdict(self), "mean": list(self.mean), "varies": list(self.varies)}

    @property
    def names(self) -> list[str]:
        """What the features say."""
        return [name for name, features in self._groups(SOME_DAYS).items() if features.shape[1]]

    @property
    def optional(self) -> int:
        """How many features, the last ones, are of the clock and the year, not of holidays."""
        return len(self.mean) - (len(KINDS) if self.holidays else 0)

    def features(self, timestamps: pd.DatetimeIndex) -> np.ndarray:
        """`(time, features)`, float32, of mean zero over train rows."""
        return ((self._raw(timestamps) - np.array(self.mean)) * np.array(self.varies)).astype(np.float32)

    def _raw(self, timestamps: pd.DatetimeIndex) -> np.ndarray:
        return np.concatenate(list(self._groups(timestamps).values()), axis=1)

    def _groups(self, timestamps: pd.DatetimeIndex) -> dict[str, np.ndarray]:
        local = local_time(timestamps, self.timezone)
        midnight, none = local.normalize(), np.empty((len(local), 0))
        day = periodic_basis(((local - midnight) / DAY).to_numpy(), self.times_of_day) if self.times_of_day else none
        start = local.to_period("Y").start_time
        through = ((local - start) / DAY).to_numpy() / np.where(local.is_leap_year, 366, 365)
        weekend = (local.dayofweek >= SATURDAY).astype(float)[:, None]
        return {
            "holidays": self._holidays(midnight) if self.holidays else none,
            "time of day": day,
            "weekday": np.eye(7)[local.dayofweek] if self.weekdays else none,
            "time of day at weekends": day * weekend,
            "time of year": periodic_basis(through, self.times_of_year) if self.times_of_year else none,
        }

    def _holidays(self, days: pd.DatetimeIndex) -> np.ndarray:
        """Whether each day is a holiday, or the day before or after one: `(time, 3)`."""
        import holidays  # costs a tenth of a second, and most runs have none

        country, _, part = str(self.holidays).partition("-")
        years = range(days[0].year - 1, days[-1].year + 2)
        free = pd.DatetimeIndex(sorted(holidays.country_holidays(country, subdiv=part or None, years=years)))
        return np.column_stack([(days - shift * DAY).isin(free) for shift in KINDS]).astype(float)
