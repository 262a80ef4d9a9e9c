"""Cycles follow each other without overlap, however broken their length is."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spline_lstm.data.phases import group_means, phases

lengths = st.integers(2, 40) | st.fractions(2, 40, max_denominator=400) | st.just(Fraction(365.25))


@given(time=st.integers(0, 500), season=lengths)
def test_a_cycle_begins_at_the_first_step_not_before_its_multiple(time, season):
    cycle, phase = phases(time, float(season))

    expected = [step // season for step in range(time)]
    assert cycle.tolist() == expected
    assert phase.tolist() == [step - math.ceil(number * season) for step, number in enumerate(expected)]


@given(time=st.integers(1, 500), more=st.integers(0, 100), season=lengths)
def test_a_longer_row_has_the_same_phases(time, more, season):
    for short, long in zip(phases(time, float(season)), phases(time + more, float(season)), strict=True):
        np.testing.assert_array_equal(short, long[:time])


def test_means_are_of_what_was_observed():
    means, sizes = group_means(np.array([1.0, np.nan, 3.0, 8.0, np.nan]), np.array([0, 0, 0, 2, 1]), 4)

    np.testing.assert_array_equal(means, [2, 0, 8, 0])
    np.testing.assert_array_equal(sizes, [2, 0, 1, 0])
