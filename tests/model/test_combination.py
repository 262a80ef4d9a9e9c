"""Weights of experts are the best ones on many windows, and near their prior on few."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from spline_lstm.model.combination import DEPARTURE, expert_weights, independent_windows

NAMES = ["linear", "folded", "members"]


def experts(seed, noise, names=NAMES):
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=(6, 4))
    forecasts = {
        name: targets + size * rng.normal(size=targets.shape) for name, size in zip(names, noise, strict=False)
    }
    targets[0, 0] = np.nan
    return targets, forecasts


def six(targets, forecasts, span):
    """Windows of one row whose origins span so many steps."""
    return targets, forecasts, np.zeros(6, int), np.array([0, 0, 0, 0, 0, span])


def error(targets, forecasts, weights):
    mixed = sum(weight * forecast for weight, forecast in zip(weights, forecasts.values(), strict=True))
    return np.nanmean((mixed - targets) ** 2)


@given(seed=st.integers(0, 1000), noise=st.tuples(*[st.floats(0.01, 5)] * 3), count=st.integers(2, 3))
@settings(max_examples=60, deadline=None)
def test_no_weights_are_better_than_those_of_many_windows(seed, noise, count):
    targets, forecasts = experts(seed, noise, NAMES[-count:])

    weights = expert_weights(*six(targets, forecasts, 10**9))

    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0
    grid = np.random.default_rng(seed).dirichlet(np.full(count, 0.5), 300)
    least = min(error(targets, forecasts, other) for other in [*grid, *np.eye(count)])
    assert error(targets, forecasts, weights) <= least * (1 + 1e-6)


@given(seed=st.integers(0, 1000), noise=st.tuples(*[st.floats(0.1, 5)] * 3), span=st.integers(0, 200))
@settings(max_examples=30, deadline=None)
def test_weights_are_those_of_a_general_solver(seed, noise, span):
    targets, forecasts = experts(seed, noise)

    weights = expert_weights(*six(targets, forecasts, span))

    squares = np.array([np.nanmean((forecast - targets) ** 2) for forecast in forecasts.values()])
    strength = squares.min() / (max((span + 1) / 4, 1) * DEPARTURE**2)
    prior = 1 / squares
    prior /= prior.sum()

    def aim(weights):
        return error(targets, forecasts, weights) + strength * np.sum((weights - prior) ** 2)

    found = minimize(
        aim, prior, method="SLSQP", bounds=[(0, 1)] * 3, constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12},
    )  # fmt: skip
    assert aim(np.array(weights)) <= found.fun + 1e-6


def test_few_windows_leave_weights_near_the_prior_and_many_do_not():
    targets, forecasts = experts(0, (1.0, 1.0, 0.7))

    weights = [np.array(expert_weights(*six(targets, forecasts, span))) for span in (0, 100, 10**9)]

    prior = np.array([1 / np.nanmean((forecast - targets) ** 2) for forecast in forecasts.values()])
    few, more, many = (np.linalg.norm(each - prior / prior.sum()) for each in weights)
    assert 0 < few < more < many
    assert weights[0][-1] < weights[1][-1] < weights[2][-1]  # the best one's


def test_experts_that_say_the_same_keep_their_prior():
    targets = np.ones((3, 2))

    weights = expert_weights(targets, dict.fromkeys(NAMES, np.zeros((3, 2))), np.zeros(3, int), np.arange(3))

    np.testing.assert_allclose(weights, [1 / 3] * 3)


def test_one_expert_has_it_all():
    assert expert_weights(np.ones((2, 2)), {"members": np.zeros((2, 2))}, np.zeros(2, int), np.arange(2)) == [1.0]


def test_rows_count_as_far_as_they_differ():
    rng = np.random.default_rng(0)
    rows, origins, horizon = np.repeat(np.arange(8), 240), np.tile(np.arange(240), 8), 4
    ups_and_downs = np.repeat(rng.normal(size=(9, 60)), horizon, axis=1)

    found = {
        "one": independent_windows(ups_and_downs[0], rows[:240], origins[:240], horizon),
        "alike": independent_windows(np.tile(ups_and_downs[0], 8), rows, origins, horizon),
        "apart": independent_windows(ups_and_downs[:8].ravel(), rows, origins, horizon),
        "half": independent_windows((ups_and_downs[:8] + ups_and_downs[8]).ravel(), rows, origins, horizon),
        "equal": independent_windows(np.ones(1920), rows, origins, horizon),
        "few": independent_windows(np.ones(2), np.zeros(2, int), np.arange(2), horizon),
    }

    assert found["one"] == found["alike"] == found["equal"] == 60
    assert 0.7 * 480 < found["apart"] <= 480
    assert 60 < found["half"] < 0.4 * 480
    assert found["few"] == 1
