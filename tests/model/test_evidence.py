"""A gain counts where it is large enough, and larger than chance makes it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from spline_lstm.model.evidence import PAYS, SURE, clear_gain

HORIZON = 4


@given(stretches=st.integers(2, 40), better=st.floats(-0.2, 0.5), seed=st.integers(0, 99))
def test_it_is_a_t_test_of_stretches_of_one_horizon(stretches, better, seed):
    rng = np.random.default_rng(seed)
    origins = 7 + np.tile(np.arange(stretches * HORIZON), 3)  # of three rows
    without = rng.exponential(size=len(origins))
    with_it = without * (1 - better) + rng.normal(0, 0.1, len(origins))

    found = clear_gain(without, with_it, origins, HORIZON)

    sums = (without - with_it).reshape(3, stretches, HORIZON).sum(axis=(0, 2))
    sure = ttest_1samp(sums, 0, alternative="greater").pvalue < 1 - SURE
    assert found == (sure and sums.sum() >= PAYS * without.sum())


def test_what_is_sure_but_small_does_not_count():
    origins = np.arange(400)

    assert not clear_gain(np.ones(400), np.full(400, 1 - PAYS / 2), origins, HORIZON)
    assert clear_gain(np.ones(400), np.full(400, 1 - 2 * PAYS), origins, HORIZON)


@pytest.mark.parametrize(("windows", "clear"), [(HORIZON, False), (2 * HORIZON, True)])
def test_windows_within_one_horizon_of_each_other_prove_nothing(windows, clear):
    assert clear_gain(np.ones(windows), np.zeros(windows), np.arange(windows), HORIZON) == clear


def test_origins_may_have_gaps():
    origins = np.array([0, 1, 100, 101])

    assert clear_gain(np.ones(4), np.full(4, 0.5), origins, HORIZON)
    assert not clear_gain(np.ones(4), np.array([-3.0, -3.0, 1.5, 1.5]), origins, HORIZON)
