"""Values far from all others are doubted as they come, until a series is believed to go there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.faults import doubtful, limits
from spline_lstm.data.layout import Layout

VALUES = st.lists(st.sampled_from([0.0, 1.0, 15.0, 20.0, 99.0, -15.0, -99.0, np.nan]), min_size=1, max_size=60)


def doubted_one_by_one(row, start, train, longest):
    """What a reader doubts who sees one value after the other; limits are -9 and 9."""
    low, high, most, newest = -9.0, 9.0, min(3, longest), []
    for step, value in enumerate(row, start):
        far = value < low or value > high
        if step < train or np.isnan(value):
            yield far
            continue
        newest = [*newest, value][-2 * most - 2 :]
        to_its_side = sum(other < low if value < low else other > high for other in newest)
        if far and to_its_side > most:
            low, high, far = min(low, 2 * value), max(high, 2 * value), False
        yield far


@given(st.lists(st.tuples(VALUES, st.integers(0, 5)), min_size=1, max_size=4), st.integers(0, 20), st.integers(1, 5))
@settings(max_examples=300)
def test_what_is_doubted_is_what_a_reader_of_one_value_after_the_other_doubts(rows, train, longest):
    layout = Layout(np.array([start for _, start in rows]), np.array([len(row) for row, _ in rows]))
    values, ends = np.concatenate([row for row, _ in rows]), np.full(len(rows), 9.0)

    found = doubtful(values, layout, -ends, ends, train, longest)

    assert found.tolist() == [far for row, start in rows for far in doubted_one_by_one(row, start, train, longest)]


@pytest.mark.parametrize("longest", [1, 2, 24])
@pytest.mark.parametrize(
    "there", [[True], [True, True, False, False], [True, True, True, False], 5 * [True] + 2 * [False]]
)
def test_a_series_that_comes_and_goes_is_soon_seen_wherever_it_is(there, longest):
    row = np.where(np.resize(there, 300), 400.0, 5.0)

    found = doubtful(row, Layout(np.zeros(1, int), np.array([300])), np.array([-90.0]), np.array([100.0]), 0, longest)

    assert found.sum() == min(3, longest)
    assert np.flatnonzero(found).max() < 8


def test_limits_are_twenty_ranges_of_the_middle_of_the_values():
    row = np.linspace(0, 1, 1001)

    assert limits(row, 0.003) == pytest.approx((0.5 - 20 * 0.95, 0.5 + 20 * 0.95))


def test_what_is_not_apart_from_others_is_near():
    rain = np.zeros(1000)
    rain[:40], rain[500:503] = 0.02, (0.3, 0.35, 0.6)

    assert 20 * np.quantile(rain, 0.975) == pytest.approx(0.4)
    assert limits(rain, 0.003) == pytest.approx((-0.7, 0.7))
    assert limits(np.append(rain, 1048), 0.003) == pytest.approx((-0.7, 0.7))


def test_one_value_may_be_far_however_few_there_are():
    row = np.append(np.arange(99.0), 1e6)

    assert limits(row, 0.003)[1] < 1e6


@pytest.mark.parametrize(
    "row",
    [np.zeros(0), np.full(50, np.nan), np.arange(19.0), np.full(300, 7.0), np.append(np.arange(100.0), [1e6, 1e6])],
    ids=["nothing", "no observation", "few values", "a constant", "two of a hundred"],
)
def test_nothing_is_far_where_little_is_known_or_much_would_be(row):
    assert limits(row, 0.003) == (-np.inf, np.inf)
