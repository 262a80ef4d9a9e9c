"""The fit loop: the loss counts observed targets only, seeds decide the bytes, averages and stopping work."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import bare_windows, ragged_source

from spline_lstm.data.windows import UNKNOWN, Splits, WindowIndex, index_windows, origins_of
from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.linear import Remainder
from spline_lstm.model.training import (
    HUBER_DELTA,
    NAMELESS,
    PREDICT_BATCH,
    Fit,
    MemberInputs,
    _huber,
    augment,
    predict,
    seed_everything,
    train_batches,
)
from spline_lstm.run.params import CELLS, TrainParams

LOOKBACK, HORIZON = 12, 4


def waves(starts=(0,), steps=300, missing=0.1):
    rng = np.random.default_rng(0)
    rows = [np.sin(np.arange(start, steps) * 2 * np.pi / 8) + 0.1 * rng.normal(size=steps - start) for start in starts]
    for row in rows:
        row[rng.random(len(row)) < missing] = np.nan
    return ragged_source(rows, starts, (8.0,), LOOKBACK, HORIZON)


def fitted(cell="gru", seed=3, starts=(0,), pauses=(), **changes):
    source, splits = waves(starts), Splits(200, 250, 300)
    train, validation = (index_windows(source, splits, name, 6, 0.9) for name in ("train", "validation"))
    seed_everything(seed)
    model = SplineForecaster(
        lookback=LOOKBACK, horizon=HORIZON, rows=len(starts), **source.covariates.channels, members=[LOOKBACK],
        segment=4, coefficients=3, degree=2, penalty=0.1, cell=cell, units=8, dropout=0.1, linear=False,
    )  # fmt: skip
    params = TrainParams(**{"epochs": 3, "batch_size": 16, "patience": 3, "augment": True, **changes})
    fit = Fit(model, source, train, validation, params, seed)
    for epochs in pauses:
        fit.go_on(epochs)
    return model, source, fit.finish()


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
            losses.append(error**2 / 2 if error <= HUBER_DELTA else HUBER_DELTA * (error - HUBER_DELTA / 2))
    assert found == pytest.approx(np.mean(losses) if losses else 0.0, rel=1e-4, abs=1e-6)


def test_a_missing_target_has_no_gradient():
    forecasts = tf.Variable(np.zeros((1, 3), "float32"))
    with tf.GradientTape() as tape:
        loss = _huber(tf.constant([[1.0, np.nan, 2.0]]), forecasts, 1.0)

    gradient = tape.gradient(loss, forecasts).numpy()

    assert gradient[0, 1] == 0
    assert (gradient[0, [0, 2]] != 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_training_learns_a_season(cell):
    _, _, result = fitted(cell, epochs=4, learning_rate=0.01)

    assert min(epoch.validation_mse for epoch in result.history) < 0.1  # half of which is noise; the variance is 0.5


def test_a_seed_decides_every_bit():
    first, again, other = (fitted(seed=seed)[2] for seed in (3, 3, 4))

    for one, two in zip(first.best + first.last, again.best + again.last, strict=True):
        np.testing.assert_array_equal(one, two)
    assert first.history == again.history
    assert any((one != two).any() for one, two in zip(first.best, other.best, strict=True))


def test_a_fit_that_waits_between_epochs_is_the_same_fit():
    straight, paused = fitted(epochs=4)[2], fitted(epochs=4, pauses=(1, 1, 3))[2]

    assert straight.history == paused.history
    for one, two in zip(straight.best + straight.last, paused.best + paused.last, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_best_weights_are_those_of_the_least_validation_mse():
    _, _, result = fitted(epochs=6, learning_rate=0.3)
    losses = [epoch.validation_mse for epoch in result.history]

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


def batches_of(source, count, size=8, augmented=False):
    windows = WindowIndex.of(*origins_of(source.layout, (0, 300), LOOKBACK, HORIZON))
    seen = MemberInputs(Remainder(source, np.zeros((1, 0))), np.zeros(1, int))
    return windows, list(islice(train_batches(seen, windows, size, np.random.default_rng(0), augmented), count))


def test_a_pass_over_ragged_rows_holds_every_window_once_and_whole():
    source = waves(starts=(0, 270, 284), missing=0.0)
    windows, batches = batches_of(source, count=302 // 8)
    assert len(windows) == 285 + 15 + 1

    found = np.vstack([np.hstack([batch.values, targets]) for batch, targets in batches])

    rows = source.layout.split(source.filled.settled)
    every = np.vstack([np.lib.stride_tricks.sliding_window_view(row, LOOKBACK + HORIZON) for row in rows])
    every = every - every[:, [LOOKBACK - 1]]
    indices = [np.flatnonzero((every == window).all(axis=1)) for window in found]
    assert all(len(index) == 1 for index in indices)
    assert len({int(index[0]) for index in indices}) == 296


@pytest.mark.parametrize("augmented", [False, True])
def test_of_several_rows_some_windows_do_not_say_whose_they_are(augmented):
    source = waves(starts=(0, 100))
    source = replace(source, identities=np.array([2, 1], np.int32))
    windows, batches = batches_of(source, count=400, augmented=augmented)

    told = np.concatenate([batch.rows for batch, _ in batches])

    assert told.dtype == np.int32
    assert np.mean(told == UNKNOWN) == pytest.approx(NAMELESS, abs=0.02)
    # Whether a window tells does not depend on whose it is.
    assert np.mean(told[told != UNKNOWN] == 2) == pytest.approx(np.mean(windows.rows == 0), abs=0.02)


def test_windows_that_say_whose_they_are_say_the_truth():
    source = waves(starts=(0, 100), missing=0.0)
    _, batches = batches_of(source, count=40)

    first = np.lib.stride_tricks.sliding_window_view(next(source.layout.split(source.filled.settled)), LOOKBACK)
    first = first - first[:, -1:]
    for batch, _ in batches:
        for window, row in zip(batch.values, batch.rows, strict=True):
            assert row in (UNKNOWN, 1 if (first == window).all(axis=1).any() else 2)


def test_one_row_is_always_known():
    _, batches = batches_of(waves(), count=100)

    assert all((batch.rows == 1).all() for batch, _ in batches)


@pytest.mark.parametrize(("starts", "trained"), [((0,), [1]), ((0, 60), [0, 1, 2])])
def test_the_unknown_row_is_trained_where_there_are_several(starts, trained):
    model, _, result = fitted(starts=starts, epochs=1)
    model.set_weights(result.last)
    seed_everything(3)
    untrained = SplineForecaster(**model.get_config())
    before, after = (each.members[0].row.embeddings.numpy() for each in (untrained, model))

    assert np.flatnonzero((before != after).any(axis=1)).tolist() == trained


def test_augmented_windows_are_sums_of_mirrored_windows():
    rng = np.random.default_rng(0)
    values, targets = rng.normal(size=(6, 8)).astype("float32"), rng.normal(size=(6, 3)).astype("float32")
    targets[2, 1] = np.nan

    batch = bare_windows(values, np.zeros_like(values), np.ones(6, np.int32), 3)

    found, wanted = augment(batch, targets, np.random.default_rng(1))

    whole = np.hstack([values, targets])
    for window, new in enumerate(np.hstack([found.values, wanted])):
        assert sum(is_sum(new, whole[window], other) for other in whole) == 1


def is_sum(new, window, other):
    """Whether `new` is the window or its mirror image plus a multiple of another, missing where either is."""
    known = np.isfinite(window + other)
    if not np.array_equal(known, np.isfinite(new)):
        return False
    design = np.stack([window, other], axis=1)[known]
    weights, *_ = np.linalg.lstsq(design, new[known], rcond=None)
    sign = weights.sum() if window is other else weights[0]
    return np.allclose(design @ weights, new[known], atol=1e-4) and (window is other or abs(abs(sign) - 1) < 1e-4)
