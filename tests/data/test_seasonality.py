"""Seasons are found where there are some, and only there."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from spline_lstm.data.seasonality import VOTERS, autocorrelation, calendar_seasons, infer_seasons


def slow_autocorrelation(values, most):
    mean = np.nanmean(values)
    covariance = []
    for lag in range(most + 1):
        pairs = [
            (values[step] - mean) * (values[step + lag] - mean)
            for step in range(len(values) - lag)
            if not np.isnan(values[step] + values[step + lag])
        ]
        covariance.append(sum(pairs) / len(pairs) if pairs else 0.0)
    return np.array(covariance) / covariance[0]


@given(time=st.integers(4, 40), missing_share=st.sampled_from([0.0, 0.3, 0.8]), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_autocorrelation_is_the_mean_product_of_observed_pairs(time, missing_share, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=time)
    values[2:][rng.random(time - 2) < missing_share] = np.nan
    most = time // 2

    np.testing.assert_allclose(autocorrelation(values, most), slow_autocorrelation(values, most), rtol=1e-6, atol=1e-8)


def test_a_constant_correlates_with_nothing():
    np.testing.assert_array_equal(autocorrelation(np.full(9, 3.0), 4), np.zeros(5))


def clock(time, frequency):
    return pd.date_range("2019-03-04", periods=time, freq=frequency)


def wave(season, time, seed, missing_share=0.0):
    """A noisy season with a harmonic over a trend."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(time) / season
    values = np.sin(phase) + 0.4 * np.cos(2 * phase) + 0.3 * rng.normal(size=time) + 5 * np.linspace(0, 1, time) ** 2
    values[rng.random(time) < missing_share] = np.nan
    return values


@pytest.mark.parametrize(
    ("frequency", "seasons"),
    [
        ("10s", [8640, 60_480, 3_155_760]),
        ("15min", [96, 672, 35_064]),
        ("7min", [1440 / 7, 1440, 1440 / 7 * 365.25]),
        ("h", [24, 168, 8766]),
        ("12h", [2, 14, 730.5]),
        ("D", [7, 365.25]),
        ("W-SAT", [365.25 / 7]),
        ("MS", [12]),
        ("ME", [12]),
        ("QS", [4]),
        ("2MS", [6]),
        ("YS", []),
        ("5YS", []),
    ],
)
@pytest.mark.parametrize("time", [25, 200])
def test_the_calendar_has_days_weeks_and_years_of_two_steps_or_more(frequency, seasons, time):
    time = min(time, 40) if frequency == "5YS" else time

    assert list(calendar_seasons(clock(time, frequency)).values()) == pytest.approx(seasons, abs=1e-9)


def test_business_days_make_weeks_of_five():
    week, year = calendar_seasons(clock(1000, "B")).values()

    assert week == 5
    assert year == pytest.approx(5 / 7 * 365.25, abs=0.5)


def test_a_calendar_of_opening_hours_counts_the_steps_that_it_has():
    hours = clock(24 * 7 * 20, "h")
    day, week, _ = calendar_seasons(hours[(hours.hour >= 8) & (hours.hour < 17) & (hours.dayofweek < 6)]).values()

    assert (day, week) == (9, 54)


@pytest.mark.parametrize("time", [0, 1, 2])
def test_a_calendar_of_hardly_any_label_is_no_mistake(time):
    assert infer_seasons([np.zeros(time)], clock(time, "h")) == ()


@pytest.mark.parametrize(
    ("frequency", "season", "cycles"),
    [
        ("h", 24, 12),
        ("h", 168, 6),
        ("D", 7, 12),
        ("D", 365.25, 5),
        ("W-SAT", 365.25 / 7, 8),
        ("MS", 12, 8),
        ("8h", 3, 60),
    ],
)
@pytest.mark.parametrize("missing_share", [0.0, 0.3])
def test_a_noisy_season_of_the_calendar_over_a_trend_is_found(frequency, season, cycles, missing_share):
    time = int(cycles * season)
    values = wave(season, time, int(season), missing_share)

    found = infer_seasons([values], clock(time, frequency))

    assert any(season == pytest.approx(steps) for steps in found)
    assert infer_seasons([1e6 * values - 1e7], clock(time, frequency)) == found


