"""What the clock and the calendar say of each step, as covariates known in advance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.interpolate import BSpline

DEGREE = 3
TIMES_OF_DAY = 8  # splines around a day
TIMES_OF_YEAR = 12
FEWEST_YEARS = 2  # of train rows, from which the time of the year is learned
DAY, WEEK, YEAR = pd.Timedelta("1D"), pd.Timedelta("7D"), pd.Timedelta("365.25D")
LONGEST_MONTH = pd.Timedelta("31D")
WEEKEND = 5  # the number of Saturday


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


def calendar_features(timestamps: pd.DatetimeIndex, timezone: str, train: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Time of day, weekday and time of year, as far as the step of the calendar makes them meaningful.

    Args:
        timestamps: `(time,)`, UTC without offset.
        timezone: In which people live by them.
        train: Steps of the train split; a time of year takes two years of them.

    Returns:
        `(time, features)`, float32, each of mean zero over the train steps, and their names.
    """
    local = timestamps.tz_localize("UTC").tz_convert(timezone).tz_localize(None)
    step = pd.Series(np.diff(timestamps)).median()
    groups: dict[str, np.ndarray] = {}
    midnight = local.normalize()
    if step <= DAY / 3:
        times = len(np.unique((local - midnight)[:train]))
        groups["time of day"] = periodic_basis(((local - midnight) / DAY).to_numpy(), min(TIMES_OF_DAY, times))
    if step <= DAY:
        groups["weekday"] = np.eye(7)[local.dayofweek]
        if "time of day" in groups:
            groups["time of day at weekends"] = groups["time of day"] * (local.dayofweek >= WEEKEND)[:, None]
    if step <= LONGEST_MONTH and timestamps[train - 1] - timestamps[0] >= FEWEST_YEARS * YEAR:
        start = local.to_period("Y").start_time
        length = np.where(local.is_leap_year, 366, 365)
        groups["time of year"] = periodic_basis(((local - start) / DAY).to_numpy() / length, TIMES_OF_YEAR)
    return _centred(groups, len(timestamps), train)


def holiday_features(
    timestamps: pd.DatetimeIndex, timezone: str, train: int, country: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Whether each step is on a public holiday, the day before, or the day after one.

    Args:
        timestamps: `(time,)`, UTC without offset.
        timezone: In which days begin and end.
        train: Steps of the train split.
        country: Such as DE, or DE-BY for a part of it.

    Returns:
        As `calendar_features`; nothing where a step is longer than a day.
    """
    import holidays  # costs a tenth of a second, and most runs have none

    if pd.Series(np.diff(timestamps)).median() > DAY:
        return _centred({}, len(timestamps), train)
    days = timestamps.tz_localize("UTC").tz_convert(timezone).tz_localize(None).normalize()
    name, _, part = country.partition("-")
    years = range(days[0].year - 1, days[-1].year + 2)
    free = pd.DatetimeIndex(sorted(holidays.country_holidays(name, subdiv=part or None, years=years)))
    kinds = {"holiday": 0, "day before a holiday": 1, "day after a holiday": -1}
    groups = {kind: (days + shift * DAY).isin(free).astype(float)[:, None] for kind, shift in kinds.items()}
    return _centred(groups, len(timestamps), train)


def _centred(groups: dict[str, np.ndarray], time: int, train: int) -> tuple[np.ndarray, tuple[str, ...]]:
    features = np.concatenate([np.empty((time, 0)), *groups.values()], axis=1)
    return (features - features[:train].mean(axis=0)).astype(np.float32), tuple(groups)
