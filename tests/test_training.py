"""The fit loop: the loss counts observed targets only, seeds decide the bytes, averages and stopping work."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.gaps import fill_gaps
from spline_lstm.models import SplineForecaster
from spline_lstm.params import TrainParams
from spline_lstm.training import PREDICT_BATCH, _huber, fit, predict, seed_everything
from spline_lstm.windows import Splits, WindowSource, index_windows

LOOKBACK, HORIZON = 12, 4


def wave(steps=300, missing=0.1):
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(steps) * 2 * np.pi / 8)[None] + 0.1 * rng.normal(size=(1, steps))
    values[rng.random(values.shape) < missing] = np.nan
    return WindowSource(fill_gaps(values, 8), values.astype("float32"), LOOKBACK, HORIZON)


def fitted(cell="gru", seed=3, **changes):
    source, splits = wave(), Splits(200, 250, 300)
    train, validation = (index_windows(source, splits, name, 6, 0.9) for name in ("train", "validation"))
    seed_everything(seed)
    model = SplineForecaster(
        lookback=LOOKBACK, horizon=HORIZON, rows=1, segment=4, coefficients=3, degree=2, penalty=0.1,
        cell=cell, units=8, dropout=0.1, linear=False,
    )  # fmt: skip
    params = TrainParams(**{"epochs": 3, "batch_size": 16, "patience": 3, **changes})
    return model, source, fit(model, source, train, validation, params, seed)


@given(st.data())
@settings(max_examples=25)
def test_the_loss_is_the_mean_huber_of_observed_targets(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    targets, forecasts = rng.normal(size=(2, 3, 5)).astype("float32") * 3
    targets[rng.random(targets.shape) < data.draw(st.floats(0, 1))] = np.nan
    scale = data.draw(st.floats(0.1, 10))

    found = float(_huber(tf.constant(targets), tf.constant(forecasts), scale))

    losses = []
    for target, forecast in zip(targets.ravel(), forecasts.ravel(), strict=True):
        if not np.isnan(target):
            error = abs(float(target) - float(forecast)) / scale
            losses.append(error**2 / 2 if error <= 1 else error - 0.5)
    assert found == pytest.approx(np.mean(losses) if losses else 0.0, rel=1e-4, abs=1e-6)


def test_a_missing_target_has_no_gradient():
    forecasts = tf.Variable(np.zeros((1, 3), "float32"))
    with tf.GradientTape() as tape:
        loss = _huber(tf.constant([[1.0, np.nan, 2.0]]), forecasts, 1.0)

    gradient = tape.gradient(loss, forecasts).numpy()

    assert gradient[0, 1] == 0
    assert (gradient[0, [0, 2]] != 0).all()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_training_learns_a_season(cell):
    _, _, result = fitted(cell, epochs=8, learning_rate=0.01)

    assert result.history[-1].validation_loss < 0.5 * result.history[0].validation_loss


def test_a_seed_decides_every_bit():
    first, again, other = (fitted(seed=seed)[2] for seed in (3, 3, 4))

    for one, two in zip(first.best + first.last, again.best + again.last, strict=True):
        np.testing.assert_array_equal(one, two)
    assert first.history == again.history
    assert any((one != two).any() for one, two in zip(first.best, other.best, strict=True))


def test_the_best_weights_are_those_of_the_least_validation_loss():
    _, _, result = fitted(epochs=6, learning_rate=0.3)
    losses = [epoch.validation_loss for epoch in result.history]

    assert result.best_epoch == 1 + int(np.argmin(losses))


def test_training_stops_when_patience_ends():
    _, _, result = fitted(epochs=60, learning_rate=0.5, patience=2)

    assert len(result.history) == result.best_epoch + 2


def test_a_forecast_does_not_depend_on_how_many_windows_there_are():
    model, source, _ = fitted()
    origins = np.resize(np.arange(LOOKBACK - 1, 290), PREDICT_BATCH + 37)
    rows = np.zeros_like(origins)

    together = predict(model, source, rows, origins)
    few = predict(model, source, rows[:5], origins[:5])

    np.testing.assert_array_equal(together[:5], few)
