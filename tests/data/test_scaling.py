"""Scaling statistics come from observed values and can be undone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spline_lstm.data.scaling import StandardScaler
from spline_lstm.run.errors import DataError

NAMES = ("load", "oil")
tables = arrays(float, (2, 9), elements=st.floats(-1e6, 1e6))


@given(train=tables, missing=arrays(bool, (2, 9)))
@settings(max_examples=60)
def test_observed_train_values_get_zero_mean_and_unit_variance(train, missing):
    train = train + np.linspace(0, 1e6, 9)  # no row is nearly constant, where rounding would decide
    missing[:, [0, -1]] = False
    train[missing] = np.nan

    scaled = StandardScaler.fit(train, NAMES).transform(train)

    for row, observed in zip(scaled, ~missing, strict=True):
        if np.ptp(row[observed]) > 0:
            assert np.mean(row[observed]) == pytest.approx(0, abs=1e-6)
            assert np.mean(row[observed] ** 2) == pytest.approx(1)
    np.testing.assert_array_equal(np.isnan(scaled), missing)


@given(train=tables, rows=st.lists(st.integers(0, 1), min_size=1, max_size=5), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_restoring_undoes_scaling(train, rows, seed):
    scaler = StandardScaler.fit(train, NAMES)
    values = np.random.default_rng(seed).normal(scale=1e3, size=(len(rows), 4))

    scaled = np.vstack(
        [scaler.transform(np.tile(window, (2, 1)))[row] for window, row in zip(values, rows, strict=True)]
    )

    np.testing.assert_allclose(scaler.restore(scaled, np.array(rows)), values, rtol=1e-6, atol=1e-6)


def test_values_are_restored_in_double_precision():
    scaler = StandardScaler(np.array([1e8]), np.array([1.0]))

    assert scaler.restore(np.float32([[0.25]]), np.array([0]))[0, 0] == 1e8 + 0.25


@pytest.mark.parametrize("constant", [0.0, 0.1, 7.0, 1e9])
def test_a_constant_row_keeps_its_scale(constant):
    scaler = StandardScaler.fit(np.array([[constant, np.nan, constant, constant], [1.0, 2.0, 3.0, 4.0]]), NAMES)

    assert scaler.std[0] == 1
    np.testing.assert_allclose(scaler.transform(np.full((2, 1), constant + 2))[0], 2)


def test_a_spread_that_underflows_keeps_its_scale():
    assert StandardScaler.fit(np.array([[0.0, 1e-200]]), ("load",)).std[0] == 1


def test_a_row_without_observations_is_named():
    with pytest.raises(DataError, match="'oil' must hold observations in the train split"):
        StandardScaler.fit(np.array([[1.0, 2.0], [np.nan, np.nan]]), NAMES)


@pytest.mark.parametrize("value", [1e200, 1e308])
def test_values_too_large_to_square_are_refused(value):
    with pytest.raises(DataError, match="small enough to square"):
        StandardScaler.fit(np.array([[value, value, -value]]), ("load",))
