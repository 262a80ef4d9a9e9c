"""The forecaster: a recurrence over spline segments, decoded in parallel, mixed with a linear forecast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from spline_lstm.model.splines import bspline_basis, penalized_operator
from spline_lstm.run.errors import ShapeError
from spline_lstm.run.params import CELLS


@keras.saving.register_keras_serializable(package="spline_lstm")
class SplineSegments(keras.layers.Layer):
    """Represents each segment of a window by penalised B-spline coefficients (a fixed linear map).

    A window that segments do not divide is extended into the past with zeros.

    Args:
        segment: Steps per segment. A positive integer.
        coefficients: B-splines per segment. A positive integer.
        degree: Of the splines.
        penalty: Of second differences; see `penalized_operator`.

    Input shape: `(batch, lookback, channels)`.
    Output shape: `(batch, ceil(lookback / segment), coefficients * channels)`, oldest first.
    """

    def __init__(self, segment: int, coefficients: int, degree: int, penalty: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.segment = segment
        self.coefficients = coefficients
        self.degree = degree
        self.penalty = penalty
        basis = bspline_basis(segment, coefficients, degree)
        self._operator = penalized_operator(basis, penalty).T.astype("float32")

    def call(self, inputs: Any) -> Any:
        _, lookback, channels = inputs.shape
        segments = -(-lookback // self.segment)
        padded = ops.pad(inputs, ((0, 0), (segments * self.segment - lookback, 0), (0, 0)))
        cut = ops.reshape(padded, (-1, segments, self.segment, channels))
        coefficients = ops.matmul(ops.transpose(cut, (0, 1, 3, 2)), self._operator)
        return ops.reshape(coefficients, (-1, segments, channels * self.coefficients))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "segment": self.segment,
            "coefficients": self.coefficients,
            "degree": self.degree,
            "penalty": self.penalty,
        }


class Dropout(keras.layers.Dropout):
    """Keras' own takes XLA's default generator, which on a CPU is 60 times slower than Philox."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.rate:
            return inputs
        seed = ops.cast(self.seed_generator.next(), "int64")
        kept = tf.random.stateless_uniform(ops.shape(inputs), seed, alg="philox") >= self.rate
        return ops.where(kept, inputs / (1 - self.rate), 0.0)


