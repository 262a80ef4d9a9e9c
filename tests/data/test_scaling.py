"""Scaling statistics come from observed values and can be undone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sources import layout_of

from spline_lstm.data.layout import Layout
from spline_lstm.data.scaling import NEVER, StandardScaler, natural_bounds, spread_follows_level

values_and_gaps = st.integers(2, 9).flatmap(
    lambda steps: st.tuples(arrays(float, steps, elements=st.floats(-1e6, 1e6)), arrays(bool, steps))
)
ragged = st.lists(values_and_gaps, min_size=1, max_size=4)


def unbounded(rows, log=False):
    return StandardScaler.fit(rows, [log] * len(rows))


@given(ragged=ragged)
@settings(max_examples=60)
def test_observed_train_values_get_zero_mean_and_unit_variance(ragged):
    rows = []
    for values, missing in ragged:
        row = values + np.linspace(0, 1e6, len(values))
        row[1:-1][missing[1:-1]] = np.nan
        rows.append(row)
    layout = layout_of(rows, [0] * len(rows))

    scaled = unbounded(rows).transform(np.concatenate(rows), layout)

    for row, own in zip(rows, layout.split(scaled), strict=True):
        observed = ~np.isnan(row)
        if np.ptp(row[observed]) > 1e-8 * np.abs(row[observed]).max():  # below it rounding would decide
            assert np.mean(own[observed]) == pytest.approx(0, abs=1e-6)
            assert np.mean(own[observed] ** 2) == pytest.approx(1)
        np.testing.assert_array_equal(np.isnan(own), ~observed)


@given(ragged=ragged, seed=st.integers(0, 99))
@settings(max_examples=40)
def test_restoring_undoes_scaling(ragged, seed):
    rows = [values for values, _ in ragged]
    scaler = unbounded(rows)
    random = np.random.default_rng(seed)
    windows, numbers = random.normal(scale=1e3, size=(len(rows), 4)), random.permutation(len(rows))

    scaled = scaler.transform(windows.ravel(), Layout.rectangular(len(rows), 4)).reshape(-1, 4)

    np.testing.assert_allclose(scaler.restore(scaled[numbers], numbers), windows[numbers], rtol=1e-6, atol=1e-6)


def test_values_are_restored_in_double_precision():
    scaler = unbounded([np.array([1e8 - 1, 1e8 + 1])])

    assert scaler.restore(np.float32([[0.25]]), np.array([0]))[0, 0] == 1e8 + 0.25


@pytest.mark.parametrize("constant", [0.0, 0.1, 7.0, 1e9])
def test_a_constant_row_keeps_its_scale(constant):
    scaler = unbounded([np.array([constant, np.nan, constant, constant]), np.array([1.0, 2.0, 3.0])])

    assert scaler.std[0] == 1
    scaled = scaler.transform(np.full(5, constant + 2), Layout(np.zeros(2, int), np.array([2, 3])))
    np.testing.assert_allclose(scaled[:2], 2)


@pytest.mark.parametrize("row", [[0.0, 1e-200], [0.3, 0.1 + 0.2], [1e9, 1e9 + 1e-6]])
def test_a_spread_of_rounding_or_one_that_underflows_keeps_its_scale(row):
    assert unbounded([np.array(row)]).std[0] == 1


@given(level=st.floats(-1e9, 1e9), spread=st.floats(1e-3, 1e3))
def test_a_spread_far_above_rounding_is_one_scale(level, spread):
    assert unbounded([np.array([level, level + spread])]).std[0] == pytest.approx(spread / 2, rel=1e-3)


def test_no_row_at_all_has_no_statistics():
    assert unbounded([]).mean.shape == (0,)


@given(seed=st.integers(0, 999), size=st.sampled_from([1e-6, 1.0, 1e9]))
@settings(max_examples=40)
def test_logarithms_are_undone_exactly_and_intervals_keep_their_order(seed, size):
    rng = np.random.default_rng(seed)
    rows = [size * np.exp(rng.normal(size=30)), size * np.exp(5 + 3 * rng.normal(size=20))]
    scaler, layout = unbounded(rows, log=True), layout_of(rows, [0, 0])

    scaled = scaler.transform(np.concatenate(rows), layout)

    for number, (row, own) in enumerate(zip(rows, layout.split(scaled), strict=True)):
        assert np.mean(own) == pytest.approx(0, abs=1e-9)
        assert np.mean(own**2) == pytest.approx(1)
        assert scaler.lowest[number] == own.min()
        assert scaler.spread[number] == pytest.approx(row.std())
        np.testing.assert_allclose(scaler.restore(own[None], np.array([number]))[0], row)
    wide = scaler.restore(np.linspace(-1e4, 1e4, 99)[None], np.array([0]))[0]
    assert np.isfinite(wide).all()
    assert (np.diff(wide) >= 0).all()


def test_a_later_zero_has_the_logarithm_of_half_the_least_value():
    scaler = unbounded([np.array([2.0, 8.0])], log=True)

    scaled = scaler.transform(np.array([0.0, -5.0, np.nan, 8.0]), Layout.rectangular(1, 4))

    np.testing.assert_allclose(scaler.restore(scaled[None], np.array([0])), [[1.0, 1.0, np.nan, 8.0]])


def test_values_stay_within_the_bounds_of_their_row_that_bind_them():
    scaler = unbounded([np.array([0.0, 2.0]), np.array([0.0, 2.0])])
    bounded = scaler.bounded(np.array([0.0, -np.inf]), np.array([1.5, np.inf]))
    bound = np.array([[True, True, False], [True, True, True]])

    within = bounded.within(np.array([[-2.0, 1.0, 4.0]] * 3), np.array([0, 1, 0]), bound)

    np.testing.assert_array_equal(within, [[0.0, 1.0, 1.5], [-2.0, 1.0, 4.0], [-2.0, 1.0, 1.5]])


@pytest.mark.parametrize(
    ("given", "until"),
    [((False, False), ((5, NEVER), (6, NEVER))), ((True, False), ((NEVER, NEVER), (6, NEVER)))],
    ids=["found", "minimum given"],
)
def test_a_bound_that_values_showed_binds_until_one_is_seen_well_beyond_it(given, until):
    rows = np.array([0.0, 1.0, -0.001, -1.0, 1.5]), np.array([-1.0, 0.5, 1.0])  # the first begins at step 2
    scaler = unbounded(rows).bounded(np.array([0.0, -np.inf]), np.ones(2))
    layout, seen = Layout(np.array([2, 0]), np.array([5, 3])), np.ones(8, bool)

    found = scaler.bound_until(np.concatenate(rows), seen, layout, given)
    seen[3] = False  # what is doubted is no proof

    np.testing.assert_array_equal(found, until)
    assert (scaler.bound_until(np.concatenate(rows), seen, layout, given)[0] == NEVER).all()


def growing(spread, seed=0, cycle=12, cycles=10):
    """Cycles around a level that grows fivefold; the spread within one is that of its level."""
    level = np.repeat(np.geomspace(100, 500, cycles), cycle)
    return level + spread(level) * np.random.default_rng(seed).normal(size=cycle * cycles)


@pytest.mark.parametrize(
    ("row", "follows"),
    [
        (growing(lambda level: 0.1 * level), True),
        (growing(lambda level: 10 + 0 * level), False),
        (growing(lambda level: np.sqrt(level)), False),
        (growing(lambda level: 0.1 * level) - 101, False),
        (growing(lambda level: 0.1 * level, cycles=3), False),
        (np.full(120, 5.0), False),
    ],
    ids=["in proportion", "constant", "root", "not positive", "too short", "no spread"],
)
def test_logarithms_are_for_spreads_in_proportion_to_a_positive_level(row, follows):
    gaps = row.copy()
    gaps[np.random.default_rng(1).random(len(row)) < 0.2] = np.nan

    assert spread_follows_level([row], 12) == follows
    assert spread_follows_level([gaps, row], 12) == follows


STEPS = np.arange(1400)
KINDS = {  # of series with a week, by standard normal numbers, and how often they are to be learned from logarithms
    "of a level that wanders": (lambda wander, z: np.exp(0.04 * wander.cumsum() + 0.15 * z), 0.8, 1),
    "that grow": (lambda wander, z: np.exp(STEPS / 700 + 0.2 * z), 0.95, 1),
    "of additive noise": (lambda wander, z: np.exp(0.02 * wander.cumsum()) + 0.2 * z.clip(-3, 3) + 0.7, 0, 0.02),
    "that grow by additive noise": (lambda wander, z: 1 + STEPS / 280 + 0.15 * z, 0, 0.02),
    "that wander without proportion": (lambda wander, z: 500 + 2 * wander.cumsum() + z, 0, 0.02),
    "with a few outliers": (lambda wander, z: (10 + z.clip(-3, 3)) * np.where(STEPS % 450 == 9, 1000, 1), 0, 0.02),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cycle", [4, 7])
def test_short_cycles_are_enough_to_tell_noise_in_proportion_from_others(kind, cycle):
    make, least, most = KINDS[kind]
    rows = [make(*np.random.default_rng(seed).normal(size=(2, len(STEPS)))) for seed in range(40)]

    found = [spread_follows_level([row + max(0, 0.1 - row.min())], cycle) for row in rows]

    assert least <= np.mean(found) <= most


GROWN = np.linspace(0, 3, 210)
SHORT_KINDS = {  # the same of 210 steps without a season
    "that grow": (lambda wander, z: 20 * np.exp(GROWN + 0.05 * z), 0.95, 1),
    "that grow by noise that lasts": (lambda wander, z: 20 * np.exp(GROWN + 0.05 * lasting(z)), 0.8, 1),
    "that grow by additive noise": (lambda wander, z: 100 + 100 * GROWN + 20 * lasting(z), 0, 0.02),
    "that wander": (lambda wander, z: 500 + 8 * wander.cumsum(), 0, 0.02),
    "with peaks": (lambda wander, z: 100 + 10 * lasting(z) + 400 * (wander > 2.3), 0, 0.02),
}


def lasting(z):
    """Noise of which four fifths stay to the next step."""
    return np.convolve(z, 0.6 * 0.8 ** np.arange(40))[: len(z)]


@pytest.mark.parametrize("kind", SHORT_KINDS)
def test_growth_is_told_of_short_series_without_a_season(kind):
    make, least, most = SHORT_KINDS[kind]
    rows = [make(*np.random.default_rng(seed).normal(size=(2, len(GROWN)))) for seed in range(60)]

    found = [spread_follows_level([row + max(0, 0.1 - row.min())], 4) for row in rows]

    assert least <= np.mean(found) <= most


@pytest.mark.parametrize("times", [3, 10, 1000])
@pytest.mark.parametrize("outliers", [1, 3])
def test_a_few_outliers_ask_for_no_logarithms(times, outliers):
    row = growing(lambda level: 10 + 0 * level, cycles=40)
    row[60 * np.arange(1, outliers + 1)] *= times

    assert not spread_follows_level([row], 12)


@pytest.mark.parametrize(
    ("row", "bound"),
    [
        (np.random.default_rng(0).exponential(size=500), True),
        (np.random.default_rng(0).poisson(0.3, 500), True),
        (np.random.default_rng(0).normal(10, 3, 500).clip(min=1), False),
        (np.append(np.random.default_rng(0).normal(10, 1, 500), 0), False),
        (np.append(np.random.default_rng(0).exponential(size=500), -0.1), False),
        (np.zeros(500), False),
        (np.full(5, np.nan), False),
    ],
    ids=["crowded", "counts", "merely positive", "one zero", "below zero", "constant", "nothing"],
)
def test_zero_is_a_bound_where_values_crowd_above_it(row, bound):
    assert natural_bounds(np.asarray(row, float)) == (0 if bound else -np.inf, np.inf)


@pytest.mark.parametrize(
    ("row", "bound"),
    [
        (np.random.default_rng(0).normal(85, 15, 500).clip(20, 100), 100),
        (np.random.default_rng(0).normal(85, 15, 500).clip(20, 100).round(), 100),
        (np.random.default_rng(0).beta(5, 1, 500).round(2), 1),
        (np.random.default_rng(0).normal(85, 15, 500), np.inf),
        (np.append(np.random.default_rng(0).normal(85, 15, 500).clip(20, 100), -1), np.inf),
        (np.random.default_rng(0).normal(85, 15, 500).clip(20, 99), np.inf),
        (np.append(np.linspace(60, 99, 40), 100), np.inf),
        (np.random.default_rng(0).poisson(0.3, 500).clip(max=1), np.inf),
    ],
    ids=["humidity", "whole percent", "shares", "no bound", "negative", "another cap", "an index", "rare demand"],
)
def test_a_hundred_percent_is_a_bound_where_values_often_are_just_that(row, bound):
    assert natural_bounds(np.asarray(row, float))[1] == bound
