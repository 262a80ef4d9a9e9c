"""What the clock says repeats with the clock of people; holidays are those of the holidays package."""

from datetime import timedelta

import holidays
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.calendar import Calendar, periodic_basis

HOURS = pd.date_range("2024-01-01", periods=24 * 400, freq="h")
DAYS = pd.date_range("2022-01-01", "2024-12-31", freq="D")
phases = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=30).map(np.array)


def fitted(train, timezone="UTC", country=None, clock=True):
    return Calendar.fit(train, timezone, country, clock)


def group(calendar, name, timestamps):
    """Features by what they say, as they are before the mean is taken out."""
    return calendar._groups(timestamps)[name]


@given(phase=phases, splines=st.integers(1, 12))
@settings(max_examples=100)
def test_periodic_splines_are_non_negative_and_sum_to_one(phase, splines):
    basis = periodic_basis(phase, splines)

    assert basis.shape == (len(phase), splines)
    assert basis.min() >= -1e-12
    np.testing.assert_allclose(basis.sum(axis=1), 1)


@given(phase=phases, splines=st.integers(2, 12))
@settings(max_examples=100)
def test_periodic_splines_are_one_shape_turned_around_a_circle(phase, splines):
    turned = periodic_basis((phase + 1 / splines) % 1, splines)

    np.testing.assert_allclose(turned, np.roll(periodic_basis(phase, splines), 1, axis=1), atol=1e-9)


@pytest.mark.parametrize("splines", range(2, 13))
def test_the_end_of_a_period_is_its_begin(splines):
    begin, end = periodic_basis(np.array([0.0, 1 - 1e-12]), splines)

    np.testing.assert_allclose(end, begin, atol=1e-9)


@given(first=st.integers(0, 5000), count=st.integers(50, 2000), country=st.sampled_from([None, "DE"]))
@settings(max_examples=20)
def test_features_have_mean_zero_over_train_rows(first, count, country):
    train = HOURS[first : first + count]

    features = fitted(train, "Europe/Berlin", country).features(train)

    assert features.dtype == np.float32
    np.testing.assert_allclose(features.mean(axis=0, dtype=float), 0, atol=1e-6)


def test_features_of_a_moment_depend_on_no_other_moment():
    calendar = fitted(DAYS, "Europe/Berlin", "DE")

    together = calendar.features(DAYS)

    for step in (0, 58, 500, len(DAYS) - 1):
        np.testing.assert_array_equal(calendar.features(DAYS[[step]])[0], together[step])


def test_the_time_of_day_is_that_of_clocks_in_summer_and_winter():
    calendar = fitted(HOURS, "Europe/Berlin")
    winter, summer = pd.DatetimeIndex(["2024-01-10 07:00"]), pd.DatetimeIndex(["2024-07-10 06:00"])  # both 08:00 there

    np.testing.assert_array_equal(*(group(calendar, "time of day", time) for time in (winter, summer)))

    plain = fitted(HOURS)
    assert (group(plain, "time of day", winter) != group(plain, "time of day", summer)).any()


def test_a_change_of_clocks_repeats_an_hour_or_leaves_one_out():
    calendar = fitted(HOURS, "Europe/Berlin")
    autumn = pd.date_range("2024-10-26 23:00", periods=4, freq="h")  # 01:00, 02:00, 02:00, 03:00 there
    spring = pd.date_range("2024-03-31 00:00", periods=2, freq="h")  # 01:00, 03:00

    one, two, again, three = group(calendar, "time of day", autumn)

    np.testing.assert_array_equal(two, again)
    np.testing.assert_array_equal(group(calendar, "time of day", spring), [one, three])


def test_weekdays_are_those_of_the_time_zone():
    sunday_evening = pd.DatetimeIndex(["2024-01-07 23:30"])

    assert group(fitted(HOURS), "weekday", sunday_evening).argmax() == 6
    assert group(fitted(HOURS, "Europe/Berlin"), "weekday", sunday_evening).argmax() == 0
    assert group(fitted(HOURS), "time of day at weekends", sunday_evening).any()
    assert not group(fitted(HOURS, "Europe/Berlin"), "time of day at weekends", sunday_evening).any()


@pytest.mark.parametrize(
    ("frequency", "periods", "expected"),
    [
        ("h", 24 * 30, ["time of day", "weekday", "time of day at weekends"]),
        ("12h", 100, ["weekday"]),
        ("D", 100, ["weekday"]),
        ("D", 730, ["weekday"]),
        ("D", 732, ["weekday", "time of year"]),
        ("W-SAT", 104, []),
        ("W-SAT", 106, ["time of year"]),
        ("MS", 24, []),
        ("MS", 26, ["time of year"]),
        ("QS", 40, []),
    ],
)
def test_the_step_and_two_years_decide_what_the_clock_can_say(frequency, periods, expected):
    train = pd.date_range("2020-01-01", periods=periods, freq=frequency)

    assert fitted(train).names == expected
    assert fitted(train, clock=False).names == []


@pytest.mark.parametrize(("frequency", "told"), [("h", True), ("D", True), ("B", True), ("W-SAT", False)])
def test_holidays_are_told_where_a_step_is_no_longer_than_a_day(frequency, told):
    train = pd.date_range("2020-01-01", periods=300, freq=frequency)

    calendar = fitted(train, country="DE", clock=False)

    assert calendar.names == ["holidays"] * told
    assert calendar.optional == 0


@pytest.mark.parametrize("country", ["DE", "DE-BY", "US", "KR"])
def test_days_on_before_and_after_holidays_are_those_of_the_holidays_package(country):
    name, _, part = country.partition("-")
    free = holidays.country_holidays(name, subdiv=part or None, years=range(2021, 2026))
    calendar = fitted(DAYS, country=country, clock=False)

    found = calendar.features(DAYS) + np.array(calendar.mean)

    day = timedelta(days=1)
    expected = [[date in free, date + day in free, date - day in free] for date in DAYS.date]
    np.testing.assert_allclose(found, np.array(expected, float), atol=1e-6)
    assert 5 < np.sum(expected, axis=0)[0] < len(DAYS) / 5


def test_a_holiday_begins_at_midnight_of_the_time_zone():
    around = pd.DatetimeIndex(["2024-09-30 21:30", "2024-10-02 21:30", "2024-10-02 22:30", "2024-10-03 22:30"])

    found = group(fitted(HOURS, "Europe/Berlin", "DE"), "holidays", around)  # 3 October; clocks are at UTC+2

    np.testing.assert_array_equal(found, [[0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]])


def test_what_no_train_row_has_told_of_is_zero_when_it_comes():
    days = pd.date_range("2024-01-08", "2024-02-20", freq="D")  # no holiday in Germany until Good Friday

    features = fitted(days, country="DE").features(pd.date_range("2024-03-25", "2024-04-02", freq="D"))

    assert not features[:, :3].any()
    assert features[:, 3:].any()