def test_days_and_weeks_are_found_together_and_each_for_itself():
    rng = np.random.default_rng(0)
    steps = np.arange(24 * 7 * 10)
    day, week = np.sin(2 * np.pi * steps / 24), np.where(steps // 24 % 7 < 5, 0.4, -1.0)
    noise = lfilter([1.0], [1.0, -0.9], 0.3 * rng.normal(size=len(steps)))

    assert infer_seasons([day + week + noise], clock(len(steps), "h")) == (24, 168)
    assert infer_seasons([day + noise], clock(len(steps), "h")) == (24,)
    assert infer_seasons([week + noise], clock(len(steps), "h")) == (168,)


def test_a_weak_day_is_found_in_strong_noise_where_it_was_seen_often():
    rng = np.random.default_rng(1)
    steps = np.arange(24 * 365 * 3)
    noise = lfilter([1.0], [1.0, -0.97], 0.2 * rng.normal(size=len(steps)))
    weak = np.exp(noise + 0.1 * np.sin(2 * np.pi * steps / 24))

    assert infer_seasons([weak], clock(len(steps), "h")) == (24,)
    assert infer_seasons([weak[: 24 * 60]], clock(24 * 60, "h")) == ()


def test_a_year_is_not_known_before_it_was_seen_two_and_a_half_times():
    values = wave(365.25, 1400, seed=2)

    assert infer_seasons([values[:900]], clock(900, "D")) == ()
    assert infer_seasons([values[:1000]], clock(1000, "D")) == (365.25,)
    assert infer_seasons([values], clock(1400, "D")) == (365.25,)


def test_months_of_four_years_of_which_train_rows_are_a_share_have_a_year():
    rng, steps = np.random.default_rng(4), np.arange(33)
    rows = [100 + steps + 20 * np.sin(2 * np.pi * steps / 12) + rng.normal(0, 5, 33) for _ in range(20)]

    assert infer_seasons(rows, clock(33, "MS")) == (12,)


def test_the_days_of_a_place_with_closed_nights_are_found():
    steps = np.arange(48 * 60)
    values = wave(48, len(steps), seed=3) + 0.5 * (steps // 48 % 7 > 4)
    values[(steps % 48 < 16) | (steps % 48 > 33)] = np.nan

    assert infer_seasons([values], clock(len(steps), "30min"))[0] == 48


KINDS = {
    "white": lambda shocks: shocks,
    "random walk": np.cumsum,
    "walk of walks": lambda shocks: shocks.cumsum().cumsum(),
    "decaying": lambda shocks: lfilter([1.0], [1.0, -0.95], shocks),
    "walk and noise": lambda shocks: 0.1 * shocks.cumsum() + np.roll(shocks, 7),
    "trend": lambda shocks: np.linspace(0, 30, len(shocks)) ** 2 + shocks,
    "bursts": lambda shocks: np.exp(lfilter([1.0], [1.0, -0.9], 0.5 * shocks)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("frequency", "time", "share"),
    [("h", 24 * 30, 0.02), ("D", 365 * 5, 0.02), ("MS", 90, 0.02), ("MS", 33, 0.04), ("D", 30, 0.04), ("D", 18, 0.04)],
    ids=str,
)
def test_of_a_hundred_series_without_a_season_two_are_said_to_have_one_at_most(kind, frequency, time, share):
    """Four, where the shortest candidate was seen a few times only."""
    rng, labels = np.random.default_rng(11), clock(time, frequency)

    found = [infer_seasons([KINDS[kind](rng.normal(size=time))], labels) for _ in range(200)]

    assert np.mean([bool(seasons) for seasons in found]) <= share


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("time", [100, 200])
def test_gaps_make_no_season(kind, time):
    rng, labels = np.random.default_rng(13), clock(time, "W")

    rows = [np.where(rng.random(time) < 0.5, np.nan, KINDS[kind](rng.normal(size=time))) for _ in range(100)]

    assert np.mean([bool(infer_seasons([row], labels)) for row in rows]) <= 0.04


@pytest.mark.parametrize(("time", "frequency", "share"), [(300, "D", 0.01), (500, "D", 0.005), (200, "W", 0.02)])
def test_rare_pulses_that_meet_by_chance_are_no_season(time, frequency, share):
    rng, labels = np.random.default_rng(14), clock(time, frequency)

    rows = [np.where(rng.random(time) < share, 1.0 + rng.poisson(3, time), 0.0) for _ in range(100)]

    assert np.mean([bool(infer_seasons([row], labels)) for row in rows]) <= 0.04


def test_pulses_that_come_again_and_again_are_one():
    rng, steps = np.random.default_rng(15), np.arange(600)

    rows = [np.where(steps % 30 == 0, 1.0 + rng.poisson(3, 600), 0.0) + rng.normal(0, 0.05, 600) for _ in range(20)]

    assert np.mean([infer_seasons([row], clock(600, "10min")) == (30,) for row in rows]) >= 0.9


def test_rows_that_share_their_noise_are_no_surer_than_one():
    rng, labels = np.random.default_rng(12), clock(24 * 14, "h")
    common = [rng.normal(size=24 * 14).cumsum() for _ in range(100)]

    found = [infer_seasons([walk + 0.1 * rng.normal(size=len(walk)) for _ in range(20)], labels) for walk in common]

    assert np.mean([bool(seasons) for seasons in found]) <= 0.02


@given(scale=st.floats(1e-6, 1e6), level=st.floats(-1e3, 1e3), seed=st.integers(0, 99), share=st.floats(0, 0.5))
@settings(max_examples=40)
def test_scale_and_level_do_not_matter(scale, level, seed, share):
    values = wave(24, 24 * 9, seed, share) + np.random.default_rng(seed).normal(size=24 * 9).cumsum()

    assert infer_seasons([scale * (values + level)], clock(216, "h")) == infer_seasons([values], clock(216, "h"))


@pytest.mark.parametrize("times", [10, -100, 1e6])
def test_a_few_outliers_hide_no_season(times):
    row = 10 + wave(7, 280, seed=0)
    row[[40, 150]] *= times

    assert infer_seasons([row], clock(280, "D")) == (7,)


def test_a_season_far_below_the_level_is_found_as_long_as_numbers_hold_it():
    assert infer_seasons([1e9 + 1e-3 * wave(7, 280, seed=0)], clock(280, "D")) == (7,)
    assert infer_seasons([1e9 + 1e-7 * wave(7, 280, seed=0)], clock(280, "D")) == ()


def test_many_short_rows_find_their_season_together():
    rows = [wave(7, 24 + number % 5, seed=number) for number in range(40)]

    assert infer_seasons(rows, clock(30, "D")) == (7,)


def test_short_rows_have_no_vote_on_a_season_that_they_do_not_hold_three_times():
    short = [np.random.default_rng(seed).normal(size=60) for seed in range(50)]

    assert infer_seasons([*short, wave(24, 300, seed=6)], clock(300, "h")) == (24,)


def test_the_longest_rows_decide():
    rows = [wave(24, 200, seed=number) for number in range(VOTERS)]
    others = [np.random.default_rng(number).normal(size=100) for number in range(3 * VOTERS)]

    assert infer_seasons([*others, *rows], clock(200, "h")) == (24,)
    assert infer_seasons([*others, *(row[:90] for row in rows)], clock(200, "h")) == ()


@pytest.mark.parametrize("season", [4, 7, 12, 37, 52])
@pytest.mark.parametrize("missing_share", [0.0, 0.2])
def test_a_season_of_the_series_own_is_found_where_the_calendar_has_none(season, missing_share):
    values = wave(season, season * 20, seed=season, missing_share=missing_share)

    assert infer_seasons([values], clock(len(values), "10s")) == (season,)


def test_cycles_that_keep_no_pace_are_a_season_of_their_own():
    rng = np.random.default_rng(8)
    pace = np.repeat(rng.normal(1, 0.1, size=40), 50)
    values = np.sin(2 * np.pi * np.cumsum(pace) / 130) + 0.3 * rng.normal(size=2000)

    (season,) = infer_seasons([values], clock(2000, "h"))

    assert 115 < season < 145


def test_the_calendar_goes_before_a_shorter_lag_that_correlates_as_well():
    # The day holds a wave of eight hours three times.
    assert infer_seasons([wave(8, 24 * 20, seed=9)], clock(480, "h")) == (24,)


@pytest.mark.parametrize(
    "train",
    [
        [np.linspace(0, 9, 400) ** 3],
        [np.full(400, 7.0)],
        [np.full(400, np.nan)],
        [np.r_[1.0, np.full(399, np.nan)]],
        [np.zeros(0), np.zeros(0)],
        [],
        [np.array([1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0])],
    ],
    ids=["trend", "constant", "unobserved", "one observation", "empty", "no row", "short"],
)
@pytest.mark.parametrize("frequency", ["h", "D", "MS", "10s"])
def test_where_nothing_repeats_there_is_no_season(train, frequency):
    assert infer_seasons(train, clock(400, frequency)) == ()


def test_a_season_without_noise_is_found():
    assert infer_seasons([np.tile([1.0, 2.0, 4.0, 0.0, 0.0, 5.0, 9.0], 30)], clock(210, "D")) == (7,)


def test_an_own_season_must_be_seen_six_times():
    assert infer_seasons([wave(50, 290, seed=5)], clock(290, "10s")) == ()
    assert infer_seasons([wave(50, 310, seed=5)], clock(310, "10s")) == (50,)
