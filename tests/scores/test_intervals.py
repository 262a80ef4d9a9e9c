"""Intervals are weighted quantiles of what was known at an origin, and keep their promise where errors are alike."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from spline_lstm.run.files import CORRUPT
from spline_lstm.scores import intervals
from spline_lstm.scores.intervals import (
    LEAST_WIDTH,
    RENEWALS,
    Certainty,
    Misses,
    RecordedIntervals,
    choose_power,
    half_life,
    half_widths,
    in_force,
)
from spline_lstm.scores.miss_scale import HOURS, MissScale

NEVER = 10**9  # steps in a validation split whose misses do not fade
EVEN = MissScale(0.0, np.ones((2, HOURS), np.float32))


def misses_of(sizes, rows=None, origins=None, scales=1.0):
    sizes = np.asarray(sizes, float)
    rows = np.zeros(len(sizes), int) if rows is None else np.asarray(rows)
    origins = np.arange(len(sizes)) if origins is None else np.asarray(origins)
    return Misses(rows, origins, sizes, np.full_like(sizes, 1.0) * scales)


def slow_quantile(pairs, level, horizon, enough):
    """The smallest size below which enough weight lies; None where nothing, or not enough, is known.

    Args:
        pairs: Size and weight of each known miss.
    """
    pairs = sorted(pairs)
    too_few = (len(pairs) + 1) * level > len(pairs)
    if not pairs or (enough and too_few):
        return None
    stretch = norm.ppf((1 + level) / 2) / norm.ppf((1 + len(pairs) / (len(pairs) + 1)) / 2) if too_few else 1.0
    weights = [weight for _, weight in pairs]
    independent = max(sum(weights) ** 2 / sum(weight**2 for weight in weights) / horizon, 1)
    wanted = (level + (1 - level) / (1 + independent)) * (sum(weights) + max(weights))
    total = 0.0
    for size, weight in pairs:
        total += weight
        if total >= wanted * (1 - 1e-12):
            return size * stretch
    return pairs[-1][0] * stretch


def slow_half_width(misses, row, origin, step, level, span):
    time, horizon = origin - origin % max(1, span // RENEWALS), misses.sizes.shape[1]

    def known(step, of=None):
        return [
            (size, 0.5 ** ((time - misses.origins[window]) / half_life(span, horizon)))
            for window, size in enumerate(misses.sizes[:, step] / misses.scales[:, step])
            if misses.origins[window] + step + 1 <= time and not math.isnan(size) and of in (None, misses.rows[window])
        ]

    for pairs in (known(step, row), known(step)):
        if (found := slow_quantile(pairs, level, horizon, enough=True)) is not None:
            return found
    near = range(max(0, step - 2), min(horizon, step + 3))
    sizes = [slow_quantile(known(each), level, horizon, enough=False) for each in near]
    return np.mean([size for size in sizes if size is not None])


@given(
    seed=st.integers(0, 2**32 - 1),
    windows=st.integers(5, 60),
    row_count=st.integers(1, 3),
    horizon=st.integers(1, 6),
    level=st.sampled_from([0.05, 0.5, 0.8, 0.9, 0.99]),
    span=st.sampled_from([8, 100, 1000]),
    aligned=st.booleans(),
)
@settings(max_examples=100)
def test_half_widths_are_what_a_loop_over_known_misses_gives(seed, windows, row_count, horizon, level, span, aligned):
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.integers(0, row_count, windows))
    if aligned:
        rows = np.repeat(np.arange(row_count), windows)
    origins = np.concatenate([np.arange(np.sum(rows == row)) * (1 + (not aligned)) for row in range(row_count)])
    sizes = np.abs(rng.normal(size=(len(rows), horizon)))
    sizes[rng.random(sizes.shape) < 0.2] = np.nan
    sizes[origins == 0] = 1.0
    misses = misses_of(sizes, rows, origins, rng.uniform(0.3, 3, sizes.shape))
    asked_rows = rng.integers(0, row_count + 1, 20)  # the last one is none of theirs
    asked = rng.integers(max(RENEWALS, span) + horizon, 3 * max(RENEWALS, span), 20)

    found = half_widths(misses, asked_rows, asked, (level,), span)[:, 0]

    for (row, origin), widths in zip(zip(asked_rows, asked, strict=True), found, strict=True):
        expected = [slow_half_width(misses, row, origin, step, level, span) for step in range(horizon)]
        np.testing.assert_allclose(widths, expected, rtol=1e-5)


@given(seed=st.integers(0, 999), cut=st.integers(20, 70), span=st.sampled_from([40, 3000]))
@settings(max_examples=40)
def test_no_interval_depends_on_what_was_observed_after_its_origin(seed, cut, span):
    rng = np.random.default_rng(seed)
    rows, origins = np.repeat([0, 1], 80), np.tile(np.arange(80), 2)
    sizes = np.abs(rng.normal(size=(160, 5)))
    known = origins[:, None] + np.arange(1, 6) <= cut
    other = np.where(known, sizes, 100 * rng.random(sizes.shape))
    other[rng.random(other.shape) < 0.3 * ~known] = np.nan
    asked = np.flatnonzero((origins <= cut) & (origins >= 10))

    before, after = (
        half_widths(misses_of(each, rows, origins), rows[asked], origins[asked], (0.9, 0.5), span)
        for each in (sizes, other)
    )

    np.testing.assert_array_equal(before, after)


def test_windows_that_are_added_later_change_no_pooled_interval_before(monkeypatch):
    monkeypatch.setattr(intervals, "MOST_POOLED", 20)
    rng = np.random.default_rng(0)
    rows, origins = np.repeat([0, 1, 2], 60), np.tile(np.arange(60), 3)
    misses = misses_of(np.abs(rng.normal(size=(180, 3))), rows, origins)
    asked = np.array([7, 0, 1]), np.array([40, 3, 45])

    before = half_widths(misses.of(origins < 45), *asked, (0.9,), 60)
    after = half_widths(misses, *asked, (0.9,), 60)

    np.testing.assert_array_equal(before, after)


def test_rows_with_misses_of_their_own_do_not_change_each_other(monkeypatch):
    rng = np.random.default_rng(0)
    rows, origins = np.repeat([0, 1, 2], 50), np.tile(np.arange(50), 3)
    sizes = np.abs(rng.normal(size=(150, 4)))
    asked = np.array([0, 1, 2]), np.full(3, NEVER // RENEWALS)

    together = half_widths(misses_of(sizes, rows, origins), *asked, (0.9,), NEVER)
    alone = half_widths(misses_of(sizes[rows == 1], origins=np.arange(50)), np.array([0]), asked[1][:1], (0.9,), NEVER)
    monkeypatch.setattr(intervals, "COLUMNS_AT_ONCE", 1)
    by_row = half_widths(misses_of(sizes, rows, origins), *asked, (0.9,), NEVER)

    assert (together > 0).all()
    np.testing.assert_array_equal(together[1], alone[0])
    np.testing.assert_array_equal(together, by_row)


@pytest.mark.parametrize(("count", "level"), [(30, 0.9), (60, 0.8), (99, 0.5)])
def test_a_fresh_exchangeable_miss_is_covered_as_often_as_promised(count, level):
    # Columns are independent trials; a horizon of one step makes every window independent.
    trials, rng = 4_000, np.random.default_rng(0)
    sizes = np.abs(rng.standard_t(3, size=(trials, count))).ravel()[:, None]
    rows, origins = np.repeat(np.arange(trials), count), np.tile(np.arange(count), trials)
    asked = np.full(trials, count + NEVER // RENEWALS)

    widths = half_widths(misses_of(sizes, rows, origins), np.arange(trials), asked, (level,), NEVER)[:, 0, 0]

    covered = np.mean(np.abs(rng.standard_t(3, size=trials)) <= widths)
    # Four standard errors below; above, two ranks and the inflation by one window.
    error = 4 * math.sqrt(level * (1 - level) / trials)
    assert level - error <= covered <= level + 3 / (count + 1) + error


@pytest.mark.parametrize(
    ("span", "horizon", "steps"),
    [(1000, 24, 144), (10_000, 24, 1000), (100, 24, 50)],
    ids=["six horizons", "a tenth of many windows", "half of few"],
)
def test_misses_fade_by_independent_windows_within_shares_of_the_validation_split(span, horizon, steps):
    assert half_life(span, horizon) == steps


def test_intervals_follow_a_spread_that_doubles_and_constant_ones_do_not():
    rng = np.random.default_rng(0)
    scale = np.repeat([1.0, 2.0], [1000, 1000])
    sizes = np.abs(scale * rng.normal(size=2000))[:, None]
    asked = np.arange(1300, 2000)

    widths = half_widths(misses_of(sizes), np.zeros(700, int), asked, (0.9,), 1000)[:, 0, 0]

    fixed = np.quantile(sizes[:1000], 0.9)
    assert np.mean(sizes[asked, 0] <= fixed) < 0.65
    assert abs(np.mean(sizes[asked, 0] <= widths) - 0.9) < 0.05


def test_the_power_is_that_with_which_misses_grow():
    rng = np.random.default_rng(0)
    above = rng.uniform(0.3, 6, (2000, 1))
    noise = np.abs(rng.normal(size=above.shape))
    for power in (0.0, 0.5, 1.0):
        assert choose_power(misses_of(noise * above**power, scales=above), 2000) == power
    assert choose_power(misses_of(noise[:1], scales=above[:1]), 2000) == 0.0
    outage = np.where(np.arange(len(noise))[:, None] < len(noise) // 2, noise * above, np.nan)
    assert choose_power(misses_of(outage, scales=above), 2000) == 0.0
    rows, origins = np.repeat(np.arange(200), 10), np.tile(np.arange(10), 200)
    assert choose_power(misses_of(noise * above, rows, origins, above), 10) == 1.0


def test_missing_newest_steps_make_a_step_as_unsure_as_one_so_much_further_ahead():
    relative = np.array([[[1.0, 2.0, 4.0, 3.0]]] * 3)

    found = in_force(relative, np.full((3, 4), 2.0), np.array([0, 1, 9]))

    np.testing.assert_array_equal(found[:, 0] / 2, [[1, 2, 4, 3], [2, 4, 4, 3], [3, 3, 4, 3]])


@given(seed=st.integers(0, 999), missing_share=st.sampled_from([0.0, 0.3, 0.9]))
@settings(max_examples=30)
def test_a_larger_level_is_never_narrower(seed, missing_share):
    rng = np.random.default_rng(seed)
    sizes = np.abs(rng.normal(size=(50, 4)))
    sizes[rng.random(sizes.shape) < missing_share] = np.nan
    sizes[0] = 1.0
    levels = rng.permutation(np.linspace(0.01, 0.99, 15))

    widths = half_widths(misses_of(sizes, np.repeat([0, 1], [40, 10])), np.array([0, 1]), np.full(2, 90), levels, 60)

    assert (np.diff(widths[:, np.argsort(levels)], axis=1) >= 0).all()


def test_the_newest_widths_are_those_at_the_end_of_all_rows():
    rng = np.random.default_rng(0)
    rows, origins = np.repeat([0, 1], 40), np.tile(np.arange(40), 2)
    misses = misses_of(np.abs(rng.normal(size=(80, 3))), rows, origins)
    certainty = Certainty(misses, EVEN, (0.9, 0.5), 40)

    own, together = certainty.newest(np.array([45, 30]))

    asked = np.array([0, 1, 7]), np.full(3, 44)
    np.testing.assert_array_equal(np.append(own, together[None], axis=0), half_widths(misses, *asked, (0.9, 0.5), 40))


def test_a_row_that_ended_before_the_misses_has_those_of_all_rows():
    misses = misses_of(np.abs(np.random.default_rng(0).normal(size=(40, 3))), origins=np.arange(100, 140))

    own, together = Certainty(misses, EVEN, (0.9, 0.5), 40).newest(np.array([145, 60]))

    np.testing.assert_array_equal(own[1], together)
    assert (own[1] > 0.1).all()


def test_what_was_never_missed_has_an_interval_that_rounding_cannot_leave():
    widths = half_widths(misses_of(np.zeros((40, 3))), np.array([0]), np.array([90]), (0.9,), 40)

    assert (widths == np.float32(LEAST_WIDTH)).all()


RECORDED = {
    "coverage": [0.9, 0.8],
    "quantiles": [0.25],
    "power": 0.5,
    "hourly": {"a": [0.5] * 12 + [1.5] * 12},
    "half_widths": {"a": [[1.0, 2.0], [0.5, 1.0], [0.2, 0.4]]},
    "pooled": [[2.0, 3.0], [1.0, 1.5], [0.5, 0.6]],
}


def test_recorded_intervals_are_those_of_a_series_or_of_all():
    recorded = RecordedIntervals.of_content(RECORDED, horizon=2)

    assert recorded.asked.levels == (0.9, 0.8, 0.5)
    found = recorded.of(["new", "a"])
    np.testing.assert_array_equal(found, [RECORDED["pooled"], RECORDED["half_widths"]["a"]])
    scale = recorded.scale(["new", "a"])
    assert scale.power == 0.5
    np.testing.assert_array_equal(scale.hourly, [[1.0] * 24, RECORDED["hourly"]["a"]])


@pytest.mark.parametrize(
    "changes",
    [
        {"coverage": [1.5]},
        {"coverage": None},
        {"quantiles": {"a": 1}},
        {"power": "x"},
        {"power": float("nan")},
        {"hourly": None},
        {"hourly": {"a": [1.0] * 23}},
        {"hourly": {"a": [0.0] * 24}},
        {"hourly": {"a": [1.0] * 23 + [float("inf")]}},
        {"half_widths": []},
        {"half_widths": {"a": None}},
        {"half_widths": {"a": [[1.0, 2.0]]}},
        {"half_widths": {"a": [[1.0], [0.5], [0.2]]}},
        {"half_widths": {"a": [[1.0, 2.0], [0.5], [0.2, 0.4]]}},
        {"pooled": [[-1.0, 3.0], [1.0, 1.5], [0.5, 0.6]]},
        {"pooled": [[1e999, 3.0], [1.0, 1.5], [0.5, 0.6]]},
        {"pooled": 7},
    ],
    ids=str,
)
def test_recorded_intervals_of_another_kind_are_refused(changes):
    with pytest.raises(CORRUPT):
        RecordedIntervals.of_content({**RECORDED, **changes}, horizon=2)