class SegmentRecurrence(keras.layers.Layer):
    """One member: reads the last `lookback` steps segment by segment, answers all horizon segments at once.

    Args:
        lookback: Steps it reads.
        horizon: Steps of the forecast.
        rows: Number of rows; each has a learned embedding, as has the unknown one, 0.
        segments: The spline representation of a window.
        cell: A key of `CELLS`.
        units: Width of the recurrent state, 2 or more.
        dropout: Share of the decoder's state dropped in training.

    Inputs: `values` and `missing`, `(batch, lookback or more)`; `rows`, `(batch,)`, integers from 0 to `rows`.
    Output shape: `(batch, horizon)`.
    """

    def __init__(
        self,
        lookback: int,
        horizon: int,
        rows: int,
        segments: SplineSegments,
        cell: str,
        units: int,
        dropout: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lookback = lookback
        self.horizon = horizon
        self.segments = segments
        self.horizon_segments = -(-horizon // segments.segment)
        # Every name is given: Keras numbers layers by process, and the numbers would show in checkpoints.
        self.encode = keras.layers.Dense(units, activation="relu", name="encode")
        self.recurrence = getattr(keras.layers, CELLS[cell])(units, return_state=True, name="recurrence")
        self.position = _embedding(self.horizon_segments, units - units // 2, "position")
        self.row = _embedding(rows + 1, units // 2, "row")
        self.dropout = Dropout(dropout, name="dropout")
        self.decode = keras.layers.Dense(-(-horizon // self.horizon_segments), name="decode")

    def call(self, values: Any, missing: Any, rows: Any, training: bool = False) -> Any:
        window = ops.stack([values[:, -self.lookback :], missing[:, -self.lookback :]], axis=-1)
        _, *states = self.recurrence(self.encode(self.segments(window)))
        # One more cell step for every horizon segment, each from the window's final state.
        count = self.horizon_segments
        positions = ops.tile(self.position(ops.arange(count)), (ops.shape(rows)[0], 1))
        queries = ops.concatenate([positions, ops.repeat(self.row(rows), count, axis=0)], axis=-1)
        output, _ = self.recurrence.cell(queries, [ops.repeat(state, count, axis=0) for state in states])
        decoded = self.decode(self.dropout(output, training=training))
        return ops.reshape(decoded, (-1, count * decoded.shape[-1]))[:, : self.horizon]


@keras.saving.register_keras_serializable(package="spline_lstm")
class SplineForecaster(keras.Model):
    """Forecasts a window from its spline segments; all rows (series, targets) share the weights.

    The window's last value is taken out and put back at the end. With `linear`, a fixed linear map
    of the window (set by `set_linear`) lies underneath, and the forecast is
    `linear + share * (mean of the members - linear)`.
    The members see their input and speak their output in units of their typical sizes.

    Args:
        lookback: Steps of the window.
        horizon: Steps of the forecast.
        rows: Number of rows; each has a learned embedding, as has the unknown one, 0.
        members: Steps that each member reads, `lookback` at most.
        segment: Steps per segment.
        coefficients: B-splines per segment of the window.
        degree: Of the splines.
        penalty: Of the splines' second differences.
        cell: A key of `CELLS`.
        units: Width of the recurrent state.
        dropout: Share of the decoder's state dropped in training.
        linear: Whether a linear forecast lies underneath.
        share: Of the members in the forecast, 0 to 1; without `linear` it is 1.
        input_scale: Typical size of a window's departures from its last value, standardized.
        output_scale: Typical size of the targets' departures from it, standardized.

    Inputs: `values`, `(batch, lookback)`, standardized; `missing`, `(batch, lookback)`, 1 where a
    value was filled; `rows`, `(batch,)`, integers from 0 to `rows`.
    Output shape: `(batch, horizon)`, standardized.
    """

    def __init__(
        self,
        *,
        lookback: int,
        horizon: int,
        rows: int,
        members: Sequence[int],
        segment: int,
        coefficients: int,
        degree: int,
        penalty: float,
        cell: str,
        units: int,
        dropout: float,
        linear: bool,
        share: float = 1.0,
        input_scale: float = 1.0,
        output_scale: float = 1.0,
        name: str = "forecaster",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.settings = {
            "lookback": lookback,
            "horizon": horizon,
            "rows": rows,
            "members": list(members),
            "segment": segment,
            "coefficients": coefficients,
            "degree": degree,
            "penalty": penalty,
            "cell": cell,
            "units": units,
            "dropout": dropout,
            "linear": linear,
            "input_scale": input_scale,
            "output_scale": output_scale,
        }
        self.lookback = lookback
        self.horizon = horizon
        self.rows = rows
        self.share = share
        self.input_scale = input_scale
        self.output_scale = output_scale
        segments = SplineSegments(segment, coefficients, degree, penalty, name="segments")
        self.members = [
            SegmentRecurrence(steps, horizon, rows, segments, cell, units, dropout, name=f"member_{number}")
            for number, steps in enumerate(members)
        ]
        self.linear = keras.layers.Dense(horizon, use_bias=False, trainable=False, name="linear") if linear else None
        self.build_all()

    def build_all(self) -> None:
        """Create every weight, so that a loaded model has the variables of a trained one."""
        values, rows = np.zeros((1, self.lookback), "float32"), np.zeros(1, "int32")
        self.member_forecasts(values, values, rows)
        if self.linear:
            self.linear(values)
        self.built = True

    def require_fit(self, lookback: int, horizon: int, rows: int) -> None:
        """Refuse windows of another shape, or of more rows, than the model was built for.

        Raises:
            ShapeError: They differ.
        """
        built = (self.lookback, self.horizon)
        if built != (lookback, horizon) or rows > self.rows:
            raise ShapeError(
                f"The model takes lookback and horizon of {built} and {self.rows} rows. "
                f"Received: {(lookback, horizon)} and {rows}. Run `dvc repro`, which trains a model for this data."
            )

    def set_linear(self, kernel: np.ndarray) -> None:
        """Set the linear forecast of level-free windows: `(lookback, horizon)`."""
        assert self.linear is not None
        self.linear.set_weights([kernel])

    def member_forecasts(self, values: Any, missing: Any, rows: Any, training: bool = False) -> list[Any]:
        """What each member adds to the level of level-free windows, standardized: `(batch, horizon)` each."""
        return [
            member(values / self.input_scale, missing, rows, training=training) * self.output_scale
            for member in self.members
        ]

    def call(self, values: Any, missing: Any, rows: Any, training: bool = False) -> Any:
        level = values[:, -1:]
        values = values - level
        linear = self.linear(values) if self.linear else 0.0
        if self.share == 0:
            return level + linear
        forecasts = self.member_forecasts(values, missing, rows, training=training)
        return level + linear + self.share * (sum(forecasts) / len(forecasts) - linear)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.settings, "share": self.share}


def _embedding(count: int, units: int, name: str) -> keras.layers.Embedding:
    return keras.layers.Embedding(count, units, keras.initializers.RandomNormal(0.0, 1.0), name=name)
