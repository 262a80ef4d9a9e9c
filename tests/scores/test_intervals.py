"""Split-conformal intervals keep their promise on exchangeable residuals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.run.errors import InsufficientDataError
from spline_lstm.scores.intervals import conformal_half_widths


def half_widths(residuals, coverage, rows=None, std=(1.0,)):
    rows = np.zeros(len(residuals), int) if rows is None else np.asarray(rows)
    return conformal_half_widths(residuals, np.zeros_like(residuals), rows, coverage, np.array(std))


def slow_order_statistic(residuals, coverage):
    """The ceil((n + 1) coverage)-th smallest absolute residual, or the largest there is; whether there are enough."""
    sizes = sorted(abs(residual) for residual in residuals if not math.isnan(residual))
    rank = math.ceil((len(sizes) + 1) * coverage)
    return (sizes[min(rank, len(sizes)) - 1] if sizes else None), rank <= len(sizes)


def slow_half_widths(residuals, coverage, rows, std):
    """Of each row and step, and of each step for all rows together, in units of their scales."""
    steps = range(residuals.shape[1])
    relative = [[residuals[window, step] / std[row] for window, row in enumerate(rows)] for step in steps]
    pooled = [slow_order_statistic(column, coverage)[0] for column in relative]
    widest = max(width for width in pooled if width is not None)
    pooled = [widest if width is None else width for width in pooled]
    widths = []
    for row, scale in enumerate(std):
        own = [slow_order_statistic(residuals[rows == row, step], coverage) for step in steps]
        widths.append([width if enough else pooled[step] * scale for step, (width, enough) in enumerate(own)])
    return widths, pooled


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 3)),
    row_count=st.integers(1, 3),
    coverage=st.sampled_from([0.05, 0.5, 0.8, 0.9, 0.99]),
    missing_share=st.sampled_from([0.0, 0.3, 0.9]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=100)
def test_half_widths_are_order_statistics_of_a_row_or_of_all_where_it_has_too_few(
    shape, row_count, coverage, missing_share, seed
):
    rng = np.random.default_rng(seed)
    residuals = rng.normal(size=shape)
    residuals[rng.random(shape) < missing_share] = np.nan
    residuals[0, 0] = 1.0
    rows, std = rng.integers(0, row_count, shape[0]), rng.uniform(0.5, 2, row_count)

    found, pooled = half_widths(residuals, coverage, rows, std)

    expected, expected_pooled = slow_half_widths(residuals, coverage, rows, std)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(pooled, expected_pooled)


def test_a_row_without_residuals_has_the_intervals_of_the_others_in_its_own_scale():
    rng = np.random.default_rng(0)
    std = np.array([1.0, 100.0, 5.0])
    rows = np.repeat([0, 1], 40)
    residuals = rng.normal(size=(80, 3)) * std[rows, None]

    found, pooled = half_widths(residuals, 0.9, rows, std)

    np.testing.assert_allclose(found[2], 5 * pooled)
    np.testing.assert_allclose(found[:2] / std[:2, None], np.stack([pooled, pooled]), rtol=0.5)


def test_the_unit_of_a_row_changes_no_interval_but_its_own():
    rng = np.random.default_rng(1)
    rows, std = np.repeat([0, 1, 2], [30, 3, 10]), np.array([1.0, 2.0, 3.0])
    residuals, grams = rng.normal(size=(43, 2)), np.array([1.0, 1000.0, 1.0])

    before, pooled = half_widths(residuals, 0.9, rows, std)
    after, pooled_after = half_widths(residuals * grams[rows, None], 0.9, rows, std * grams)

    np.testing.assert_allclose(after, before * grams[:, None])
    np.testing.assert_allclose(pooled_after, pooled)


@pytest.mark.parametrize(("count", "coverage"), [(19, 0.9), (20, 0.9), (30, 0.8), (99, 0.5)])
def test_a_fresh_exchangeable_residual_is_covered_as_often_as_promised(count, coverage):
    # The columns are independent trials. A fresh continuous residual has a uniform rank among the
    # count + 1, so it is covered with the chance rank / (count + 1): at least the coverage, and less
    # than one rank above it.
    trials, rng = 20_000, np.random.default_rng(0)
    chance = math.ceil((count + 1) * coverage) / (count + 1)

    widths = half_widths(rng.standard_t(3, size=(count, trials)), coverage)[0][0]

    covered = np.mean(np.abs(rng.standard_t(3, size=trials)) <= widths)
    # Four standard errors: the chance to fail by bad luck is one in 16,000, and the seed is fixed.
    assert abs(covered - chance) < 4 * math.sqrt(chance * (1 - chance) / trials)
    assert coverage <= chance < coverage + 1 / (count + 1) + 1e-12


def test_too_few_residuals_for_the_coverage_give_the_widest_of_them():
    assert half_widths(np.array([[1.0], [-5.0], [2.0]]), coverage=0.9)[0] == 5


def test_a_larger_coverage_is_never_narrower():
    residuals = np.random.default_rng(1).normal(size=(50, 4))

    widths = np.stack([half_widths(residuals, coverage)[0][0] for coverage in np.linspace(0.01, 0.99, 30)])

    assert (np.diff(widths, axis=0) >= 0).all()


def test_no_observed_residual_at_all_is_refused():
    with pytest.raises(InsufficientDataError, match="validation split must hold observed targets"):
        half_widths(np.full((3, 2), np.nan), 0.9)
