"""The season is found where there is one, and only there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.seasonality import VOTERS, autocorrelation, infer_season


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


def wave(season, time, seed, missing_share=0.0):
    """A noisy season with a harmonic over a trend."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(time) / season
    values = np.sin(phase) + 0.4 * np.cos(2 * phase) + 0.3 * rng.normal(size=time) + 5 * np.linspace(0, 1, time) ** 2
    values[rng.random(time) < missing_share] = np.nan
    return values


@pytest.mark.parametrize("season", [4, 7, 12, 24, 52])
@pytest.mark.parametrize("missing_share", [0.0, 0.2])
def test_a_noisy_season_over_a_trend_is_found(season, missing_share):
    assert infer_season([wave(season, season * 12, seed=season, missing_share=missing_share)]) == season


def test_scale_and_level_do_not_matter():
    values = wave(12, 200, seed=0)

    assert infer_season([1e6 * values - 1e7]) == infer_season([values]) == 12


def test_rows_vote():
    quiet = np.random.default_rng(1).normal(size=240)

    assert infer_season([wave(12, 240, seed=2), wave(12, 240, seed=3), quiet]) == 12


def test_short_rows_vote_on_short_seasons_only():
    # Rows that cannot hold the season three times say nothing of it, and their noise nothing against it.
    short = [np.random.default_rng(seed).normal(size=30) for seed in range(6)]

    assert infer_season([*short, wave(24, 300, seed=6)]) == 24


def test_many_short_rows_find_their_season_together():
    rows = [wave(7, 24 + number % 5, seed=number) for number in range(40)]

    assert infer_season(rows) == 7


def test_the_longest_rows_decide():
    rows = [wave(12, 200, seed=number) for number in range(VOTERS)]
    others = [wave(7, 100, seed=number) for number in range(3 * VOTERS)]

    assert infer_season([*others, *rows]) == 12


@pytest.mark.parametrize(
    "train",
    [
        [np.random.default_rng(4).normal(size=400)],
        [np.linspace(0, 9, 400) ** 3],
        [np.full(100, 7.0)],
        [np.full(100, np.nan)],
        [np.zeros(0), np.zeros(0)],
        [],
        [np.array([1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0])],  # a third of it holds no lag of a season
    ],
    ids=["noise", "trend", "constant", "unobserved", "empty", "no row", "short"],
)
def test_where_nothing_repeats_there_is_no_season(train):
    assert infer_season(train) == 1


def test_a_season_longer_than_a_third_of_the_series_is_not_claimed():
    assert infer_season([wave(50, 140, seed=5)]) != 50
