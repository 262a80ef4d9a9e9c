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
    return conformal_half_widths(residuals, np.zeros_like(residuals), rows, len(std), coverage, np.array(std))


def slow_half_width(residuals, coverage):
    """The ceil((n + 1) coverage)-th smallest absolute residual, or the largest there is."""
    sizes = sorted(abs(residual) for residual in residuals if not math.isnan(residual))
    rank = math.ceil((len(sizes) + 1) * coverage)
    return sizes[min(rank, len(sizes)) - 1] if sizes else None


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 3)),
    row_count=st.integers(1, 3),
    coverage=st.sampled_from([0.05, 0.5, 0.8, 0.9, 0.99]),
    missing_share=st.sampled_from([0.0, 0.3, 0.9]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=100)
def test_half_widths_are_order_statistics_of_each_row_and_step(shape, row_count, coverage, missing_share, seed):
    rng = np.random.default_rng(seed)
    residuals = rng.normal(size=shape)
    residuals[rng.random(shape) < missing_share] = np.nan
    residuals[0, 0] = 1.0
    rows, std = rng.integers(0, row_count, shape[0]), rng.uniform(0.5, 2, row_count)

    found = half_widths(residuals, coverage, rows, std)

    expected = [[slow_half_width(column, coverage) for column in residuals[rows == row].T] for row in range(row_count)]
    known = [width / std[row] for row in range(row_count) for width in expected[row] if width is not None]
    for row in range(row_count):
        for step in range(shape[1]):
            width = expected[row][step]
            assert found[row, step] == pytest.approx(max(known) * std[row] if width is None else width)


@pytest.mark.parametrize(("count", "coverage"), [(19, 0.9), (20, 0.9), (30, 0.8), (99, 0.5)])
def test_a_fresh_exchangeable_residual_is_covered_as_often_as_promised(count, coverage):
    # The columns are independent trials. A fresh continuous residual has a uniform rank among the
    # count + 1, so it is covered with the chance rank / (count + 1): at least the coverage, and less
    # than one rank above it.
    trials, rng = 20_000, np.random.default_rng(0)
    chance = math.ceil((count + 1) * coverage) / (count + 1)

    widths = half_widths(rng.standard_t(3, size=(count, trials)), coverage)[0]

    covered = np.mean(np.abs(rng.standard_t(3, size=trials)) <= widths)
    # Four standard errors: the chance to fail by bad luck is one in 16,000, and the seed is fixed.
    assert abs(covered - chance) < 4 * math.sqrt(chance * (1 - chance) / trials)
    assert coverage <= chance < coverage + 1 / (count + 1) + 1e-12


def test_too_few_residuals_for_the_coverage_give_the_widest_of_them():
    assert half_widths(np.array([[1.0], [-5.0], [2.0]]), coverage=0.9)[0, 0] == 5


def test_a_larger_coverage_is_never_narrower():
    residuals = np.random.default_rng(1).normal(size=(50, 4))

    widths = np.stack([half_widths(residuals, coverage)[0] for coverage in np.linspace(0.01, 0.99, 30)])

    assert (np.diff(widths, axis=0) >= 0).all()


def test_no_observed_residual_at_all_is_refused():
    with pytest.raises(InsufficientDataError, match="validation split must hold observed targets"):
        half_widths(np.full((3, 2), np.nan), 0.9)
