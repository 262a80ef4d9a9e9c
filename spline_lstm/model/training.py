"""The fit loop: seeded, compiled, with averaged weights, early stopping and a history per epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule, PolynomialDecay
from tqdm import tqdm

from spline_lstm.data.windows import WindowIndex, Windows, WindowSource
from spline_lstm.model.batches import MemberInputs, TrainBatches
from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.linear import Remainder
from spline_lstm.model.progress import PROGRESS_SECONDS, FitProgress
from spline_lstm.model.snapshots import KEPT_NOWHERE, Snapshots
from spline_lstm.run.params import TrainParams

log = logging.getLogger(__name__)

PREDICT_BATCH = 512
AVERAGE_MEMORY = 0.995  # of the moving average of the weights
CLIP_NORM = 1.0
HUBER_DELTA = 0.5  # in units of the model's output scale
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


def seed_everything(seed: int) -> None:
    """Make weights a function of the seed alone, on one platform."""
    keras.utils.set_random_seed(seed)
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


class Fit:
    """Trains the members of a model in place, epoch by epoch; between epochs it can wait.

    The windows come in a new order at each pass, in batches of one shape. An epoch is one pass, but
    `FEWEST_BATCHES` at least and `MOST_BATCHES` at most. Validation scores the moving average of the
    weights, which is also what the checkpoints hold. A fit that was killed, built again and given the same
    snapshots, goes on as if nothing had happened.

    Args:
        model: Its members are trained; its linear part is not.
        source: Where windows are cut from.
        train: Windows to learn from.
        validation: Windows that choose the best epoch.
        params: As resolved by `sizing.train_settings`.
        seed: Of the order and the augmentation of windows.
        step: Of an earlier fit of the model, which spares compiling another one; its warm-up is as long.

    Attributes:
        step: What is done with each batch.
        passes: Epochs so far, those without a look at validation windows included.
        history: Of the others.
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
        step: TrainStep | None = None,
    ) -> None:
        assert params.batch_size is not None
        size = min(params.batch_size, len(train))
        self.model, self.source, self.params = model, source, params
        self.steps = min(max(len(train) // size, FEWEST_BATCHES), MOST_BATCHES)
        # Half an epoch of linear warm-up, then constant: the averaged weights need no decay.
        rate = PolynomialDecay(0.0, max(1, self.steps // 2), params.learning_rate)
        self.step = step.begun_anew() if step else TrainStep.of(model, rate)
        self._errors_of = _compiled_errors(model)
        self._seen = MemberInputs(Remainder(source, model.known_effects()), model.segment_starts)
        self.judges = validation.at_most(MOST_JUDGES)
        self._batches = TrainBatches(self._seen, train, size, np.random.default_rng(seed), bool(params.augment))
        self.passes = 0
        self.history: list[Epoch] = []
        self.best_errors = np.zeros((len(self.judges), 2))
        self._best: tuple[int, list[np.ndarray]] = (0, model.get_weights())
        self._trained = [weight.numpy() for weight in model.trainable_variables]

    def go_on(
        self,
        epochs: int,
        snapshots: Snapshots = KEPT_NOWHERE,
        name: str = "fit",
        watch: Callable[[Sequence[Epoch]], None] = lambda _: None,
    ) -> None:
        """Train until there are so many epochs in all, or patience or params end it.

        Args:
            epochs: How many.
            snapshots: Where the state after each epoch is kept, and from where it is taken.
            name: Of that state.
            watch: Called with the history whenever it has grown.
        """
        epochs = min(epochs, self.params.epochs)
        self._resume(snapshots, name)
        watch(self.history)
        progress = FitProgress(self.passes, epochs, self.steps)
        while self.passes < epochs and self.passes - self._best[0] < self.params.patience:
            self._epoch(progress)
            snapshots.save(name, self._state())
            watch(self.history)
        progress.close()

    def finish(
        self, snapshots: Snapshots = KEPT_NOWHERE, watch: Callable[[Sequence[Epoch]], None] = lambda _: None
    ) -> FitResult:
        """Train to the end. The model keeps the weights of the last epoch."""
        self.go_on(self.params.epochs, snapshots, watch=watch)
        best_epoch, best = self._best
        log.info(
            "best epoch %d of %d, validation MSE %.4f",
            *(best_epoch, len(self.history), self.history[best_epoch - 1].validation_mse),
        )
        return FitResult(best, self.model.get_weights(), best_epoch, tuple(self.history))

    def go_blindly(self, epochs: int, snapshots: Snapshots = KEPT_NOWHERE) -> None:
        """Train for so many epochs without a look at validation windows. The model keeps the averaged weights."""
        self._resume(snapshots, "final")
        progress = FitProgress(self.passes, epochs, self.steps)
        while self.passes < epochs:
            loss = self._pass(progress)
            progress.epoch_done(self.passes, loss)
            snapshots.save("final", self._state())
        progress.close()

    def _resume(self, snapshots: Snapshots, name: str) -> None:
        """Take up the state that is kept, if it is one of this fit and ahead of where it stands."""
        state = snapshots.load(name)
        if state is None or not _alike(state, self._state()) or not self.passes < state["passes"]:
            return
        history, order = state["history"], state["order"]
        if not (state["passes"] <= self.params.epochs and np.array_equal(np.sort(order), np.arange(len(order)))):
            return
        self.passes = int(state["passes"])
        judged = self.passes if state["best_epoch"] else 0
        self.history = [Epoch(number, *map(float, row)) for number, row in enumerate(history[:judged], start=1)]
        self.best_errors = state["best_errors"]
        for variable, value in zip(self._variables(), _numbered(state, "variable"), strict=True):
            variable.assign(value)
        self._trained = _numbered(state, "trained")
        self._best = int(state["best_epoch"]), _numbered(state, "best")
        self._batches.order, self._batches.position = order, int(state["position"])
        self._batches.random.bit_generator.state = _generator_state(state["random"])
        _assign(self.model, [average.numpy() for average in self.step.averages])
        log.info("going on after epoch %d of the training that was interrupted", self.passes)

    def _state(self) -> dict[str, np.ndarray]:
        """All that further epochs depend on, and those so far: always the same names, shapes and types."""
        history = np.full((self.params.epochs, 2), np.nan)
        for row, epoch in zip(history, self.history, strict=False):
            row[:] = epoch.loss, epoch.validation_mse
        return {
            "passes": np.array(self.passes),
            "history": history,
            "best_epoch": np.array(self._best[0]),
            "best_errors": self.best_errors,
            "order": self._batches.order,
            "position": np.array(self._batches.position),
            "random": _generator_words(self._batches.random),
            **{f"variable {number}": np.array(each) for number, each in enumerate(self._variables())},
            **{f"trained {number}": each for number, each in enumerate(self._trained)},
            **{f"best {number}": each for number, each in enumerate(self._best[1])},
        }

    def _variables(self) -> list[Any]:
        """What a step changes beside the weights: their averages, the optimizer's variables, the state of dropout."""
        weights = {id(weight) for weight in self.model.weights}
        return [
            *self.step.averages,
            *self.step.optimizer,
            *(each for each in self.model.variables if id(each) not in weights),
        ]

    def _pass(self, progress: FitProgress) -> float:
        """Train for an epoch: the mean loss. The model gets the averaged weights."""
        _assign(self.model, self._trained)
        total = 0.0
        for batch in islice(self._batches, self.steps):
            total += float(self.step.run(*batch))
            progress.batch_done()
        self._trained = [weight.numpy() for weight in self.model.trainable_variables]
        _assign(self.model, [average.numpy() for average in self.step.averages])
        self.passes += 1
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
    """Forecast windows.

    Returns:
        `(windows, horizon)`, float32, standardized.
    """
    forecasts = np.empty((len(rows), source.horizon), np.float32)
    for part, experts in _expert_batches(model, source, rows, origins):
        forecasts[part] = model.mixed(experts)
    return forecasts


def predict_by_expert(
    model: SplineForecaster, source: WindowSource, rows: np.ndarray, origins: np.ndarray
) -> dict[str, np.ndarray]:
    """What each expert forecasts, by its name: `(windows, horizon)` each, float32, standardized."""
    batches = [experts for _, experts in _expert_batches(model, source, rows, origins)]
    return {name: np.concatenate([experts[name] for experts in batches]) for name in batches[0]}


def _expert_batches(
    model: SplineForecaster, source: WindowSource, rows: np.ndarray, origins: np.ndarray
) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """Experts on windows in batches of one shape, so that no window's bytes depend on how many there are."""
    source = source.with_cycles(model.cycles, model.season, model.known_effects())
    batches = range(0, len(rows), PREDICT_BATCH)
    for start in tqdm(batches, unit="batch", desc="forecasting", mininterval=PROGRESS_SECONDS, delay=5, disable=None):
        part = slice(start, start + PREDICT_BATCH)
        padding = (0, PREDICT_BATCH - len(rows[part]))
        row, origin = np.pad(rows[part], padding, mode="edge"), np.pad(origins[part], padding, mode="edge")
        experts = model.compiled_experts(source.windows(row, origin))
        yield part, {name: forecast.numpy()[: len(rows[part])] for name, forecast in experts.items()}


def _huber(targets: tf.Tensor, forecasts: tf.Tensor, scale: float) -> tf.Tensor:
    """Mean Huber loss of the observed targets; a missing one (NaN) has weight zero."""
    observed = tf.math.is_finite(targets)
    error = tf.abs(tf.where(observed, targets, 0.0) - forecasts) / scale
    inner = tf.minimum(error, HUBER_DELTA)
    loss = tf.where(observed, inner * (error - inner / 2), 0.0)
    return tf.reduce_sum(loss) / tf.maximum(tf.reduce_sum(tf.cast(observed, loss.dtype)), 1.0)


@dataclass(frozen=True)
class TrainStep:
    """A training step of a model, and what it updates beside the weights.

    Each member has a loss of its own: members that learned together would share their mistakes.

    Attributes:
        run: From a batch to its loss; compiled.
        averages: Moving averages of the trainable weights.
        optimizer: Its variables.
    """

    run: Callable[[Windows, np.ndarray], tf.Tensor]
    averages: list[tf.Variable]
    optimizer: list[Any]
    _weights: list[Any]
    _begin: list[np.ndarray]

    @classmethod
    def of(cls, model: SplineForecaster, learning_rate: float | LearningRateSchedule) -> TrainStep:
        """Args: a model, whose members are trained; the learning rate of Adam (Kingma & Ba 2015)."""
        weights = model.trainable_variables
        optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=CLIP_NORM)
        optimizer.build(weights)
        averages = [tf.Variable(weight) for weight in weights]

        @tf.function(jit_compile=True, autograph=False)
        def run(windows: Windows, targets: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                forecasts = model.member_forecasts(windows, training=True)
                loss = sum(_huber(targets, forecast, model.output_scale) for forecast in forecasts)
            optimizer.apply(tape.gradient(loss, weights))
            count = tf.cast(optimizer.iterations, tf.float32)
            memory = tf.minimum(AVERAGE_MEMORY, (1 + count) / (10 + count))  # young averages forget their start
            for average, weight in zip(averages, weights, strict=True):
                average.assign(memory * average + (1 - memory) * weight)
            return loss / len(forecasts)

        return cls(run, averages, optimizer.variables, weights, list(map(np.array, optimizer.variables)))

    def begun_anew(self) -> TrainStep:
        """The same from the weights as they are now, without any memory."""
        for average, weight in zip(self.averages, self._weights, strict=True):
            average.assign(weight)
        for variable, value in zip(self.optimizer, self._begin, strict=True):
            variable.assign(value)
        return self


def _compiled_errors(model: SplineForecaster) -> Callable[..., tf.Tensor]:
    """Of each window, the sum of squared errors of the members' mean over observed targets, and their number."""

    @tf.function(jit_compile=True, autograph=False)
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


def _assign(model: SplineForecaster, values: list[np.ndarray]) -> None:
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)


def _alike(state: Mapping[str, np.ndarray], own: Mapping[str, np.ndarray]) -> bool:
    """Whether arrays have the same names, shapes and types."""
    return {name: (each.shape, each.dtype) for name, each in state.items()} == {
        name: (each.shape, each.dtype) for name, each in own.items()
    }


def _numbered(state: Mapping[str, np.ndarray], kind: str) -> list[np.ndarray]:
    count = sum(name.startswith(f"{kind} ") for name in state)
    return [state[f"{kind} {number}"] for number in range(count)]


def _generator_words(random: np.random.Generator) -> np.ndarray:
    """State of NumPy's default generator, PCG64: `(6,)`, uint64."""
    known = random.bit_generator.state
    halves = [half for key in ("state", "inc") for half in divmod(known["state"][key], 1 << 64)]
    return np.array([*halves, known["has_uint32"], known["uinteger"]], np.uint64)


def _generator_state(words: np.ndarray) -> dict[str, Any]:
    high, low, more, less, has_uint32, uinteger = map(int, words)
    state = {"state": (high << 64) + low, "inc": (more << 64) + less}
    return {"bit_generator": "PCG64", "state": state, "has_uint32": has_uint32 & 1, "uinteger": uinteger & 0xFFFFFFFF}
