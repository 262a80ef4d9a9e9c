"""What is filled at an origin is a function of what was observed by then."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from sources import layout_of, ragged_source, source_of

from spline_lstm.data.gaps import CYCLES_REMEMBERED, LEVEL_SEASONS, PRIOR_WEIGHT, fill_gaps, fit_decay

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


some_seasons = st.sampled_from(
    [(), (2.0,), (3.0,), (7.0,), (2.5,), (52 / 7,), (2.0, 5.0), (3.0, 10.5), (2.0, 3.25, 9.0)]
)
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


def place_of(step, season):
    """The cycle that a step is in, and its place there."""
    cycle = math.floor(Fraction(step) / Fraction(season))
    return cycle, step - math.ceil(cycle * Fraction(season))


def seasonal_effects(known, stands_out, season):
    """Of each step the mean of what stood out at its place of earlier cycles, shrunk towards zero."""
    effects = []
    for step in range(len(known)):
        cycle, place = place_of(step, season)
        total, weights = 0.0, PRIOR_WEIGHT
        for earlier in range(step):
            before, same = place_of(earlier, season)
            if before < cycle and same == place and not math.isnan(known[earlier]):
                weight = math.exp(-(cycle - before - 1) / CYCLES_REMEMBERED)
                total += weight * stands_out[earlier]
                weights += weight
        effects.append(total / weights)
    return effects


def filled_as_of_the_end(known, seasons, decay):
    """The obvious way: truncate, then walk over every missing step and look at both sides of its gap."""
    observed = [step for step, value in enumerate(known) if not math.isnan(value)]

    def level(step):
        return level_at(known, step, seasons[-1])

    effect = [0.0] * len(known)
    for season in seasons:
        left = [known[step] - level(step) - effect[step] if step in observed else 0.0 for step in range(len(known))]
        effect = [sum(both) for both in zip(effect, seasonal_effects(known, left, season), strict=True)]
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
            base = level(before) if seasons else stood_out
            filled.append(effect[step] + base + (stood_out - base) * math.exp(-(step - before) / decay))
        else:
            left, right = known[before] - effect[before], known[after] - effect[after]
            if not seasons:
                filled.append(left + (right - left) * (step - before) / (after - before))
                continue
            base = level(after)
            parts = ((left, after - step), (right, step - before))
            pulls = [(value - base) * math.sinh(steps / decay) for value, steps in parts]
            filled.append(effect[step] + base + sum(pulls) / math.sinh((after - before) / decay))
    return filled


@given(values=gappy_row(), seasons=some_seasons, decay=st.floats(0.5, 50), data=st.data())
@settings(max_examples=200)
def test_a_window_holds_what_truncating_at_its_origin_and_then_filling_gives(values, seasons, decay, data):
    origin = data.draw(st.integers(0, len(values) - 1))
    lookback = data.draw(st.integers(1, origin + 1))

    source = source_of(values[None], seasons, decay=decay if seasons else None)
    window = source.inputs(np.array([0]), np.array([origin]), lookback)

    expected = filled_as_of_the_end(values[: origin + 1].tolist(), seasons, decay)[-lookback:]
    np.testing.assert_allclose(window[0], expected, rtol=1e-5, atol=1e-5)


@given(rows=ragged_rows, seasons=some_seasons, data=st.data())
@settings(max_examples=80)
def test_what_follows_an_origin_changes_no_byte_of_its_window(rows, seasons, data):
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
    before = ragged_source(rows, starts, seasons, lookback, decay=3.0).inputs(numbers, origins)
    joined = [np.concatenate(parts) for parts in zip(known, futures, strict=True)]
    after = ragged_source(joined, starts, seasons, lookback, decay=3.0).inputs(numbers, origins)

    assert after.tobytes() == before.tobytes()


@given(rows=ragged_rows, seasons=some_seasons)
@settings(max_examples=50)
def test_observations_are_kept_and_marked_and_nothing_is_left_missing(rows, seasons):
    values = np.concatenate(rows)
    filled = fill_gaps(values, layout_of(rows, [0] * len(rows)), seasons, 3.0)

    observed = ~np.isnan(values)
    np.testing.assert_array_equal(filled.observed, observed)
    np.testing.assert_array_equal(filled.settled[observed], values[observed].astype(np.float32))
    assert np.isfinite(filled.settled).all()
    assert np.isfinite(filled.held).all()
    assert filled.held.shape == filled.since.shape == ((~observed).sum(),)


@given(rows=ragged_rows, seasons=some_seasons)
@settings(max_examples=50)
def test_rows_do_not_know_of_each_other(rows, seasons):
    together = fill_gaps(np.concatenate(rows), layout_of(rows, [0] * len(rows)), seasons, 3.0)
    alone = [fill_gaps(row, layout_of([row], [0]), seasons, 3.0) for row in rows]

    for part in ("settled", "observed", "held", "since"):
        expected = np.concatenate([getattr(each, part) for each in alone])
        assert getattr(together, part).tobytes() == expected.tobytes()
    np.testing.assert_array_equal(together.gap_lengths(), np.concatenate([each.gap_lengths() for each in alone]))


@given(rows=ragged_rows)
@settings(max_examples=80)
def test_gaps_are_counted_within_their_row(rows):
    filled = fill_gaps(np.concatenate(rows), layout_of(rows, [0] * len(rows)))

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


@pytest.mark.parametrize("seasons", [(), (4.0,), (2.5, 4.0)])
def test_a_row_without_observations_is_filled_with_its_mean_of_zero(seasons):
    window = source_of(np.full((1, 9), np.nan), seasons).inputs(np.array([0]), np.array([8]), 9)

    np.testing.assert_array_equal(window, np.zeros((1, 9)))


@pytest.mark.parametrize("seasons", [(), (4.0,), (2.5, 4.0)])
def test_a_single_observation_is_held_on_and_once_known_held_back(seasons):
    source = source_of(np.array([[NOTHING, NOTHING, 3.0, NOTHING, NOTHING]]), seasons, lookback=2)

    windows = source.inputs(np.zeros(4, int), np.arange(1, 5))

    np.testing.assert_array_equal(windows[0], [0, 0])  # not observed yet
    np.testing.assert_array_equal(windows[1], [3, 3])
    np.testing.assert_array_equal(windows[2][0], 3)
    # It is the level too, so nothing stands out that could decay, and no earlier season has an effect.
    np.testing.assert_array_equal(windows[3], [3, 3])


def test_without_a_season_an_open_gap_holds_and_a_closed_one_is_a_straight_line():
    source = source_of(np.array([[0.0, 1.0, NOTHING, NOTHING, 4.0]]), lookback=3)

    np.testing.assert_array_equal(source.inputs(np.array([0]), np.array([3])), [[1, 1, 1]])
    np.testing.assert_array_equal(source.inputs(np.array([0]), np.array([4])), [[2, 3, 4]])


def test_an_open_gap_follows_the_season_better_than_the_last_value_does():
    season, cycles = 12, 60
    wave = np.sin(2 * np.pi * np.arange(season * cycles) / season)
    values = wave.copy()
    values[-season:] = np.nan

    held = fill_gaps(values, layout_of([values], [0]), (season,), 5.0).held

    hidden, last = wave[-season:], wave[-season - 1]
    assert np.mean((held - hidden) ** 2) < np.mean((last - hidden) ** 2) / 4


def load(steps, rng):
    """A day, a week and noise that decays with a constant of five steps."""
    clock = np.arange(steps)
    day, week = np.sin(2 * np.pi * clock / 24), np.where(clock // 24 % 7 < 5, 0.5, -1.25)
    return day + week + 0.3 * np.sqrt(1 - np.exp(-0.4)) * lfilter([1.0], [1.0, -np.exp(-0.2)], rng.normal(size=steps))


def test_a_second_season_fills_better_where_there_is_one_and_costs_little_where_there_is_none():
    rng = np.random.default_rng(0)
    gone = np.repeat(rng.random(24 * 7 * 20 // 24) < 0.2, 24)
    with_week = load(len(gone), rng)
    without = with_week - np.where(np.arange(len(gone)) // 24 % 7 < 5, 0.5, -1.25)

    def error(truth, seasons):
        filled = fill_gaps(np.where(gone, np.nan, truth), layout_of([truth], [0]), seasons, 5.0)
        late = slice(gone.sum() // 4, None)  # when some weeks are known
        return np.sqrt(np.mean((filled.held - truth[gone])[late] ** 2))

    assert error(with_week, (24.0, 168.0)) < 0.6 * error(with_week, (24.0,))
    assert error(without, (24.0, 168.0)) < 1.2 * error(without, (24.0,))


def test_a_season_of_broken_length_keeps_its_phase():
    clock = np.arange(52 * 40)
    wave = np.sin(2 * np.pi * clock / 52.18)
    values = wave.copy()
    values[-30:] = np.nan

    def error(season):
        return np.abs(fill_gaps(values, layout_of([values], [0]), (season,), 5.0).held - wave[-30:]).mean()

    assert error(52.18) < error(52.0) / 2


@pytest.mark.parametrize("constant", [2.0, 8.0, 40.0])
def test_the_decay_of_noise_is_found(constant):
    rng = np.random.default_rng(3)
    rows = [
        10 + 5 * np.sin(2 * np.pi * np.arange(20_000) / 24) + lfilter([1.0], [1.0, -np.exp(-1 / constant)], shocks)
        for shocks in rng.normal(size=(3, 20_000))
    ]
    rows[0][rng.random(20_000) < 0.3] = np.nan

    # The level is a mean of four weeks, and is up with slow noise to some degree.
    assert fit_decay(rows, (24.0, 336.0), 64) == pytest.approx(constant, rel=0.25)


def test_the_decay_fills_open_gaps_with_the_least_error():
    rng = np.random.default_rng(5)
    row = load(24 * 200, rng)
    gone = np.repeat(rng.random(200) < 0.25, 24)
    decay = fit_decay([row], (24.0, 168.0), 24)

    def error(decay):
        held = fill_gaps(np.where(gone, np.nan, row), layout_of([row], [0]), (24.0, 168.0), decay).held
        return np.mean((held - row[gone]) ** 2)

    best = min(error(constant) for constant in np.geomspace(0.5, 500, 30))
    assert error(decay) < 1.03 * best


@pytest.mark.parametrize("row", [np.full(50, 7.0), np.full(50, np.nan), np.array([1.0]), np.zeros(0)])
def test_rows_that_say_nothing_have_no_part_in_the_decay(row):
    other = load(500, np.random.default_rng(6))

    assert fit_decay([row, other], (24.0,), 10) == fit_decay([other], (24.0,), 10)
    assert fit_decay([row], (24.0,), 10) > 0
