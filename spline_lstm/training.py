"""The fit loop: seeded, compiled, with averaged weights, early stopping and a history per epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from spline_lstm.models import SplineForecaster
from spline_lstm.params import TrainParams
from spline_lstm.windows import WindowIndex, WindowSource

log = logging.getLogger(__name__)

PREDICT_BATCH = 512
AVERAGE_MEMORY = 0.995  # of the moving average of the weights
CLIP_NORM = 1.0
PROGRESS_SECONDS = 1.0
HUBER_DELTA = 1.0  # in units of the model's output scale


@dataclass(frozen=True)
class Epoch:
    """One row of the history; losses are mean Huber losses in units of the model's `output_scale`."""

    epoch: int
    loss: float
    validation_loss: float
    learning_rate: float


@dataclass(frozen=True)
class FitResult:
    """What a fit leaves: averaged weights in the order of `model.get_weights()`, and the way there."""

    best: list[np.ndarray]
    last: list[np.ndarray]
    best_epoch: int
    history: tuple[Epoch, ...]


def seed_everything(seed: int) -> None:
    """Make weights a function of the seed alone, on one platform."""
    keras.utils.set_random_seed(seed)
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def fit(
    model: SplineForecaster,
    source: WindowSource,
    train: WindowIndex,
    validation: WindowIndex,
    params: TrainParams,
    seed: int,
) -> FitResult:
    """Train `model` in place.

    Each epoch visits all train windows in a new order, in batches of one shape. Validation scores
    the moving average of the weights, which is also what the checkpoints hold.

    Returns:
        The averaged weights of the best and of the last epoch.
    """
    order = np.random.default_rng(seed)
    batch_size = min(params.batch_size, len(train))
    steps = len(train) // batch_size
    schedule = _schedule(params, steps)
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=CLIP_NORM)
    optimizer.build(model.trainable_variables)
    averages = [tf.Variable(weight) for weight in model.trainable_variables]
    step = _compiled_step(model, optimizer, averages)
    loss_of = _compiled_loss(model)

    history: list[Epoch] = []
    best: tuple[float, int, list[np.ndarray]] | None = None
    bar = tqdm(total=params.epochs * steps, unit="batch", mininterval=PROGRESS_SECONDS, dynamic_ncols=True)
    for epoch in range(1, params.epochs + 1):
        bar.set_description(f"epoch {epoch}/{params.epochs}", refresh=False)
        total = 0.0
        for batch in _batches(source, train, order.permutation(len(train)), batch_size):
            total += float(step(*batch))
            bar.update()
        trained = [weight.numpy() for weight in model.trainable_variables]
        _assign(model, [average.numpy() for average in averages])
        validation_loss = _mean_loss(loss_of, source, validation)
        averaged = model.get_weights()
        history.append(Epoch(epoch, total / steps, validation_loss, float(schedule(epoch * steps))))
        if best is None or validation_loss < best[0]:
            best = validation_loss, epoch, averaged
        bar.set_postfix(loss=f"{total / steps:.4f}", validation=f"{validation_loss:.4f}")
        if epoch - best[1] >= params.patience:
            break
        _assign(model, trained)
    bar.close()
    assert best is not None
    log.info("best epoch %d of %d, validation loss %.4f", best[1], len(history), best[0])
    model.set_weights(best[2])
    return FitResult(best[2], averaged, best[1], tuple(history))


def predict(model: SplineForecaster, source: WindowSource, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """Forecast windows in batches of one shape, so that no window's bytes depend on how many there are.

    Returns:
        `(windows, horizon)`, float32, standardized.
    """

    @tf.function(jit_compile=True)
    def forward(values: tf.Tensor, missing: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        return model(values, missing, row, training=False)

    forecasts = np.empty((len(rows), source.horizon), np.float32)
    batches = range(0, len(rows), PREDICT_BATCH)
    for start in tqdm(batches, unit="batch", desc="forecasting", mininterval=PROGRESS_SECONDS, delay=5):
        part = slice(start, start + PREDICT_BATCH)
        padding = (0, PREDICT_BATCH - len(rows[part]))
        row, origin = np.pad(rows[part], padding, mode="edge"), np.pad(origins[part], padding, mode="edge")
        batch = forward(source.inputs(row, origin), source.missing(row, origin), row.astype(np.int32))
        forecasts[part] = batch.numpy()[: len(rows[part])]
    return forecasts


def _schedule(params: TrainParams, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Half an epoch of linear warm-up, then a cosine down to zero."""
    warmup = max(1, steps // 2)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, params.epochs * steps - warmup),
        warmup_target=params.learning_rate,
        warmup_steps=warmup,
    )


def _huber(targets: tf.Tensor, forecasts: tf.Tensor, scale: float) -> tf.Tensor:
    """Mean Huber loss of the observed targets; a missing one (NaN) has weight zero."""
    observed = tf.math.is_finite(targets)
    error = tf.abs(tf.where(observed, targets, 0.0) - forecasts) / scale
    inner = tf.minimum(error, HUBER_DELTA)
    loss = tf.where(observed, inner * (error - inner / 2), 0.0)
    return tf.reduce_sum(loss) / tf.maximum(tf.reduce_sum(tf.cast(observed, loss.dtype)), 1.0)


def _compiled_step(
    model: SplineForecaster, optimizer: keras.optimizers.Optimizer, averages: list[tf.Variable]
) -> Callable[..., tf.Tensor]:
    @tf.function(jit_compile=True)
    def step(values: tf.Tensor, missing: tf.Tensor, rows: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = _huber(targets, model(values, missing, rows, training=True), model.output_scale)
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        count = tf.cast(optimizer.iterations, tf.float32)
        memory = tf.minimum(AVERAGE_MEMORY, (1 + count) / (10 + count))  # young averages forget their start
        for average, weight in zip(averages, model.trainable_variables, strict=True):
            average.assign(memory * average + (1 - memory) * weight)
        return loss

    return step


def _compiled_loss(model: SplineForecaster) -> Callable[..., tf.Tensor]:
    @tf.function(jit_compile=True)
    def loss(values: tf.Tensor, missing: tf.Tensor, rows: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        return _huber(targets, model(values, missing, rows, training=False), model.output_scale)

    return loss


def _mean_loss(loss_of: Callable[..., tf.Tensor], source: WindowSource, windows: WindowIndex) -> float:
    """Mean over whole batches; a last, partial batch wraps around to the first windows."""
    size = min(PREDICT_BATCH, len(windows))
    wrapped = np.resize(np.arange(len(windows)), -(-len(windows) // size) * size)
    return float(np.mean([float(loss_of(*batch)) for batch in _batches(source, windows, wrapped, size)]))


def _batches(source: WindowSource, windows: WindowIndex, order: np.ndarray, size: int) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(order) - size + 1, size):
        chosen = order[start : start + size]
        rows, origins = windows.rows[chosen], windows.origins[chosen]
        yield (
            source.inputs(rows, origins),
            source.missing(rows, origins),
            rows.astype(np.int32),
            source.outputs(rows, origins),
        )


def _assign(model: SplineForecaster, values: list[np.ndarray]) -> None:
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
