"""The linear forecast is what is known in advance by its effects, and one matrix from what they leave."""

import numpy as np
import pytest
from covariate_sources import HORIZON, LOOKBACK, accompanied, some_windows

from spline_lstm.data.lags import lag_basis
from spline_lstm.model.linear import Remainder, RidgeForecaster


def effects_of(source, seed=1):
    return np.random.default_rng(seed).normal(size=source.covariates.effects_shape).astype(np.float32)


def kernel_of(source, seed=2):
    inputs = LOOKBACK + source.covariates.past * lag_basis(LOOKBACK).shape[1]
    return np.random.default_rng(seed).normal(size=(inputs, HORIZON)).astype(np.float32)


def naive_effect(windows, effects):
    """Of each step of each window, by a loop."""
    known = np.concatenate([windows.known, windows.delayed, windows.calendar], axis=2)
    return np.array(
        [
            [sum(step @ row * factor for row, factor in zip(effects, [1, *static], strict=True)) for step in steps]
            for steps, static in zip(known, windows.static, strict=True)
        ]
    )


@pytest.mark.parametrize("delayed", [0, 27])
def test_level_free_windows_are_values_less_effects_less_the_last_of_them(delayed):
    source = accompanied(delayed=delayed)
    effects, (rows, origins) = effects_of(source), some_windows(source)
    windows = source.windows(rows, origins)
    effect = naive_effect(windows, effects)

    free, level, ahead = Remainder(source, effects).level_free(rows, origins)

    left = windows.values - effect[:, :LOOKBACK]
    np.testing.assert_allclose(level, left[:, -1:], atol=1e-4)
    np.testing.assert_allclose(free, left - left[:, -1:], atol=1e-4)
    np.testing.assert_allclose(ahead, effect[:, LOOKBACK:], atol=1e-4)


def test_a_forecast_is_the_sum_of_level_effects_window_and_lag_splines_of_past_covariates():
    source = accompanied()
    effects, kernel, (rows, origins) = effects_of(source), kernel_of(source), some_windows(source)
    windows = source.windows(rows, origins)
    effect, basis = naive_effect(windows, effects), lag_basis(LOOKBACK)
    left = windows.values - effect[:, :LOOKBACK]

    forecast = RidgeForecaster(kernel, effects, 0.1).predict(source, rows, origins)

    expected = left[:, -1:] + effect[:, LOOKBACK:] + (left - left[:, -1:]) @ kernel[:LOOKBACK]
    for number in range(source.covariates.past):
        own = kernel[LOOKBACK + number * basis.shape[1] :][: basis.shape[1]]
        means = windows.past[:, :, number] @ basis / basis.sum(axis=0)
        expected = expected + means @ own
    np.testing.assert_allclose(forecast, expected, atol=1e-3)


def test_without_effects_known_covariates_change_nothing():
    source, (rows, origins) = accompanied(past=0), some_windows(accompanied(past=0))
    plain = accompanied(past=0, known=0, calendar=0, static=0)
    kernel, nothing = kernel_of(plain), np.zeros_like(effects_of(source))

    forecast = RidgeForecaster(kernel, nothing, 0.1).predict(source, rows, origins)

    expected = RidgeForecaster(kernel, np.zeros((1, 0), np.float32), 0.1).predict(plain, rows, origins)
    np.testing.assert_array_equal(forecast, expected)
