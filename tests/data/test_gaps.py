"""What is filled at an origin is a function of what was observed by then."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.gaps import CYCLES_REMEMBERED, DECAY, LEVEL_SEASONS, PRIOR_WEIGHT, fill_gaps
from spline_lstm.data.windows import WindowSource

NOTHING = float("nan")


@st.composite
def gappy_series(draw, rows=1):
    """Random walks of 1 to 40 steps of which anything from nothing to everything is missing."""
    time, seed = draw(st.integers(1, 40)), draw(st.integers(0, 2**32 - 1))
    missing_share = draw(st.sampled_from([0.0, 0.2, 0.6, 0.95, 1.0]))
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, time)).cumsum(axis=1)
    values[rng.random((rows, time)) < missing_share] = np.nan
    return values


def source_of(values, season, lookback=1):
    return WindowSource(fill_gaps(values, season), values.astype(np.float32), lookback, horizon=1)


def level_at(known, step, season):
    """Mean of the observations up to a step, older ones forgotten with a constant of two seasons."""
    total = weights = 0.0
    for earlier in range(step + 1):
        if not math.isnan(known[earlier]):
            weight = math.exp(-(step - earlier) / (LEVEL_SEASONS * season))
            total += weight * known[earlier]
            weights += weight
    return total / weights


def seasonal_effect_at(known, step, season):
    """Mean of what stood out from the level at the same phase of earlier seasons, shrunk towards zero."""
    total, weights = 0.0, PRIOR_WEIGHT
    for cycles, earlier in enumerate(range(step - season, -1, -season)):
        if not math.isnan(known[earlier]):
            weight = math.exp(-cycles / CYCLES_REMEMBERED)
            total += weight * (known[earlier] - level_at(known, earlier, season))
            weights += weight
    return total / weights


def filled_as_of_the_end(known, season):
    """The obvious way: truncate, then walk over every missing step and look at both sides of its gap."""
    effect = [seasonal_effect_at(known, step, season) if season > 1 else 0.0 for step in range(len(known))]
    observed = [step for step, value in enumerate(known) if not math.isnan(value)]
    filled = []
    for step, value in enumerate(known):
        before = max((other for other in observed if other < step), default=None)
        after = min((other for other in observed if other > step), default=None)
        if not math.isnan(value):
            filled.append(value)
        elif before is None and after is None:
            filled.append(0.0)
        elif before is None:
            filled.append(effect[step] + known[after] - effect[after])
        elif after is None:
            stood_out = known[before] - effect[before]
            level = level_at(known, before, season) if season > 1 else stood_out
            decay = math.exp(-(step - before) / (season * DECAY))
            filled.append(effect[step] + level + (stood_out - level) * decay)
        else:
            left, right = known[before] - effect[before], known[after] - effect[after]
            if season == 1:
                filled.append(left + (right - left) * (step - before) / (after - before))
                continue
            level, constant = level_at(known, after, season), season * DECAY
            parts = ((left, after - step), (right, step - before))
            pulls = [(value - level) * math.sinh(steps / constant) for value, steps in parts]
            filled.append(effect[step] + level + sum(pulls) / math.sinh((after - before) / constant))
    return filled


@given(values=gappy_series(), season=st.integers(1, 7), data=st.data())
@settings(max_examples=150)
def test_a_window_holds_what_truncating_at_its_origin_and_then_filling_gives(values, season, data):
    origin = data.draw(st.integers(0, values.shape[1] - 1))
    lookback = data.draw(st.integers(1, origin + 1))

    window = source_of(values, season).inputs(np.array([0]), np.array([origin]), lookback)

    expected = filled_as_of_the_end(values[0, : origin + 1].tolist(), season)[-lookback:]
    np.testing.assert_allclose(window[0], expected, rtol=1e-5, atol=1e-5)


@given(values=gappy_series(rows=2), season=st.integers(1, 7), data=st.data())
@settings(max_examples=80)
def test_what_follows_an_origin_changes_no_byte_of_its_window(values, season, data):
    time = values.shape[1]
    origin = data.draw(st.integers(0, time - 1))
    lookback = data.draw(st.integers(1, origin + 1))
    change = data.draw(st.sampled_from(["delete", "replace", "remove all", "append"]))
    other = np.random.default_rng(1).normal(scale=1e6, size=(2, 30))
    known = values[:, : origin + 1]
    future = {
        "delete": other[:, :0],
        "replace": other[:, : time - origin - 1],
        "remove all": np.full((2, 9), np.nan),
        "append": np.hstack([values[:, origin + 1 :], other]),
    }[change]

    # All windows up to the origin, of both rows.
    origins = np.repeat(np.arange(lookback - 1, origin + 1), 2)
    rows = np.tile([0, 1], len(origins) // 2)
    before = source_of(values, season, lookback).inputs(rows, origins)
    after = source_of(np.hstack([known, future]), season, lookback).inputs(rows, origins)

    assert after.tobytes() == before.tobytes()


@given(values=gappy_series(rows=2), season=st.integers(1, 7))
@settings(max_examples=50)
def test_observations_are_kept_and_marked_and_nothing_is_left_missing(values, season):
    filled = fill_gaps(values, season)

    observed = ~np.isnan(values)
    np.testing.assert_array_equal(filled.observed, observed)
    for kept in (filled.settled, filled.held):
        np.testing.assert_array_equal(kept[observed], values[observed].astype(np.float32))
        assert np.isfinite(kept).all()


@given(values=gappy_series(rows=3), season=st.integers(1, 7))
@settings(max_examples=30)
def test_rows_do_not_know_of_each_other(values, season):
    together = fill_gaps(values, season)
    alone = [fill_gaps(values[[row]], season) for row in range(3)]

    np.testing.assert_array_equal(together.settled, np.vstack([each.settled for each in alone]))
    np.testing.assert_array_equal(together.held, np.vstack([each.held for each in alone]))


@pytest.mark.parametrize("season", [1, 4])
def test_a_row_without_observations_is_filled_with_its_mean_of_zero(season):
    window = source_of(np.full((1, 9), np.nan), season).inputs(np.array([0]), np.array([8]), 9)

    np.testing.assert_array_equal(window, np.zeros((1, 9)))


@pytest.mark.parametrize("season", [1, 4])
def test_a_single_observation_is_held_on_and_once_known_held_back(season):
    values = np.array([[NOTHING, NOTHING, 3.0, NOTHING, NOTHING]])
    source = source_of(values, season, lookback=2)

    windows = source.inputs(np.zeros(4, int), np.arange(1, 5))

    np.testing.assert_array_equal(windows[0], [0, 0])  # not observed yet
    np.testing.assert_array_equal(windows[1], [3, 3])
    np.testing.assert_array_equal(windows[2][0], 3)
    # It is the level too, so nothing stands out that could decay, and no earlier season has an effect.
    np.testing.assert_array_equal(windows[3], [3, 3])


def test_without_a_season_an_open_gap_holds_and_a_closed_one_is_a_straight_line():
    values = np.array([[0.0, 1.0, NOTHING, NOTHING, 4.0]])
    source = source_of(values, season=1, lookback=3)

    np.testing.assert_array_equal(source.inputs(np.array([0]), np.array([3])), [[1, 1, 1]])
    np.testing.assert_array_equal(source.inputs(np.array([0]), np.array([4])), [[2, 3, 4]])


def test_an_open_gap_follows_the_season_better_than_the_last_value_does():
    season, cycles = 12, 60
    wave = np.sin(2 * np.pi * np.arange(season * cycles) / season)[None]
    hidden = np.s_[:, -season:]
    values = wave.copy()
    values[hidden] = np.nan

    held = fill_gaps(values, season).held[hidden]

    last = wave[0, -season - 1]
    assert np.mean((held - wave[hidden]) ** 2) < np.mean((last - wave[hidden]) ** 2) / 4
