"""The fit loop: seeded, compiled, with averaged weights, early stopping and a history per epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import keras
import numpy as np
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule, PolynomialDecay
from tqdm import tqdm

from spline_lstm.data.windows import UNKNOWN, WindowIndex, Windows, WindowSource
from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.linear import Remainder
from spline_lstm.model.progress import PROGRESS_SECONDS, FitProgress
from spline_lstm.run.params import TrainParams

log = logging.getLogger(__name__)

PREDICT_BATCH = 512
AVERAGE_MEMORY = 0.995  # of the moving average of the weights
CLIP_NORM = 1.0
HUBER_DELTA = 0.5  # in units of the model's output scale
NAMELESS = 0.1  # share of windows that do not say whose they are
MIXED = 0.5  # standard deviation of the share of another window that is added to one
FEWEST_BATCHES, MOST_BATCHES = 100, 1000  # of an epoch
MOST_JUDGES = 1 << 15  # validation windows that choose the epoch and the share, evenly spread


@dataclass(frozen=True)
class Epoch:
    """One row of the history.

    Attributes:
        epoch: From 1.
        loss: Mean Huber loss of train windows, in units of the model's `output_scale`.
        validation_mse: Of the averaged weights without the linear part, standardized.
    """

    epoch: int
    loss: float
    validation_mse: float


@dataclass(frozen=True)
class FitResult:
    """What a fit leaves: averaged weights in the order of `model.get_weights()`, and the way there."""

    best: list[np.ndarray]
    last: list[np.ndarray]
    best_epoch: int
    history: tuple[Epoch, ...]


@dataclass(frozen=True)
class MemberInputs:
    """What members see of windows: level-free, without the effects of known covariates.

    Attributes:
        remainder: Where windows are cut from.
        segment_starts: `(horizon segments,)`, the steps ahead at which members look at the calendar, from 0.
    """

    remainder: Remainder
    segment_starts: np.ndarray

    def gather(self, windows: WindowIndex, chosen: np.ndarray) -> tuple[Windows, np.ndarray]:
        """Some of the windows and their targets, `(windows, horizon)`, NaN where nothing was observed."""
        rows, origins = windows.at(chosen)
        source, covariates = self.remainder.source, self.remainder.source.covariates
        series, starts = covariates.series[rows], origins - source.lookback + 1
        values, level, ahead = self.remainder.level_free(rows, origins)
        inputs = Windows(
            values,
            source.missing(rows, origins),
            source.past(rows, origins),
            covariates.known_steps(series, starts, source.lookback + source.horizon),
            covariates.calendar[origins[:, None] + 1 + self.segment_starts],
            covariates.static[series],
            source.identities[rows],
            np.empty((len(rows), 0, 1), np.float32),
            *np.empty((2, len(rows), 0), np.float32),
        )
        return inputs, source.outputs(rows, origins) - level - ahead


def seed_everything(seed: int) -> None:
    """Make weights a function of the seed alone, on one platform."""
    keras.utils.set_random_seed(seed)
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


class Fit:
    """Trains the members of a model in place, epoch by epoch; between epochs it can wait.

    The windows come in a new order at each pass, in batches of one shape. An epoch is one pass, but
    `FEWEST_BATCHES` at least and `MOST_BATCHES` at most. Validation scores the moving average of the
    weights, which is also what the checkpoints hold.

    Args:
        model: Its members are trained; its linear part is not.
        source: Where windows are cut from.
        train: Windows to learn from.
        validation: Windows that choose the best epoch.
        params: As resolved by `sizing.train_settings`.
        seed: Of the order and the augmentation of windows.

    Attributes:
        history: Epochs so far.
        best_errors: `(judges, 2)`, of each validation window that judges, in the best epoch so far: the sum of squared
            errors, standardized, and the number of observed targets.
    """

    def __init__(
        self,
        model: SplineForecaster,
        source: WindowSource,
        train: WindowIndex,
        validation: WindowIndex,
        params: TrainParams,
        seed: int,
    ) -> None:
        assert params.batch_size is not None
        size = min(params.batch_size, len(train))
        self.model, self.source, self.params = model, source, params
        self.steps = min(max(len(train) // size, FEWEST_BATCHES), MOST_BATCHES)
        # Half an epoch of linear warm-up, then constant: the averaged weights need no decay.
        rate = PolynomialDecay(0.0, max(1, self.steps // 2), params.learning_rate)
        self._step, self._averages = compiled_step(model, rate)
        self._errors_of = _compiled_errors(model)
        self._seen = MemberInputs(Remainder(source, model.known_effects()), model.segment_starts)
        self.judges = validation.at_most(MOST_JUDGES)
        self._batches = train_batches(self._seen, train, size, np.random.default_rng(seed), bool(params.augment))
        self.history: list[Epoch] = []
        self.best_errors = np.empty((0, 2))
        self._best: tuple[int, list[np.ndarray]] = (0, [])
        self._trained = [weight.numpy() for weight in model.trainable_variables]

    def go_on(self, epochs: int) -> None:
        """Train until there are so many epochs in all, or patience or params end it."""
        epochs = min(epochs, self.params.epochs)
        progress = FitProgress(len(self.history), epochs, self.steps)
        while len(self.history) < epochs and len(self.history) - self._best[0] < self.params.patience:
            self._epoch(progress)
        progress.close()

    def finish(self) -> FitResult:
        """Train to the end. The model keeps the weights of the last epoch."""
        self.go_on(self.params.epochs)
        best_epoch, best = self._best
        log.info(
            "best epoch %d of %d, validation MSE %.4f",
            *(best_epoch, len(self.history), self.history[best_epoch - 1].validation_mse),
        )
        return FitResult(best, self.model.get_weights(), best_epoch, tuple(self.history))

    def go_blindly(self, epochs: int) -> None:
        """Train for so many epochs without a look at validation windows. The model keeps the averaged weights."""
        progress = FitProgress(0, epochs, self.steps)
        for epoch in range(1, epochs + 1):
            progress.epoch_done(epoch, self._pass(progress))
        progress.close()

    def _pass(self, progress: FitProgress) -> float:
        """Train for an epoch: the mean loss. The model gets the averaged weights."""
        _assign(self.model, self._trained)
        total = 0.0
        for batch in islice(self._batches, self.steps):
            total += float(self._step(*batch))
            progress.batch_done()
        self._trained = [weight.numpy() for weight in self.model.trainable_variables]
        _assign(self.model, [average.numpy() for average in self._averages])
        return total / self.steps

    def _epoch(self, progress: FitProgress) -> None:
        loss = self._pass(progress)
        errors = _errors_of_windows(self._errors_of, self._seen, self.judges)
        validation_mse = float(errors[:, 0].sum() / max(errors[:, 1].sum(), 1.0))
        if not self.history or validation_mse < self.history[self._best[0] - 1].validation_mse:
            self._best, self.best_errors = (len(self.history) + 1, self.model.get_weights()), errors
        self.history.append(Epoch(len(self.history) + 1, loss, validation_mse))
        progress.epoch_done(len(self.history), loss, validation_mse)


def predict(model: SplineForecaster, source: WindowSource, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """Forecast windows in batches of one shape, so that no window's bytes depend on how many there are.

    Returns:
        `(windows, horizon)`, float32, standardized.
    """

    @tf.function(jit_compile=True)
    def forward(windows: Windows) -> tf.Tensor:
        return model(windows, training=False)

    source = source.with_cycles(model.cycles, model.season, model.known_effects())
    forecasts = np.empty((len(rows), source.horizon), np.float32)
    batches = range(0, len(rows), PREDICT_BATCH)
    for start in tqdm(batches, unit="batch", desc="forecasting", mininterval=PROGRESS_SECONDS, delay=5, disable=None):
        part = slice(start, start + PREDICT_BATCH)
        padding = (0, PREDICT_BATCH - len(rows[part]))
        row, origin = np.pad(rows[part], padding, mode="edge"), np.pad(origins[part], padding, mode="edge")
        batch = forward(source.windows(row, origin))
        forecasts[part] = batch.numpy()[: len(rows[part])]
    return forecasts


def augment(windows: Windows, targets: np.ndarray, random: np.random.Generator) -> tuple[Windows, np.ndarray]:
    """Turn windows upside down at random, and add some of another window of the batch to each.

    For a linear system sums and mirror images of series are series, too; the members learn it as far as
    the data does not speak against it. What is known or static stays as it is: it says how the system works.

    Args:
        windows: Level-free.
        targets: `(windows, horizon)`, level-free, NaN where nothing was observed.
        random: Decides.

    Returns:
        The same; a target that is missing in either of two windows is missing in their sum.
    """
    count = len(targets)
    sign = random.choice(np.array([-1, 1], np.float32), (count, 1))
    amount = MIXED * random.standard_normal((count, 1), np.float32)
    other = random.permutation(count)

    def mixed(values: np.ndarray) -> np.ndarray:
        shape = (-1,) + (1,) * (values.ndim - 1)
        return sign.reshape(shape) * values + amount.reshape(shape) * values[other]

    return windows._replace(values=mixed(windows.values), past=mixed(windows.past)), mixed(targets)


def _huber(targets: tf.Tensor, forecasts: tf.Tensor, scale: float) -> tf.Tensor:
    """Mean Huber loss of the observed targets; a missing one (NaN) has weight zero."""
    observed = tf.math.is_finite(targets)
    error = tf.abs(tf.where(observed, targets, 0.0) - forecasts) / scale
    inner = tf.minimum(error, HUBER_DELTA)
    loss = tf.where(observed, inner * (error - inner / 2), 0.0)
    return tf.reduce_sum(loss) / tf.maximum(tf.reduce_sum(tf.cast(observed, loss.dtype)), 1.0)


def compiled_step(
    model: SplineForecaster, learning_rate: float | LearningRateSchedule
) -> tuple[Callable[..., tf.Tensor], list[tf.Variable]]:
    """A training step, from a batch to its loss, and the moving averages of the weights that it updates.

    Each member has a loss of its own: members that learned together would share their mistakes.
    """
    optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=CLIP_NORM)
    optimizer.build(model.trainable_variables)
    averages = [tf.Variable(weight) for weight in model.trainable_variables]

    @tf.function(jit_compile=True)
    def step(windows: Windows, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            forecasts = model.member_forecasts(windows, training=True)
            loss = sum(_huber(targets, forecast, model.output_scale) for forecast in forecasts)
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        count = tf.cast(optimizer.iterations, tf.float32)
        memory = tf.minimum(AVERAGE_MEMORY, (1 + count) / (10 + count))  # young averages forget their start
        for average, weight in zip(averages, model.trainable_variables, strict=True):
            average.assign(memory * average + (1 - memory) * weight)
        return loss / len(forecasts)

    return step, averages


def _compiled_errors(model: SplineForecaster) -> Callable[..., tf.Tensor]:
    """Of each window, the sum of squared errors of the members' mean over observed targets, and their number."""

    @tf.function(jit_compile=True)
    def errors(windows: Windows, targets: tf.Tensor) -> tf.Tensor:
        forecasts = model.member_forecasts(windows)
        observed = tf.math.is_finite(targets)
        error = tf.where(observed, targets - sum(forecasts) / len(forecasts), 0.0)
        return tf.stack([tf.reduce_sum(error**2, axis=1), tf.reduce_sum(tf.cast(observed, tf.float32), axis=1)], axis=1)

    return errors


