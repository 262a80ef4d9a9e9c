import numpy as np
import pandas as pd
import pytest

from spline_lstm.data.calendar import hours_of_day
from spline_lstm.scores.miss_scale import (
    FEWEST_DAYS,
    HOURS,
    LEAST_HEIGHT,
    MOST_HEIGHT,
    MissScale,
    heights,
    hourly_misses,
    target_hours,
)


def test_heights_are_counted_from_the_least_value_and_stay_positive():
    found = heights(np.array([[0.0, -3.0], [5.0, 1.0]]), np.array([-1.0, 2.0]))

    np.testing.assert_allclose(found, np.array([[1.0, 0.0], [3.0, 0.0]]) + LEAST_HEIGHT)


def test_a_change_of_unit_does_not_stretch_intervals_beyond_all_that_was_seen():
    tall = heights(np.array([[0.0, 50.0, 1e6]]), np.array([-1.0]))

    assert tall[0, 1] == np.float32(51 + LEAST_HEIGHT)
    assert tall[0, 2] == np.float32(MOST_HEIGHT + LEAST_HEIGHT)


def test_misses_of_an_hour_are_those_relative_to_what_is_missed_so_many_steps_ahead():
    rng, days, horizon = np.random.default_rng(0), 60, 30
    hours = np.arange(days * HOURS + horizon + 1) % HOURS
    by_hour = np.where((np.arange(HOURS) >= 8) & (np.arange(HOURS) < 20), 1.5, 0.5)
    asked = target_hours(hours, np.arange(days * HOURS), horizon)
    sizes = by_hour[asked] * np.arange(1, horizon + 1) * rng.exponential(size=asked.shape)
    sizes[rng.random(sizes.shape) < 0.2] = np.nan

    found = hourly_misses(sizes, asked, days)

    np.testing.assert_allclose(found, by_hour, atol=0.1)
    assert (hourly_misses(sizes, asked, FEWEST_DAYS - 1) == 1).all()


def test_chance_differences_between_hours_count_little():
    rng, days = np.random.default_rng(0), 30
    hours, trials = np.tile(np.arange(HOURS), days)[:, None], 200
    sizes = np.abs(rng.normal(size=(trials, days * HOURS, 1)))

    found = np.array([hourly_misses(each, hours, days) for each in sizes])

    means = sizes.reshape(trials, days, HOURS).mean(axis=1) / sizes.mean(axis=(1, 2))[:, None]
    assert np.square(found - 1).mean() < 0.1 * np.square(means - 1).mean()


@pytest.mark.parametrize("sizes", [np.full((5, 3), np.nan), np.zeros((5, 3)), np.ones((5, 3))], ids=str)
def test_hours_without_a_difference_or_without_misses_are_alike(sizes):
    found = hourly_misses(sizes, np.arange(15).reshape(5, 3), 30.0)

    np.testing.assert_array_equal(found, np.ones(HOURS, np.float32))


def test_scales_are_a_power_of_heights_times_the_share_of_the_targets_hour():
    hourly = np.array([np.arange(1, HOURS + 1), np.full(HOURS, 2.0)], np.float32)
    above, hours = np.array([[4.0, 9.0], [4.0, 1.0]], np.float32), np.array([22, 23, 0, 1])

    found = MissScale(0.5, hourly).of(above, np.array([0, 1]), np.array([0, 1]), hours)

    np.testing.assert_array_equal(found, [[2 * 24, 3 * 1], [2 * 2, 1 * 2]])


def test_hours_are_local_ones_and_only_of_steps_shorter_than_a_day():
    quarters = pd.date_range("2024-03-31", periods=8, freq="30min")

    assert hours_of_day(quarters, "Europe/Berlin").tolist() == [1, 1, 3, 3, 4, 4, 5, 5]
    assert not hours_of_day(pd.date_range("2024-03-25", periods=14, freq="D"), "Europe/Berlin").any()
