"""Weights of experts are the best ones on many windows, and near their prior on few."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from spline_lstm.model.combination import DEPARTURE, MEMBERS, expert_weights

NAMES = ["linear", "folded", "members"]
MANY = np.array([0, 10**9])  # origins that span ever so many horizons


def experts(seed, noise, names=NAMES):
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=(6, 4))
    forecasts = {
        name: targets + size * rng.normal(size=targets.shape) for name, size in zip(names, noise, strict=False)
    }
    targets[0, 0] = np.nan
    return targets, forecasts


def error(targets, forecasts, weights):
    mixed = sum(weight * forecast for weight, forecast in zip(weights, forecasts.values(), strict=True))
    return np.nanmean((mixed - targets) ** 2)


@given(seed=st.integers(0, 1000), noise=st.tuples(*[st.floats(0.01, 5)] * 3), count=st.integers(2, 3))
@settings(max_examples=60, deadline=None)
def test_no_weights_are_better_than_those_of_many_windows(seed, noise, count):
    targets, forecasts = experts(seed, noise, NAMES[-count:])

    weights = expert_weights(targets, forecasts, MANY)

    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0
    grid = np.random.default_rng(seed).dirichlet(np.full(count, 0.5), 300)
    least = min(error(targets, forecasts, other) for other in [*grid, *np.eye(count)])
    assert error(targets, forecasts, weights) <= least * (1 + 1e-6)


@given(seed=st.integers(0, 1000), noise=st.tuples(*[st.floats(0.1, 5)] * 3), span=st.integers(0, 200))
@settings(max_examples=30, deadline=None)
def test_weights_are_those_of_a_general_solver(seed, noise, span):
    targets, forecasts = experts(seed, noise)

    weights = expert_weights(targets, forecasts, np.array([5, 5 + span]))

    least = min(np.nanmean((forecast - targets) ** 2) for forecast in forecasts.values())
    strength = least / (max((span + 1) / 4, 1) * DEPARTURE**2)
    prior = np.array([(1 - MEMBERS) / 2, (1 - MEMBERS) / 2, MEMBERS])

    def aim(weights):
        return error(targets, forecasts, weights) + strength * np.sum((weights - prior) ** 2)

    found = minimize(
        aim, prior, method="SLSQP", bounds=[(0, 1)] * 3, constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12},
    )  # fmt: skip
    assert aim(np.array(weights)) <= found.fun + 1e-6


def test_few_windows_leave_weights_near_the_prior_and_many_do_not():
    targets, forecasts = experts(0, (1.0, 1.0, 0.7))

    few, more, many = (expert_weights(targets, forecasts, np.array([0, span]))[-1] for span in (0, 100, 10**9))

    assert MEMBERS < few < more < many


def test_experts_that_say_the_same_keep_their_prior():
    targets = np.ones((3, 2))

    weights = expert_weights(targets, dict.fromkeys(NAMES, np.zeros((3, 2))), np.arange(3))

    np.testing.assert_allclose(weights, [(1 - MEMBERS) / 2, (1 - MEMBERS) / 2, MEMBERS])


def test_one_expert_has_it_all():
    assert expert_weights(np.ones((2, 2)), {"members": np.zeros((2, 2))}, np.arange(2)) == [1.0]
