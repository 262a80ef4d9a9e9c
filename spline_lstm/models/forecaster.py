"""The forecaster: a recurrence over spline segments, decoded in parallel, above a linear forecast."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from spline_lstm.errors import ShapeError
from spline_lstm.splines import bspline_basis, penalized_operator

CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


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


@keras.saving.register_keras_serializable(package="spline_lstm")
class SplineSynthesis(keras.layers.Layer):
    """Evaluates B-splines: coefficients of segments become values of consecutive steps.

    Args:
        segment: Steps per segment. A positive integer.
        coefficients: B-splines per segment. A positive integer.
        degree: Of the splines.

    Input shape: `(batch, segments, coefficients)`.
    Output shape: `(batch, segments * segment)`.
    """

    def __init__(self, segment: int, coefficients: int, degree: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.segment = segment
        self.coefficients = coefficients
        self.degree = degree
        self._basis = bspline_basis(segment, coefficients, degree).T.astype("float32")

    def call(self, inputs: Any) -> Any:
        return ops.reshape(ops.matmul(inputs, self._basis), (-1, inputs.shape[1] * self.segment))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "segment": self.segment,
            "coefficients": self.coefficients,
            "degree": self.degree,
        }


@keras.saving.register_keras_serializable(package="spline_lstm")
class SplineForecaster(keras.Model):
    """Forecasts a window from its spline segments; all rows (series, targets) share the weights.

    The window's last value is taken out and put back at the end. With `linear`, a fixed affine map
    of the window (set by `set_linear`) forecasts first and the recurrence learns its residual.
    The recurrence sees its input and speaks its output in units of their typical sizes.

    Args:
        lookback: Steps of the window.
        horizon: Steps of the forecast.
        rows: Number of rows; each has a learned embedding.
        segment: Steps per segment.
        coefficients: B-splines per segment of the window, and per segment of the horizon.
        degree: Of the splines.
        penalty: Of the splines' second differences.
        cell: `"lstm"` or `"gru"`.
        units: Width of the recurrent state.
        dropout: Share of the decoder's state dropped in training.
        linear: Whether a linear forecast lies underneath.
        input_scale: Typical size of a window's departures from its last value, standardized.
        output_scale: Typical size of what the recurrence has to add, standardized.

    Inputs: `values`, `(batch, lookback)`, standardized; `missing`, `(batch, lookback)`, 1 where a
    value was filled; `rows`, `(batch,)`, integers.
    Output shape: `(batch, horizon)`, standardized.
    """

    def __init__(
        self,
        *,
        lookback: int,
        horizon: int,
        rows: int,
        segment: int,
        coefficients: int,
        degree: int,
        penalty: float,
        cell: str,
        units: int,
        dropout: float,
        linear: bool,
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
        self.input_scale = input_scale
        self.output_scale = output_scale
        self.horizon = horizon
        self.horizon_segments = -(-horizon // segment)
        out_segment = -(-horizon // self.horizon_segments)
        out_coefficients = min(coefficients, out_segment)

        # Every name is given: Keras numbers layers by process, and the numbers would show in checkpoints.
        self.segments = SplineSegments(segment, coefficients, degree, penalty, name="segments")
        self.encode = keras.layers.Dense(units, activation="relu", name="encode")
        self.recurrence = CELLS[cell](units, return_state=True, name="recurrence")
        self.position = _embedding(self.horizon_segments, units, "position")
        self.row = _embedding(rows, units, "row")
        self.dropout = keras.layers.Dropout(dropout, name="dropout")
        # Starting at zero, the recurrence departs from the linear forecast only as far as it helps.
        start = "zeros" if linear else "glorot_uniform"
        self.decode = keras.layers.Dense(out_coefficients, kernel_initializer=start, name="decode")
        self.synthesis = SplineSynthesis(out_segment, out_coefficients, degree, name="synthesis")
        self.linear = keras.layers.Dense(horizon, trainable=False, name="linear") if linear else None
        self.build_all()

    def build_all(self) -> None:
        """Create every weight, so that a loaded model has the variables of a trained one."""
        zeros = np.zeros((1, self.lookback), "float32")
        self(zeros, zeros, np.zeros(1, "int32"))

    def require_fit(self, lookback: int, horizon: int, rows: int) -> None:
        """Refuse windows of another shape than the model was built for.

        Raises:
            ShapeError: They differ.
        """
        built = tuple(self.settings[name] for name in ("lookback", "horizon", "rows"))
        if built != (lookback, horizon, rows):
            raise ShapeError(
                f"The model takes lookback, horizon and rows of {built}. Received: {(lookback, horizon, rows)}. "
                "Run `dvc repro`, which trains a model for this data."
            )

    def set_linear(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        """Set the linear forecast: `(lookback, horizon)` and `(horizon,)`, of level-free windows."""
        assert self.linear is not None
        self.linear.set_weights([kernel, bias])

    def call(self, values: Any, missing: Any, rows: Any, training: bool = False) -> Any:
        level = values[:, -1:]
        levelled = values - level
        encoded = self.encode(self.segments(ops.stack([levelled / self.input_scale, missing], axis=-1)))
        _, *states = self.recurrence(encoded)
        decoded = self._decode(states, rows, training)
        forecast = self.synthesis(decoded)[:, : self.horizon] * self.output_scale + level
        return forecast + self.linear(levelled) if self.linear else forecast

    def _decode(self, states: list[Any], rows: Any, training: bool) -> Any:
        """One more cell step for every horizon segment at once, each from the window's final state."""
        count, units = self.horizon_segments, self.settings["units"]
        queries = self.position(ops.arange(count))[None] + self.row(rows)[:, None]
        repeated = [ops.repeat(state, count, axis=0) for state in states]
        output, _ = self.recurrence.cell(ops.reshape(queries, (-1, units)), repeated)
        return self.decode(self.dropout(ops.reshape(output, (-1, count, units)), training=training))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.settings}


def _embedding(count: int, units: int, name: str) -> keras.layers.Embedding:
    return keras.layers.Embedding(count, units, keras.initializers.RandomNormal(0.0, 1.0), name=name)
