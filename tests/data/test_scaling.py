"""Scaling statistics come from observed values and can be undone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sources import layout_of

from spline_lstm.data.layout import Layout
from spline_lstm.data.scaling import StandardScaler

values_and_gaps = st.integers(2, 9).flatmap(
    lambda steps: st.tuples(arrays(float, steps, elements=st.floats(-1e6, 1e6)), arrays(bool, steps))
)
ragged = st.lists(values_and_gaps, min_size=1, max_size=4)


@given(ragged=ragged)
@settings(max_examples=60)
def test_observed_train_values_get_zero_mean_and_unit_variance(ragged):
    rows = []
    for values, missing in ragged:
        row = values + np.linspace(0, 1e6, len(values))  # no row is nearly constant, where rounding would decide
        row[1:-1][missing[1:-1]] = np.nan
        rows.append(row)
    layout = layout_of(rows, [0] * len(rows))

    scaled = StandardScaler.fit(rows).transform(np.concatenate(rows), layout)

    for row, own in zip(rows, layout.split(scaled), strict=True):
        observed = ~np.isnan(row)
        if np.ptp(row[observed]) > 0:
            assert np.mean(own[observed]) == pytest.approx(0, abs=1e-6)
            assert np.mean(own[observed] ** 2) == pytest.approx(1)
        np.testing.assert_array_equal(np.isnan(own), ~observed)


@given(ragged=ragged, seed=st.integers(0, 99))
@settings(max_examples=40)
def test_restoring_undoes_scaling(ragged, seed):
    rows = [values for values, _ in ragged]
    scaler = StandardScaler.fit(rows)
    random = np.random.default_rng(seed)
    windows, numbers = random.normal(scale=1e3, size=(len(rows), 4)), random.permutation(len(rows))

    scaled = scaler.transform(windows.ravel(), Layout.rectangular(len(rows), 4)).reshape(-1, 4)

    np.testing.assert_allclose(scaler.restore(scaled[numbers], numbers), windows[numbers], rtol=1e-6, atol=1e-6)


def test_values_are_restored_in_double_precision():
    scaler = StandardScaler(np.array([1e8]), np.array([1.0]))

    assert scaler.restore(np.float32([[0.25]]), np.array([0]))[0, 0] == 1e8 + 0.25


@pytest.mark.parametrize("constant", [0.0, 0.1, 7.0, 1e9])
def test_a_constant_row_keeps_its_scale(constant):
    scaler = StandardScaler.fit([np.array([constant, np.nan, constant, constant]), np.array([1.0, 2.0, 3.0])])

    assert scaler.std[0] == 1
    scaled = scaler.transform(np.full(5, constant + 2), Layout(np.zeros(2, int), np.array([2, 3])))
    np.testing.assert_allclose(scaled[:2], 2)


def test_a_spread_that_underflows_keeps_its_scale():
    assert StandardScaler.fit([np.array([0.0, 1e-200])]).std[0] == 1


def test_no_row_at_all_has_no_statistics():
    assert StandardScaler.fit([]).mean.shape == (0,)
