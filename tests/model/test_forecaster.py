"""Every layer and cell passes one suite of checks; checkpoints are byte-stable and harmless."""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from covariate_sources import HORIZON, LOOKBACK, accompanied, some_windows
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import bare_windows, source_of

from spline_lstm.data.lags import lag_basis
from spline_lstm.data.windows import WindowIndex, Windows
from spline_lstm.model.checkpoints import load_checkpoint, save_checkpoint
from spline_lstm.model.forecaster import Dropout, SplineForecaster, SplineSegments
from spline_lstm.model.linear import Remainder, RidgeForecaster
from spline_lstm.model.splines import bspline_basis, penalized_operator
from spline_lstm.model.training import MemberInputs, predict
from spline_lstm.run.errors import ArtifactError, ShapeError
from spline_lstm.run.params import CELLS, ModelParams

SETTINGS = {
    "lookback": 12,
    "horizon": 5,
    "rows": 2,
    "past": 0,
    "known": 0,
    "calendar": 0,
    "static": 0,
    "members": [12],
    "segment": 4,
    "coefficients": 3,
    "degree": 2,
    "penalty": 0.1,
    "units": 6,
    "dropout": 0.3,
    "linear": True,
}


def build(cell="lstm", **changes):
    return SplineForecaster(**{**SETTINGS, "cell": cell, **changes})


def windows(model, count=3, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, model.lookback)).astype("float32")
    missing = (rng.random((count, model.lookback)) < 0.2).astype("float32")
    rows = rng.integers(0, model.settings["rows"] + 1, count).astype("int32")
    return bare_windows(values, missing, rows, model.horizon)


def linear_forecast(kernel):
    return RidgeForecaster(kernel, np.zeros((1, 0), "float32"), 0.1)


def test_segments_survive_their_config():
    layer = SplineSegments(4, 3, 2, 0.5, name="segments")
    inputs = np.random.default_rng(0).normal(size=(2, 10, 2)).astype("float32")
    again = SplineSegments.from_config(layer.get_config())

    np.testing.assert_array_equal(layer(inputs), again(inputs))
    assert again.get_config() == layer.get_config()


