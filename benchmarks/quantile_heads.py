"""A recurrence that answers with quantiles: what intervals could be made from instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from spline_lstm.data.prepared import Prepared
from spline_lstm.data.windows import WindowIndex, Windows
from spline_lstm.model.batches import MemberInputs, TrainBatches
from spline_lstm.model.fitting import TrainedForecaster
from spline_lstm.model.forecaster import SegmentRecurrence
from spline_lstm.model.linear import Remainder
from spline_lstm.model.training import CLIP_NORM, FEWEST_BATCHES, MOST_BATCHES, PREDICT_BATCH, seed_everything

PATIENCE = 5


def fitted_quantiles(
    prepared: Prepared, trained: TrainedForecaster, taus: Sequence[float], seed: int
) -> Callable[[WindowIndex], np.ndarray]:
    """A network like a member of a forecaster, over its ridge, trained by the pinball loss.

    Validation windows choose the epoch.

    Args:
        prepared: Its windows are learned from.
        trained: By whose settings the network is built.
        taus: Ascending, between 0 and 1.
        seed: Of weights and the order of windows.

    Returns:
        From windows to their quantiles, `(windows, horizon, taus)`, ascending, standardized.
    """
    seed_everything(seed)
    shares = np.array(taus, np.float32)
    model, params, source = trained.model, trained.params, trained.source
    seen = MemberInputs(Remainder(source, model.known_effects()), model.segment_starts)
    train, validation = prepared.windows("train"), prepared.windows("validation")
    network = _network(trained, len(taus))

    def answer(windows: Windows, training: bool) -> Any:
        linear = tf.matmul(windows.values, trained.ridge.kernel[: model.lookback])
        windows = windows._replace(values=windows.values / model.input_scale)
        answered = tf.reshape(network.call(windows, training=training), (windows.rows.shape[0], -1, len(taus)))
        return answered[:, : model.horizon] * model.output_scale + linear[..., None]

    size = min(params.batch_size or len(train), len(train))
    steps = min(max(len(train) // size, FEWEST_BATCHES), MOST_BATCHES)
    batches = TrainBatches(seen, train, size, np.random.default_rng(seed), bool(params.augment))
    answer(next(batches)[0], training=False)  # builds the weights
    optimizer = keras.optimizers.Adam(params.learning_rate, global_clipnorm=CLIP_NORM)
    optimizer.build(network.trainable_variables)

    def loss(windows: Windows, targets: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        observed = tf.math.is_finite(targets)
        error = tf.where(observed, targets, 0.0)[..., None] - answer(windows, training)
        pinball = tf.reduce_mean(tf.maximum(shares * error, (shares - 1) * error), axis=-1)
        return tf.reduce_sum(tf.where(observed, pinball, 0.0)), tf.reduce_sum(tf.cast(observed, tf.float32))

    @tf.function(jit_compile=True, autograph=False)
    def step(windows: Windows, targets: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            total, count = loss(windows, targets, training=True)
            mean = total / tf.maximum(count, 1.0)
        optimizer.apply(tape.gradient(mean, network.trainable_variables))

    judged = tf.function(lambda windows, targets: loss(windows, targets, False), jit_compile=True, autograph=False)
    forward = tf.function(lambda windows: answer(windows, False), jit_compile=True, autograph=False)

    best, waited, weights = np.inf, 0, network.get_weights()
    for _ in tqdm(range(params.epochs), unit="epoch", desc="quantile heads", disable=None):
        for batch in islice(batches, steps):
            step(*batch)
        sums = [judged(*seen.gather(validation, part)) for part, _ in _parts(len(validation))]
        pinball = float(sum(total for total, _ in sums) / sum(count for _, count in sums))
        best, waited, weights = (pinball, 0, network.get_weights()) if pinball < best else (best, waited + 1, weights)
        if waited == PATIENCE:
            break
    network.set_weights(weights)

    def quantiles(windows: WindowIndex) -> np.ndarray:
        result = np.empty((len(windows), model.horizon, len(taus)), np.float32)
        for part, count in _parts(len(windows)):
            _, level, ahead = seen.remainder.level_free(*windows.at(part))
            known = (level + ahead + np.zeros(model.horizon, np.float32))[..., None]
            result[part[:count]] = (forward(seen.gather(windows, part)[0]).numpy() + known)[:count]
        return np.sort(result, axis=2)  # heads may cross

    return quantiles


def _parts(count: int) -> list[tuple[np.ndarray, int]]:
    """Numbers of windows in batches of one size, the last one filled up, and how many of them count."""
    starts = range(0, count, PREDICT_BATCH)
    numbers = np.arange(PREDICT_BATCH)
    return [(np.minimum(start + numbers, count - 1), min(PREDICT_BATCH, count - start)) for start in starts]


def _network(trained: TrainedForecaster, heads: int) -> SegmentRecurrence:
    """A member of the forecaster whose every step has several heads."""
    model = trained.model
    settings: dict[str, Any] = model.settings
    first = model.members[0]
    network = SegmentRecurrence(
        *(first.lookback, model.horizon, model.rows, first.segments, settings["cell"], settings["units"]),
        *(settings["dropout"], model.channels),
        name="heads",
    )
    network.decode = keras.layers.Dense(network.steps * heads, name="decode")
    network.horizon = network.horizon_segments * network.steps * heads
    return network
