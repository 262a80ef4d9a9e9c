"""Mathematical properties of the bases and operators."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import make_lsq_spline

from spline_lstm.model.splines import bspline_basis, penalized_operator

steps_ = st.integers(1, 60)
coefficients_ = st.integers(1, 30)
degrees = st.integers(0, 5)
penalties = st.sampled_from([0.0, 1e-3, 0.1, 10.0])


@given(steps=steps_, coefficients=coefficients_, degree=degrees)
@settings(max_examples=100)
def test_splines_are_non_negative_and_sum_to_one(steps, coefficients, degree):
    basis = bspline_basis(steps, coefficients, degree)

    assert basis.shape == (steps, coefficients)
    assert basis.min() >= 0
    np.testing.assert_allclose(basis.sum(axis=1), 1)


@given(steps=steps_, coefficients=st.integers(2, 30), degree=st.integers(1, 5))
@settings(max_examples=50)
def test_the_basis_is_the_same_read_backwards(steps, coefficients, degree):
    basis = bspline_basis(steps, coefficients, degree)

    np.testing.assert_allclose(basis[::-1, ::-1], basis, atol=1e-12)


@given(pieces=st.integers(1, 12), each=st.integers(1, 6), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_degree_zero_is_binning(pieces, each, seed):
    values = np.random.default_rng(seed).normal(size=(pieces, each))

    means = penalized_operator(bspline_basis(pieces * each, pieces, 0), penalty=0) @ values.ravel()

    np.testing.assert_allclose(means, values.mean(axis=1), atol=1e-12)


@given(degree=st.integers(0, 4), extra=st.integers(1, 8), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_without_penalty_it_is_the_least_squares_spline(degree, extra, seed):
    coefficients, steps = degree + extra, 4 * (degree + extra)
    values = np.random.default_rng(seed).normal(size=steps)
    basis = bspline_basis(steps, coefficients, degree)
    # On [0, 1]: equal pieces, knots running on outside.
    knots = np.arange(-degree, extra + degree + 1) / extra
    points = (np.arange(steps) + 0.5) / steps

    expected = make_lsq_spline(points, values, knots, degree)

    found = penalized_operator(basis, penalty=0) @ values
    np.testing.assert_allclose(basis @ found, expected(points), atol=1e-8)
    np.testing.assert_allclose(found, expected.c, atol=1e-6)


@given(
    steps=st.integers(2, 40),
    coefficients=st.integers(3, 20),
    degree=degrees,
    penalty=penalties,
    seed=st.integers(0, 99),
)
@settings(max_examples=60)
def test_coefficients_minimise_the_penalised_squares(steps, coefficients, degree, penalty, seed):
    values = np.random.default_rng(seed).normal(size=steps)
    basis = bspline_basis(steps, coefficients, degree)
    second_differences = np.zeros((coefficients - 2, coefficients))
    for row in range(coefficients - 2):
        second_differences[row, row : row + 3] = 1, -2, 1
    system = np.vstack([basis, np.sqrt(penalty) * second_differences])

    expected = np.linalg.lstsq(system, np.concatenate([values, np.zeros(coefficients - 2)]), rcond=1e-12)[0]

    np.testing.assert_allclose(basis @ (penalized_operator(basis, penalty) @ values), basis @ expected, atol=1e-6)


@given(degree=degrees, extra=st.integers(0, 6), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_without_penalty_polynomials_up_to_the_degree_come_back(degree, extra, seed):
    coefficients = degree + 1 + extra
    basis = bspline_basis(3 * coefficients, coefficients, degree)
    polynomial = np.polynomial.Polynomial(np.random.default_rng(seed).normal(size=degree + 1))
    values = polynomial(np.linspace(-1, 1, len(basis)))

    np.testing.assert_allclose(basis @ penalized_operator(basis, penalty=0) @ values, values, atol=1e-6)


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
@pytest.mark.parametrize("coefficients", [6, 12])
def test_a_large_penalty_leaves_the_straight_line_fit(degree, coefficients):
    clock = np.arange(48)
    values = np.random.default_rng(degree).normal(size=48).cumsum()
    basis = bspline_basis(48, coefficients, degree)

    line = np.polyval(np.polyfit(clock, values, 1), clock)

    np.testing.assert_allclose(basis @ penalized_operator(basis, penalty=1e9) @ values, line, atol=1e-4)


@given(steps=st.integers(3, 40), coefficients=st.integers(3, 30), degree=st.integers(1, 5), penalty=penalties)
@settings(max_examples=40)
def test_a_straight_line_is_smooth_enough_to_stay(steps, coefficients, degree, penalty):
    coefficients = min(coefficients, steps)
    basis = bspline_basis(steps, coefficients, degree)
    line = 3.0 - 2.0 * np.arange(steps)

    np.testing.assert_allclose(basis @ penalized_operator(basis, penalty) @ line, line, atol=1e-6)


@given(penalty=st.floats(0, 100), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_a_larger_penalty_never_fits_closer_nor_bends_more(penalty, seed):
    values = np.random.default_rng(seed).normal(size=24)
    basis = bspline_basis(24, 12, 3)

    def misfit_and_bend(strength):
        found = penalized_operator(basis, strength) @ values
        return np.sum((values - basis @ found) ** 2), np.sum(np.diff(found, 2) ** 2)

    (misfit, bend), (more_misfit, less_bend) = misfit_and_bend(penalty), misfit_and_bend(2 * penalty + 1)
    assert more_misfit >= misfit - 1e-9
    assert less_bend <= bend + 1e-9


def test_one_coefficient_is_the_mean():
    values = np.array([1.0, 2.0, 6.0])

    np.testing.assert_allclose(penalized_operator(bspline_basis(3, 1, 3), penalty=0.1) @ values, [3])