def test_segments_are_the_penalized_fit_of_each_stretch():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2, 11, 2)).astype("float32")
    operator = penalized_operator(bspline_basis(4, 3, 2), 0.5)

    found = SplineSegments(4, 3, 2, 0.5)(values).numpy()

    padded = np.concatenate([np.zeros((2, 1, 2)), values], axis=1)  # the oldest segment lacks one step
    for segment in range(3):
        for channel in range(2):
            expected = padded[:, 4 * segment : 4 * segment + 4, channel] @ operator.T
            np.testing.assert_allclose(found[:, segment, 3 * channel : 3 * channel + 3], expected, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
class TestEveryCell:
    @settings(max_examples=6)
    @given(lookback=st.integers(1, 30), horizon=st.integers(1, 30), segment=st.integers(1, 12), rows=st.integers(1, 3))
    def test_any_lengths_give_finite_forecasts(self, cell, lookback, horizon, segment, rows):
        segment = min(segment, lookback)
        coefficients = min(3, segment)
        model = build(
            cell,
            lookback=lookback,
            horizon=horizon,
            members=[lookback, -(-lookback // 2)],
            segment=segment,
            coefficients=coefficients,
            rows=rows,
            linear=False,
        )

        forecast = model(windows(model)).numpy()

        assert forecast.shape == (3, horizon)
        assert np.isfinite(forecast).all()

    def test_a_shift_of_the_window_shifts_the_forecast(self, cell):
        model = build(cell, linear=False)
        seen = windows(model)

        shifted = model(seen._replace(values=seen.values + 7)).numpy()

        np.testing.assert_allclose(shifted, model(seen).numpy() + 7, atol=1e-4)

    def test_the_forecast_lies_between_the_linear_one_and_the_mean_of_the_members(self, cell):
        rng = np.random.default_rng(2)
        kernel = rng.normal(size=(12, 5)).astype("float32")
        model = build(
            cell, members=[12, 7], shares={"linear": 0.75, "members": 0.25}, output_scale=3.0, input_scale=2.0
        )
        model.set_linear(linear_forecast(kernel))
        seen = windows(model)

        level = seen.values[:, -1:]
        free = seen._replace(values=seen.values - level)
        members = np.mean([forecast.numpy() for forecast in model.member_forecasts(free)], axis=0)
        expected = 0.75 * free.values @ kernel + 0.25 * members + level
        np.testing.assert_allclose(model(seen).numpy(), expected, atol=1e-4)

    def test_without_a_share_the_forecast_is_linear(self, cell):
        kernel = np.random.default_rng(2).normal(size=(12, 5)).astype("float32")
        model = build(cell, shares={"linear": 1.0})
        model.set_linear(linear_forecast(kernel))
        seen = windows(model)

        level = seen.values[:, -1:]
        np.testing.assert_allclose(model(seen), (seen.values - level) @ kernel + level, atol=1e-5)

    def test_a_member_sees_no_more_than_its_own_lookback(self, cell):
        model = build(cell, members=[5], linear=False)
        seen = windows(model)
        changed = seen.values.copy()
        changed[:, :7] += 3

        np.testing.assert_array_equal(model(seen._replace(values=changed)), model(seen))

    def test_every_trained_weight_gets_a_gradient(self, cell):
        model = build(cell, members=[12, 7], linear=False, dropout=0.0)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(windows(model, 20), training=True) ** 2)

        for variable, gradient in zip(
            model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
        ):
            assert gradient is not None, variable.path
            assert np.any(tf.convert_to_tensor(gradient).numpy() != 0), variable.path

    def test_the_linear_forecast_is_not_trained(self, cell):
        model = build(cell)

        assert not any("linear" in variable.path for variable in model.trainable_variables)

    def test_a_window_does_not_see_its_neighbours(self, cell):
        model = build(cell)
        seen = windows(model, 4)

        alone = model(Windows(*(part[:1] for part in seen))).numpy()

        np.testing.assert_allclose(model(seen).numpy()[:1], alone, atol=1e-6)

    def test_a_checkpoint_brings_back_the_model(self, cell, tmp_path):
        model = build(cell)
        save_checkpoint(model, tmp_path / "a.keras")

        again = load_checkpoint(tmp_path / "a.keras")
        through_keras = keras.saving.load_model(tmp_path / "a.keras")

        inputs = windows(model)
        np.testing.assert_array_equal(again(inputs), model(inputs))
        np.testing.assert_array_equal(through_keras(inputs), model(inputs))

    def test_equal_weights_give_equal_bytes(self, cell, tmp_path):
        for name in ("a", "b"):
            keras.utils.set_random_seed(3)
            save_checkpoint(build(cell), tmp_path / f"{name}.keras")

        assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def test_a_further_cell_takes_one_line(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="must be 'lstm'"):
        ModelParams(cell="another")
    monkeypatch.setitem(CELLS, "another", "SimpleRNN")
    model = build(ModelParams(cell="another").cell)
    save_checkpoint(model, tmp_path / "a.keras")

    again = load_checkpoint(tmp_path / "a.keras")

    inputs = windows(model)
    np.testing.assert_array_equal(again(inputs), model(inputs))


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.6])
def test_dropout_keeps_the_mean_and_drops_the_share(rate):
    layer = Dropout(rate, seed=1)
    ones = np.ones((200, 300), "float32")

    dropped, again = (tf.convert_to_tensor(layer(ones, training=True)).numpy() for _ in range(2))

    assert np.mean(dropped == 0) == pytest.approx(rate, abs=0.01)
    np.testing.assert_allclose(dropped[dropped != 0], 1 / (1 - rate), rtol=1e-6)
    assert rate == 0 or (dropped != again).any()
    np.testing.assert_array_equal(layer(ones, training=False), ones)


def source(lookback=12, horizon=5):
    return source_of(np.zeros((1, 20)), lookback=lookback, horizon=horizon)


@pytest.mark.parametrize("shape", [(13, 5, 2), (12, 6, 2), (12, 5, 3)])
def test_windows_of_another_shape_or_of_more_rows_are_refused(shape):
    *lengths, rows = shape
    with pytest.raises(ShapeError, match=r"'lookback': 12, 'horizon': 5, .* and 2 rows"):
        build().require_fit(source(*lengths), rows)


@pytest.mark.parametrize("role", ["past", "known", "calendar", "static"])
def test_windows_with_other_covariates_are_refused(role):
    with pytest.raises(ShapeError, match=f"'{role}': 3"):
        build(**{role: 3}).require_fit(source(), 2)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_windows_of_few_rows_or_of_unknown_ones_fit(rows):
    model, seen = build(), source()

    model.require_fit(seen, rows)

    assert np.isfinite(model(seen.windows(np.array([0]), np.array([14])))).all()


