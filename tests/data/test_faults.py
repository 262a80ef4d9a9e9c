"""Values far from all others are doubted as they come, until there are several in a row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spline_lstm.data.faults import doubtful, limits
from spline_lstm.data.layout import Layout

VALUES = st.lists(st.sampled_from([0.0, 1.0, 99.0, 98.0, -99.0, np.nan]), min_size=1, max_size=30)


@given(st.lists(st.tuples(VALUES, st.integers(0, 5)), min_size=1, max_size=4), st.integers(0, 20))
def test_what_is_doubted_is_what_a_reader_of_one_value_after_the_other_doubts(rows, train):
    layout = Layout(np.array([start for _, start in rows]), np.array([len(row) for row, _ in rows]))
    count = len(rows)

    found = doubtful(np.concatenate([row for row, _ in rows]), layout, np.full(count, -9.0), np.full(count, 9.0), train)

    expected = []
    for row, start in rows:
        in_a_row, last = 0, 0
        for step, value in enumerate(row, start):
            side = (value > 9) - (value < -9)
            if step < train:
                expected.append(side != 0)
            elif np.isnan(value):
                expected.append(False)
            else:
                in_a_row = in_a_row + 1 if side == last else 1
                last = side
                expected.append(side != 0 and in_a_row <= 3)
    assert found.tolist() == expected


def test_limits_are_twenty_ranges_of_the_middle_of_the_values():
    row = np.linspace(0, 1, 1001)

    assert limits(row, 0.003) == pytest.approx((0.5 - 20 * 0.95, 0.5 + 20 * 0.95))


def test_what_is_not_apart_from_others_is_near():
    rain = np.zeros(1000)
    rain[:40], rain[500:503] = 0.02, (0.3, 0.35, 0.6)

    assert 20 * np.quantile(rain, 0.975) == pytest.approx(0.4)
    assert limits(rain, 0.003) == pytest.approx((-0.7, 0.7))
    assert limits(np.append(rain, 1048), 0.003) == pytest.approx((-0.7, 0.7))


@pytest.mark.parametrize(
    "row",
    [np.zeros(0), np.full(50, np.nan), np.arange(19.0), np.full(300, 7.0), np.append(np.arange(100.0), [1e6, 1e6])],
    ids=["nothing", "no observation", "few values", "a constant", "two of a hundred"],
)
def test_nothing_is_far_where_little_is_known_or_much_would_be(row):
    assert limits(row, 0.003) == (-np.inf, np.inf)
