"""Hours of the week: what their texts mean, that texts and hours are each other's inverse, what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spline_lstm.run.hours import DAY, DAYS, WEEK, Hours

QUARTERS = np.arange(0, WEEK, 900)
days = st.integers(0, 6)
times = st.integers(0, DAY - 1)


def held(text):
    """The quarters of an hour that a text holds, as `Sat 12:15`."""
    found = QUARTERS[Hours.parse(text).hold(QUARTERS)]
    return [f"{DAYS[time // DAY]} {time // 3600 % 24:02}:{time // 60 % 60:02}" for time in found]


@given(hours=st.builds(Hours, days, days) | st.builds(Hours, days, days, times, times))
def test_a_text_says_which_hours_it_came_from(hours):
    again = Hours.parse(str(hours))

    assert str(again) == str(hours)
    np.testing.assert_array_equal(again.hold(QUARTERS), hours.hold(QUARTERS))


def test_a_day_holds_the_midnight_it_begins_with():
    assert held("Sat") == [f"Sat {hour:02}:{minute:02}" for hour in range(24) for minute in (0, 15, 30, 45)]
    assert held("Sat-Sun") == held("Sat") + held("Sun")
    assert held("Sun-Mon") == held("Mon") + held("Sun")


def test_neither_end_belongs_to_hours():
    assert held("Tue 09:00-10:00") == ["Tue 09:15", "Tue 09:30", "Tue 09:45"]
    assert held("Tue 08:59:59-09:15:01") == ["Tue 09:00", "Tue 09:15"]


def test_hours_may_pass_midnight_and_the_end_of_the_week():
    assert held("Sun 23:15-00:15") == ["Mon 00:00", "Sun 23:30", "Sun 23:45"]
    assert held("Sat-Sun 23:15-00:15") == ["Mon 00:00", "Sat 23:30", "Sat 23:45", "Sun 00:00", "Sun 23:30", "Sun 23:45"]
    assert held("Sat 23:15-24:00") == ["Sat 23:30", "Sat 23:45"]


def test_hours_without_a_day_begin_on_every_day():
    assert held("22:00-06:00") == held("Mon-Sun 22:00-06:00")
    assert len(held("22:00-06:00")) == 7 * 31
    assert len(held("08:00-08:00")) == 7 * 95  # all but one quarter of each day


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "Saturday", "sat", "Sat-", "Mon,Tue", "9:00-10:00", "09:00", "09:00-", "24:00-06:00", "09:00-25:00"),
        *(" 09:00-10:00", "Sat09:00-10:00", "Sat  09:00-10:00", "Sat 09:00-10:00 ", "09:00-10:60", "09:00 - 10:00"),
    ],
)
def test_a_text_that_names_no_hours_is_refused(text):
    with pytest.raises(ValueError, match=r"must name hours such as"):
        Hours.parse(text)