def _errors_of_windows(errors_of: Callable[..., tf.Tensor], seen: MemberInputs, windows: WindowIndex) -> np.ndarray:
    """`(windows, 2)`, see `_compiled_errors`; a last, partial batch is filled with repeated windows."""
    size = min(PREDICT_BATCH, len(windows))
    result = np.empty((len(windows), 2))
    for start in range(0, len(windows), size):
        chosen = np.arange(start, start + size)
        errors = errors_of(*seen.gather(windows, np.minimum(chosen, len(windows) - 1))).numpy()
        result[start : start + size] = errors[: len(windows) - start]
    return result


def train_batches(
    seen: MemberInputs, windows: WindowIndex, size: int, random: np.random.Generator, augmented: bool
) -> Iterator[tuple[Windows, np.ndarray]]:
    """Batches without end: pass after pass over the windows, each in a new order.

    Where there are several rows, some windows do not say whose they are, so that an unknown row is learned, too.
    """
    several = len(seen.remainder.source.identities) > 1
    while True:
        order = np.arange(len(windows), dtype=np.int32)
        random.shuffle(order)
        for start in range(0, len(order) - size + 1, size):
            batch, targets = seen.gather(windows, order[start : start + size])
            if augmented:
                batch, targets = augment(batch, targets, random)
            if several:
                nameless = random.random(size) < NAMELESS
                batch = batch._replace(rows=np.where(nameless, UNKNOWN, batch.rows).astype(np.int32))
            yield batch, targets


def _assign(model: SplineForecaster, values: list[np.ndarray]) -> None:
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
