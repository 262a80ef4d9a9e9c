"""Splines over lags tell recent ones apart and share out those further back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.lags import FINE_LAGS, LAG_GROWTH, lag_basis, lag_operator


@given(lookback=st.integers(1, 500))
@settings(max_examples=60)
def test_lag_splines_are_non_negative_sum_to_one_and_have_weight(lookback):
    basis = lag_basis(lookback)

    assert len(basis) == lookback
    assert basis.min() >= 0
    assert (basis.max(axis=0) == 1).all()
    np.testing.assert_allclose(basis.sum(axis=1), 1)


@given(lookback=st.integers(1, 500))
@settings(max_examples=30)
def test_recent_lags_are_told_apart_and_the_origin_stands_last(lookback):
    recent = min(FINE_LAGS, lookback - 1) + 1

    basis = lag_basis(lookback)[::-1]

    np.testing.assert_array_equal(basis[:recent, :recent], np.eye(recent))
    np.testing.assert_array_equal(basis[:recent, recent:], 0)


def test_further_lags_share_ever_fewer_splines():
    knots = lag_basis(480)[::-1].argmax(axis=0)

    apart = np.diff(knots)[FINE_LAGS:-1]  # the last knot is cut off at the oldest lag
    assert (np.diff(apart) >= 0).all()
    assert apart[-1] > (LAG_GROWTH - 1) * 200
    assert len(knots) < 50


def test_a_response_that_is_linear_between_knots_is_a_sum_of_lag_splines():
    basis = lag_basis(100)
    knots = basis[::-1].argmax(axis=0)
    heights = np.random.default_rng(0).normal(size=len(knots))

    np.testing.assert_allclose((basis @ heights)[::-1], np.interp(np.arange(100), knots, heights), atol=1e-12)


@pytest.mark.parametrize("lookback", [1, 2, 24, 100, 480])
def test_the_lag_operator_takes_weighted_means(lookback):
    operator = lag_operator(lookback)

    np.testing.assert_allclose(operator.sum(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(np.full(lookback, 3.0) @ operator, 3, rtol=1e-5)
