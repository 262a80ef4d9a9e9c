"""Error measures against loops over pairs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from spline_lstm.scores import metrics

numbers = st.floats(-1e3, 1e3).map(lambda value: round(value, 2))
pairs = array_shapes(max_dims=2, max_side=6).flatmap(
    lambda shape: st.tuples(arrays(float, shape, elements=numbers), arrays(float, shape, elements=numbers))
)


def slow_scores(truth, guess):
    truth, guess = truth.ravel().tolist(), guess.ravel().tolist()
    both = list(zip(truth, guess, strict=True))
    errors = [g - t for t, g in both]
    count, mean, size = len(both), sum(truth) / len(truth), sum(abs(t) for t in truth)
    relative = [abs((g - t) / t) for t, g in both if t != 0]
    symmetric = [2 * abs(g - t) / (abs(t) + abs(g)) if t or g else 0.0 for t, g in both]
    squares, spread = sum(e * e for e in errors), sum((t - mean) ** 2 for t in truth)
    return {
        "mae": sum(map(abs, errors)) / count,
        "mse": squares / count,
        "rmse": math.sqrt(squares / count),
        "bias": sum(errors) / count,
        "mape": 100 * sum(relative) / len(relative) if relative else math.nan,
        "smape": 100 * sum(symmetric) / count,
        "wape": 100 * sum(map(abs, errors)) / size if size else math.nan,
        "r2": 1 - squares / spread if spread > 1e-6 else None,
    }


def test_every_point_metric_has_its_loop():
    one = np.ones(1)

    assert {measure.__name__ for measure in metrics.POINT_METRICS} <= set(slow_scores(one, one))


@given(pair=pairs)
@settings(max_examples=100)
def test_measures_are_what_a_loop_over_pairs_gives(pair):
    for name, expected in slow_scores(*pair).items():
        if expected is not None:
            assert getattr(metrics, name)(*pair) == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True)


@given(pair=pairs)
@settings(max_examples=40)
def test_a_perfect_forecast_has_no_error(pair):
    truth, _ = pair
    for measure in (metrics.mae, metrics.mse, metrics.rmse, metrics.smape, metrics.bias):
        assert measure(truth, truth) == 0
    for measure in (metrics.mape, metrics.wape):
        assert measure(truth, truth) == (0 if truth.any() else pytest.approx(math.nan, nan_ok=True))


def test_r2_of_the_mean_is_zero_and_of_targets_that_do_not_vary_unknown():
    truth = np.array([1.0, 2.0, 6.0])

    assert metrics.r2(truth, truth) == 1
    assert metrics.r2(truth, np.full(3, 3.0)) == 0
    assert math.isnan(metrics.r2(np.full(3, 2.0), truth))


@given(train=arrays(float, st.integers(1, 30), elements=numbers | st.just(math.nan)), season=st.integers(1, 8))
@settings(max_examples=80)
def test_the_mase_scale_is_the_mean_seasonal_difference_or_where_there_is_none_that_of_neighbours(train, season):
    for steps in (season, 1):
        differences = [abs(train[step] - train[step - steps]) for step in range(steps, len(train))]
        differences = [difference for difference in differences if not math.isnan(difference)]
        if differences:
            break

    scale = metrics.mase_scale(train, season)

    assert math.isnan(scale) if not any(differences) else scale == pytest.approx(sum(differences) / len(differences))


def test_interval_ends_count_as_covered():
    truth = np.array([0.0, 1.0, 2.0, 3.0])

    assert metrics.coverage(truth, np.full(4, 1.0), np.full(4, 2.0)) == 0.5


@pytest.mark.parametrize(("error", "reference", "expected"), [(0.0, 2.0, 1.0), (2.0, 2.0, 0.0), (3.0, 2.0, -0.5)])
def test_skill_is_the_share_of_the_reference_error_that_is_gone(error, reference, expected):
    assert metrics.skill(error, reference) == expected


def test_skill_against_a_perfect_reference_is_unknown():
    assert math.isnan(metrics.skill(1.0, 0.0))
