"""The fit loop: the loss counts observed targets only, seeds decide the bytes, averages and stopping work."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import waves

from spline_lstm.data.windows import Splits, index_windows
from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.snapshots import Snapshots, training_key
from spline_lstm.model.training import HUBER_DELTA, PREDICT_BATCH, Fit, _huber, predict, seed_everything
from spline_lstm.run.params import CELLS, TrainParams, parse_params

LOOKBACK, HORIZON = 12, 4


def started(cell="gru", seed=3, starts=(0,), **changes):
    """A fit that has not begun."""
    source, splits = waves(LOOKBACK, HORIZON, starts), Splits(200, 250, 300)
    train, validation = (index_windows(source, splits, name, 6, 0.9) for name in ("train", "validation"))
    seed_everything(seed)
    model = SplineForecaster(
        lookback=LOOKBACK, horizon=HORIZON, rows=len(starts), **source.covariates.channels, members=[LOOKBACK],
        segment=4, coefficients=3, degree=2, penalty=0.1, cell=cell, units=8, dropout=0.1, linear=False,
    )  # fmt: skip
    params = TrainParams(**{"epochs": 3, "batch_size": 16, "patience": 3, "augment": True, **changes})
    return Fit(model, source, train, validation, params, seed)


def fitted(pauses=(), **changes):
    fit = started(**changes)
    for epochs in pauses:
        fit.go_on(epochs)
    return fit.model, fit.source, fit.finish()


@pytest.fixture(scope="module")
def usual():
    """What the usual fit ends in, for tests that do not change it."""
    return fitted()


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
    _, _, result = fitted(cell=cell, epochs=4, learning_rate=0.01)

    assert min(epoch.validation_mse for epoch in result.history) < 0.1  # half of which is noise; the variance is 0.5


def test_a_seed_decides_every_bit(usual):
    (_, _, first), again, other = usual, *(fitted(seed=seed)[2] for seed in (3, 4))

    for one, two in zip(first.best + first.last, again.best + again.last, strict=True):
        np.testing.assert_array_equal(one, two)
    assert first.history == again.history
    assert any((one != two).any() for one, two in zip(first.best, other.best, strict=True))


def test_a_second_fit_by_the_step_of_the_first_is_as_one_by_its_own():
    first = started()
    first.go_blindly(1)
    begun, ended = [variable.numpy() for variable in first.model.variables], []
    for step in (first.step, None):
        for variable, value in zip(first.model.variables, begun, strict=True):
            variable.assign(value)
        second = Fit(first.model, first.source, first.judges, first.judges, first.params, 5, step)
        second.go_blindly(2)
        ended.append(first.model.get_weights())

    for by_the_first, by_its_own in zip(*ended, strict=True):
        np.testing.assert_array_equal(by_the_first, by_its_own)


def test_a_fit_that_waits_between_epochs_is_the_same_fit(usual):
    straight, paused = usual[2], fitted(pauses=(1, 1, 2))[2]

    assert straight.history == paused.history
    for one, two in zip(straight.best + straight.last, paused.best + paused.last, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("cell", CELLS)
def test_a_fit_that_was_killed_goes_on_as_if_nothing_had_happened(cell, tmp_path):
    snapshots = Snapshots(tmp_path / "states", "key")
    asked = {"cell": cell, "starts": (0, 60), "epochs": 4, "learning_rate": 0.05}
    straight = started(**asked)
    expected = straight.finish()
    straight.go_blindly(6)

    for epochs in (1, 3):
        started(**asked).go_on(epochs, snapshots, "fit")  # of which only the snapshot is left
    resumed, seen = started(**asked), []
    found = resumed.finish(snapshots, lambda history: seen.append(len(history)))

    assert seen == [3, 4]
    assert found.history == expected.history
    assert found.best_epoch == expected.best_epoch
    for one, two in zip(found.best + found.last, expected.best + expected.last, strict=True):
        np.testing.assert_array_equal(one, two)
    resumed.go_blindly(5, snapshots)
    finished = started(**asked)
    finished.go_blindly(6, snapshots)
    for one, two in zip(finished.model.get_weights(), straight.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_only_a_whole_snapshot_of_the_same_training_is_taken_up(tmp_path):
    snapshots = Snapshots(tmp_path, "key")
    started().go_on(1, snapshots, "fit")
    (file,) = tmp_path.iterdir()
    whole, arrays = file.read_bytes(), snapshots.load("fit")

    assert snapshots.load("another") is None
    assert Snapshots(tmp_path, "of other data").load("fit") is None
    file.write_bytes(whole[:-200])
    assert snapshots.load("fit") is None
    for name, value in {
        "order": np.zeros_like(arrays["order"]),
        "position": np.array(1.0),
        "passes": np.array(4),
        "trained 0": np.zeros((2, 2), np.float32),
    }.items():
        snapshots.save("fit", {**arrays, name: value})
        fit = started()
        fit._resume(snapshots, "fit")
        assert fit.passes == 0
    snapshots.save("fit", arrays)
    fit._resume(snapshots, "fit")
    assert fit.passes == 1


def test_a_training_of_other_params_or_data_has_a_key_of_its_own(tmp_path):
    data = {"path": "a.csv", "timestamp": "when", "target": "load"}
    meta, usual = tmp_path / "meta.json", {"run_id": "a", "data": data, "windows": {"horizon": 4}}
    changes = {
        "run_id": "b", "seed": 9, "covariates": {"calendar": False}, "spline": {"penalty": 0.3}, "model": {"units": 3},
        "train": {"epochs": 3},
    }  # fmt: skip

    def key(**changed):
        return training_key(parse_params({**usual, **changed}), meta)

    meta.write_text('{"sha256": 1}', encoding="utf-8")
    keys = [key(), *(key(**{name: value}) for name, value in changes.items())]
    assert key(evaluate={"coverage": 0.5}) == keys[0]
    meta.write_text('{"sha256": 2}', encoding="utf-8")
    keys.append(key())

    assert len(set(keys)) == len(keys)


def test_the_best_weights_are_those_of_the_least_validation_mse():
    _, _, result = fitted(epochs=6, learning_rate=0.3)
    losses = [epoch.validation_mse for epoch in result.history]

    assert result.best_epoch == 1 + int(np.argmin(losses))


def test_training_stops_when_patience_ends():
    _, _, result = fitted(epochs=60, learning_rate=0.5, patience=2)

    assert len(result.history) == result.best_epoch + 2


def test_a_forecast_does_not_depend_on_how_many_windows_there_are(usual):
    model, source, _ = usual
    origins = np.resize(np.arange(LOOKBACK - 1, 290), PREDICT_BATCH + 37)
    rows = np.zeros_like(origins)

    together = predict(model, source, rows, origins)
    few = predict(model, source, rows[:5], origins[:5])

    np.testing.assert_array_equal(together[:5], few)


@pytest.mark.parametrize(("starts", "trained"), [((0,), [1]), ((0, 60), [0, 1, 2])])
def test_the_unknown_row_is_trained_where_there_are_several(starts, trained):
    model, _, result = fitted(starts=starts, epochs=1)
    model.set_weights(result.last)
    seed_everything(3)
    untrained = SplineForecaster(**model.get_config())
    before, after = (each.members[0].row.embeddings.numpy() for each in (untrained, model))

    assert np.flatnonzero((before != after).any(axis=1)).tolist() == trained
