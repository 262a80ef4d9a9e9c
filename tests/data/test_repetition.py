"""What repeats best is chosen by what it errs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spline_lstm.data.repetition import best_repeated, seasonal_difference

CLOCK = np.arange(24 * 7 * 8)
DAY, WEEK = np.sin(2 * np.pi * CLOCK / 24), np.where(CLOCK // 24 % 7 < 5, 0.5, -1.25)


@given(st.lists(st.integers(-9, 9) | st.none(), max_size=30), st.integers(1, 8))
def test_the_difference_is_that_of_observed_pairs_one_season_apart(values, season):
    row = np.array([np.nan if value is None else value for value in values], float)
    differences = [abs(row[step] - row[step - season]) for step in range(season, len(row))]
    differences = [difference for difference in differences if not np.isnan(difference)]

    expected = sum(differences) / len(differences) if differences else np.nan
    assert seasonal_difference(row, season) == pytest.approx(expected, nan_ok=True)


def test_the_week_is_repeated_where_days_differ_and_the_day_where_they_do_not():
    walk = 0.05 * np.random.default_rng(0).normal(size=len(CLOCK)).cumsum()

    assert best_repeated([DAY + WEEK + walk], (24.0, 168.0)) == 168
    assert best_repeated([DAY + walk], (24.0, 168.0)) == 24


def test_rows_count_alike_whatever_their_unit():
    walk = 0.05 * np.random.default_rng(0).normal(size=len(CLOCK)).cumsum()
    weekly, daily = DAY + WEEK, DAY + walk

    for unit in (1.0, 1e6, 1e-6):
        assert best_repeated([unit * weekly, daily, daily, daily], (24.0, 168.0)) == 24
        assert best_repeated([unit * daily, weekly, weekly, weekly], (24.0, 168.0)) == 168


def test_a_broken_season_is_repeated_in_whole_steps():
    assert best_repeated([DAY], (52.18,)) == 52
    assert best_repeated([DAY], ()) == 1


@pytest.mark.parametrize("rows", [[], [np.zeros(400)], [np.full(400, np.nan)], [DAY[:100]]])
def test_rows_that_cannot_be_compared_leave_the_shortest(rows):
    assert best_repeated(rows, (24.0, 168.0)) == 24
    assert best_repeated([*rows, DAY + WEEK], (24.0, 168.0)) == 168
