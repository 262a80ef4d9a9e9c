"""What is filled at an origin is a function of what was observed by then."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import layout_of, ragged_source, source_of

from spline_lstm.data.gaps import CYCLES_REMEMBERED, DECAY, LEVEL_SEASONS, PRIOR_WEIGHT, fill_gaps

NOTHING = float("nan")


@st.composite
def gappy_row(draw):
    """A random walk of 1 to 40 steps of which anything from nothing to everything is missing."""
    time, seed = draw(st.integers(1, 40)), draw(st.integers(0, 2**32 - 1))
    missing_share = draw(st.sampled_from([0.0, 0.2, 0.6, 0.95, 1.0]))
    rng = np.random.default_rng(seed)
    values = rng.normal(size=time).cumsum()
    values[rng.random(time) < missing_share] = np.nan
    return values


ragged_rows = st.lists(gappy_row(), min_size=1, max_size=4)


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


@given(values=gappy_row(), season=st.integers(1, 7), data=st.data())
@settings(max_examples=150)
def test_a_window_holds_what_truncating_at_its_origin_and_then_filling_gives(values, season, data):
    origin = data.draw(st.integers(0, len(values) - 1))
    lookback = data.draw(st.integers(1, origin + 1))

    window = source_of(values[None], season).inputs(np.array([0]), np.array([origin]), lookback)

    expected = filled_as_of_the_end(values[: origin + 1].tolist(), season)[-lookback:]
    np.testing.assert_allclose(window[0], expected, rtol=1e-5, atol=1e-5)


@given(rows=ragged_rows, season=st.integers(1, 7), data=st.data())
@settings(max_examples=80)
def test_what_follows_an_origin_changes_no_byte_of_its_window(rows, season, data):
    starts = [data.draw(st.integers(0, 9)) for _ in rows]
    known = [row[: data.draw(st.integers(1, len(row)))] for row in rows]
    lookback = data.draw(st.integers(1, min(map(len, known))))
    other = np.random.default_rng(1).normal(scale=1e6, size=30)

    def changed(row, seen):
        return {
            "delete": other[:0],
            "replace": other[: len(row) - seen],
            "remove all": np.full(9, np.nan),
            "append": np.concatenate([row[seen:], other]),
        }[data.draw(st.sampled_from(["delete", "replace", "remove all", "append"]))]

    futures = [changed(row, len(seen)) for row, seen in zip(rows, known, strict=True)]
    # All windows of each row up to the last step before its future.
    windows = [
        (number, start + end - 1)
        for number, (seen, start) in enumerate(zip(known, starts, strict=True))
        for end in range(lookback, len(seen) + 1)
    ]
    numbers, origins = np.array(windows).T
    before = ragged_source(rows, starts, season, lookback).inputs(numbers, origins)
    joined = [np.concatenate(parts) for parts in zip(known, futures, strict=True)]
    after = ragged_source(joined, starts, season, lookback).inputs(numbers, origins)

    assert after.tobytes() == before.tobytes()


@given(rows=ragged_rows, season=st.integers(1, 7))
@settings(max_examples=50)
def test_observations_are_kept_and_marked_and_nothing_is_left_missing(rows, season):
    values = np.concatenate(rows)
    filled = fill_gaps(values, layout_of(rows, [0] * len(rows)), season)

    observed = ~np.isnan(values)
    np.testing.assert_array_equal(filled.observed, observed)
    np.testing.assert_array_equal(filled.settled[observed], values[observed].astype(np.float32))
    assert np.isfinite(filled.settled).all()
    assert np.isfinite(filled.held).all()
    assert filled.held.shape == filled.since.shape == ((~observed).sum(),)


@given(rows=ragged_rows, season=st.integers(1, 7))
@settings(max_examples=50)
def test_rows_do_not_know_of_each_other(rows, season):
    together = fill_gaps(np.concatenate(rows), layout_of(rows, [0] * len(rows)), season)
    alone = [fill_gaps(row, layout_of([row], [0]), season) for row in rows]

    for part in ("settled", "observed", "held", "since"):
        expected = np.concatenate([getattr(each, part) for each in alone])
        assert getattr(together, part).tobytes() == expected.tobytes()
    np.testing.assert_array_equal(together.gap_lengths(), np.concatenate([each.gap_lengths() for each in alone]))


@given(rows=ragged_rows)
@settings(max_examples=80)
def test_gaps_are_counted_within_their_row(rows):
    filled = fill_gaps(np.concatenate(rows), layout_of(rows, [0] * len(rows)), season=1)

    open_steps, lengths = [], []
    for row in rows:
        gap = 0
        for value in row:
            gap = gap + 1 if np.isnan(value) else 0
            open_steps.append(gap)
    for step, count in enumerate(open_steps):
        if count:
            end = step
            while end + 1 < len(open_steps) and open_steps[end + 1] == open_steps[end] + 1:
                end += 1
            lengths.append(open_steps[end])
    assert filled.open_steps(np.arange(len(open_steps))).tolist() == open_steps
    assert filled.since.tolist() == [count for count in open_steps if count]
    assert filled.gap_lengths().tolist() == lengths


@pytest.mark.parametrize("season", [1, 4])
def test_a_row_without_observations_is_filled_with_its_mean_of_zero(season):
    window = source_of(np.full((1, 9), np.nan), season).inputs(np.array([0]), np.array([8]), 9)

    np.testing.assert_array_equal(window, np.zeros((1, 9)))


@pytest.mark.parametrize("season", [1, 4])
def test_a_single_observation_is_held_on_and_once_known_held_back(season):
    source = source_of(np.array([[NOTHING, NOTHING, 3.0, NOTHING, NOTHING]]), season, lookback=2)

    windows = source.inputs(np.zeros(4, int), np.arange(1, 5))

    np.testing.assert_array_equal(windows[0], [0, 0])  # not observed yet
    np.testing.assert_array_equal(windows[1], [3, 3])
    np.testing.assert_array_equal(windows[2][0], 3)
    # It is the level too, so nothing stands out that could decay, and no earlier season has an effect.
    np.testing.assert_array_equal(windows[3], [3, 3])


def test_without_a_season_an_open_gap_holds_and_a_closed_one_is_a_straight_line():
    source = source_of(np.array([[0.0, 1.0, NOTHING, NOTHING, 4.0]]), season=1, lookback=3)

    np.testing.assert_array_equal(source.inputs(np.array([0]), np.array([3])), [[1, 1, 1]])
    np.testing.assert_array_equal(source.inputs(np.array([0]), np.array([4])), [[2, 3, 4]])


def test_an_open_gap_follows_the_season_better_than_the_last_value_does():
    season, cycles = 12, 60
    wave = np.sin(2 * np.pi * np.arange(season * cycles) / season)
    values = wave.copy()
    values[-season:] = np.nan

    held = fill_gaps(values, layout_of([values], [0]), season).held

    hidden, last = wave[-season:], wave[-season - 1]
    assert np.mean((held - hidden) ** 2) < np.mean((last - hidden) ** 2) / 4