def test_each_row_and_the_unknown_one_has_a_forecast_of_its_own():
    model = build(rows=3, linear=False)
    seen = windows(model, 1)

    forecasts = [model(seen._replace(rows=np.array([row], "int32"))).numpy().tobytes() for row in range(4)]

    assert len(set(forecasts)) == 4


def rewritten(path, change):
    """The archive at `path` with `config.json` changed."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(entries["config.json"])
    change(config)
    entries["config.json"] = json.dumps(config).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    path.write_bytes(buffer.getvalue())


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["config"].update(units=10**11),
        lambda config: config["config"].update(lookback=-1),
        lambda config: config["config"].update(members=[12] * 1000),
        lambda config: config["config"].update(members=[]),
        lambda config: config["config"].update(shares={"members": 2.0}),
        lambda config: config["config"].update(shares={"folded": 1.0}),
        lambda config: config["config"].update(shares={"others": 1.0}),
        lambda config: config["config"].update(shares={}),
        lambda config: config["config"].update(cell="os.system"),
        lambda config: config["config"].update(extra=1),
        lambda config: config.update(registered_name="builtins>exec"),
        lambda config: config["config"].pop("horizon"),
        lambda config: config["config"].update(horizon=9),  # the weights are of another shape
        # What takes gigabytes before a shape is compared:
        lambda config: config["config"].update(rows=100_000, units=4096),
        lambda config: config["config"].update(lookback=100_000, horizon=100_000),
        lambda config: config["config"].update(segment=100_000, coefficients=4096),
        lambda config: config["config"].update(known=10_000, lookback=100_000, linear=False),
    ],
)
def test_a_hostile_config_is_refused(tmp_path, change):
    path = tmp_path / "a.keras"
    save_checkpoint(build(), path)
    rewritten(path, change)

    with pytest.raises(ArtifactError):
        load_checkpoint(path)


def test_a_model_of_very_many_rows_is_loaded_again(tmp_path):
    save_checkpoint(build(rows=100_001), tmp_path / "a.keras")

    assert load_checkpoint(tmp_path / "a.keras").rows == 100_001


def compress(archive):
    buffer = io.BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    archive.write_bytes(buffer.getvalue())


def with_weights(change):
    """Replace a dataset of the weights by what `change` makes of its group, name and value."""

    def damage(archive):
        with zipfile.ZipFile(archive) as old:
            entries = {name: old.read(name) for name in old.namelist()}
        file = archive.with_name("weights.h5")
        file.write_bytes(entries["model.weights.h5"])
        with h5py.File(file, "r+") as content:
            names = []
            content.visititems(lambda name, each: names.append(name) if isinstance(each, h5py.Dataset) else None)
            group, value = content[names[0]].parent, content[names[0]][...]
            name = names[0].rsplit("/", 1)[-1]
            del group[name]
            change(group, name, value)
        entries["model.weights.h5"] = file.read_bytes()
        with zipfile.ZipFile(archive, "w") as new:
            for entry, content in entries.items():
                new.writestr(entry, content)

    return damage


HOSTILE_ARCHIVES = {
    "compressed": compress,
    "gigabytes of zeros": with_weights(
        lambda group, name, _: group.create_dataset(name, (1 << 30,), "f4", compression="gzip", chunks=(1 << 20,))
    ),
    "gigabytes that were never written": with_weights(
        lambda group, name, _: group.create_dataset(name, (1 << 30,), "f4")
    ),
    "a link to another file": with_weights(
        lambda group, name, _: group.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/"))
    ),
    "a soft link": with_weights(lambda group, name, _: group.__setitem__(name, h5py.SoftLink("/elsewhere"))),
    "bytes of another file": with_weights(
        lambda group, name, value: group.create_dataset(name, value.shape, "f4", external=[("/etc/passwd", 0, 1 << 20)])
    ),
    "a circle": with_weights(lambda group, name, _: group.__setitem__(name, group)),
    "no numbers": with_weights(
        lambda group, name, value: group.create_dataset(name, data=np.full(value.shape, np.nan, "f4"))
    ),
}


@pytest.mark.parametrize("damage", HOSTILE_ARCHIVES.values(), ids=HOSTILE_ARCHIVES)
def test_a_hostile_archive_is_refused(tmp_path, damage):
    path = tmp_path / "a.keras"
    save_checkpoint(build(), path)
    load_checkpoint(path)
    damage(path)

    with pytest.raises(ArtifactError, match="must be a checkpoint"):
        load_checkpoint(path)


@settings(max_examples=15)
@given(data=st.data())
def test_damaged_bytes_are_refused_or_harmless(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "a.keras"
    save_checkpoint(build(), path)
    content = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)):
        content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))

    try:
        model = load_checkpoint(path)
    except ArtifactError:
        return
    assert isinstance(model, SplineForecaster)


ROLES = [
    {"past": 2, "known": 3, "calendar": 2, "static": 1},
    {"past": 2, "known": 0, "calendar": 0, "static": 0},
    {"past": 0, "known": 3, "calendar": 0, "static": 0},
    {"past": 0, "known": 0, "calendar": 2, "static": 0},
    {"past": 0, "known": 0, "calendar": 0, "static": 1},
    {"past": 0, "known": 3, "delayed": 27, "calendar": 2, "static": 1},
]


def with_covariates(roles, **changes):
    """A source, a model that takes it, and a random linear forecast that the model holds."""
    rng = np.random.default_rng(4)
    keras.utils.set_random_seed(5)
    model = build(**{"lookback": LOOKBACK, "horizon": HORIZON, "members": [LOOKBACK], **roles, **changes})
    inputs = LOOKBACK + roles["past"] * lag_basis(LOOKBACK).shape[1]
    shape = 1 + roles["static"], roles["known"] + roles.get("delayed", 0) + roles["calendar"]
    kernel, effects = (rng.normal(size=size).astype("float32") for size in ((inputs, HORIZON), shape))
    ridge = RidgeForecaster(kernel, effects, 0.1)
    model.set_linear(ridge)
    return accompanied(**roles), model, ridge


@pytest.mark.parametrize("roles", ROLES, ids=str)
class TestEveryRole:
    def test_without_a_share_keras_forecasts_as_the_closed_form_does(self, roles):
        source, model, ridge = with_covariates(roles, shares={"linear": 1.0})
        rows, origins = some_windows(source)

        np.testing.assert_allclose(
            predict(model, source, rows, origins), ridge.predict(source, rows, origins), atol=1e-3, rtol=1e-4
        )

    def test_members_are_trained_on_what_they_see_in_a_forecast(self, roles):
        source, model, _ = with_covariates(roles, linear=False)
        rows, origins = some_windows(source)
        seen = MemberInputs(Remainder(source, model.known_effects()), model.segment_starts)

        chosen = np.flatnonzero(origins < source.targets.ends[rows] - HORIZON)

        windows, targets = seen.gather(WindowIndex.of(rows, origins), chosen)

        whole = model(source.windows(rows[chosen], origins[chosen])).numpy()
        added = model.member_forecasts(windows)[0].numpy()
        level_and_effects = source.outputs(rows[chosen], origins[chosen]) - targets
        np.testing.assert_allclose(added + level_and_effects, whole, atol=1e-3, rtol=1e-4)

    def test_every_covariate_changes_the_forecast_of_members(self, roles):
        source, model, _ = with_covariates(roles, linear=False)
        model.set_linear(RidgeForecaster(np.zeros((0, HORIZON)), np.zeros_like(model.known_effects()), 0.1))
        windows = source.windows(*some_windows(source))
        before = model(windows).numpy()

        for role in (role for role, count in roles.items() if count and role != "delayed"):
            changed = windows._replace(**{role: getattr(windows, role) + 1})
            assert (np.abs(model(changed).numpy() - before).max(axis=1) > 1e-6).all()

    def test_a_checkpoint_brings_back_the_model(self, roles, tmp_path):
        source, model, ridge = with_covariates(
            roles, shares={"linear": 0.6, "members": 0.4}, input_scale=2.0, output_scale=3.0
        )
        windows = source.windows(*some_windows(source))
        save_checkpoint(model, tmp_path / "a.keras")

        again = load_checkpoint(tmp_path / "a.keras")
        through_keras = keras.saving.load_model(tmp_path / "a.keras")

        np.testing.assert_array_equal(again(windows), model(windows))
        np.testing.assert_array_equal(through_keras(windows), model(windows))
        np.testing.assert_array_equal(again.known_effects(), ridge.effects)
        again.require_fit(source, 2)
        save_checkpoint(again, tmp_path / "b.keras")
        assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()

    def test_every_trained_weight_gets_a_gradient(self, roles):
        source, model, _ = with_covariates(roles, linear=False, dropout=0.0)
        windows = source.windows(*some_windows(source))
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(windows, training=True) ** 2)

        weights = model.trainable_variables
        for variable, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            assert gradient is not None, variable.path
            assert np.any(tf.convert_to_tensor(gradient).numpy() != 0), variable.path
        assert not any("effects" in variable.path for variable in weights)
