"""The forecaster: a recurrence over spline segments, decoded in parallel, mixed with a linear forecast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from spline_lstm.data.lags import lag_operator
from spline_lstm.data.windows import Windows, WindowSource
from spline_lstm.model.folded import FoldedRidge
from spline_lstm.model.linear import RidgeForecaster
from spline_lstm.model.splines import bspline_basis, penalized_operator
from spline_lstm.run.errors import ShapeError
from spline_lstm.run.params import CELLS

OUTLINE = 4  # B-splines per segment of a known covariate


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
        segments: The spline representation of values, missing marks and past covariates in a window.
        cell: A key of `CELLS`.
        units: Width of the recurrent state, 2 or more.
        dropout: Share of the decoder's state dropped in training.
        channels: How many covariates there are of each role.

    Inputs: `Windows` whose lookback is this one's or longer, level-free, with `calendar` only at the first step of
    each horizon segment.
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
        channels: Mapping[str, int],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lookback = lookback
        self.horizon = horizon
        self.segments = segments
        self.horizon_segments = -(-horizon // segments.segment)
        self.steps = -(-horizon // self.horizon_segments)  # of a horizon segment
        known = channels["known"] > 0
        self.outlines = _outlines(segments, segments.segment, "outlines") if known else None
        self.outlines_ahead = _outlines(segments, self.steps, "outlines_ahead") if known else None
        # Every name is given: Keras numbers layers by process, and the numbers would show in checkpoints.
        self.encode = keras.layers.Dense(units, activation="relu", name="encode")
        self.recurrence = getattr(keras.layers, CELLS[cell])(units, return_state=True, name="recurrence")
        self.position = _embedding(self.horizon_segments, units - units // 2, "position")
        self.row = _embedding(rows + 1, units // 2, "row")
        around = known or channels["calendar"] or channels["static"]
        self.surroundings = keras.layers.Dense(units, name="surroundings") if around else None
        self.dropout = Dropout(dropout, name="dropout")
        self.decode = keras.layers.Dense(self.steps, name="decode")

    def call(self, windows: Windows, training: bool = False) -> Any:
        seen = ops.stack([windows.values, windows.missing], axis=-1)
        seen = ops.concatenate([seen, windows.past], axis=-1) if windows.past.shape[-1] else seen
        read = self.segments(seen[:, -self.lookback :])
        steps = windows.values.shape[1]
        if self.outlines:
            around = self.outlines(windows.known[:, steps - self.lookback : steps])
            read = ops.concatenate([read, around], axis=-1)
        _, *states = self.recurrence(self.encode(read))
        # One more cell step for every horizon segment, each from the window's final state.
        count = self.horizon_segments
        states = [ops.repeat(state, count, axis=0) for state in states]
        output, _ = self.recurrence.cell(self._queries(windows), states)
        decoded = self.decode(self.dropout(output, training=training))
        return ops.reshape(decoded, (-1, count * decoded.shape[-1]))[:, : self.horizon]

    def _queries(self, windows: Windows) -> Any:
        """What each horizon segment asks with: `(batch * segments, units)`."""
        count = self.horizon_segments
        positions = ops.tile(self.position(ops.arange(count)), (ops.shape(windows.rows)[0], 1))
        queries = ops.concatenate([positions, ops.repeat(self.row(windows.rows), count, axis=0)], axis=-1)
        if self.surroundings is None:
            return queries
        around = [ops.repeat(windows.static, count, axis=0)]
        if self.outlines_ahead:
            ahead = windows.known[:, -self.horizon :]
            surplus = count * self.steps - self.horizon
            outlined = self.outlines_ahead(ops.pad(ahead, ((0, 0), (0, surplus), (0, 0))))
            around.append(ops.reshape(outlined, (-1, outlined.shape[-1])))
        if windows.calendar.shape[-1]:
            around.append(ops.reshape(windows.calendar, (-1, windows.calendar.shape[-1])))
        return queries + self.surroundings(ops.concatenate(around, axis=-1))


class KnownEffects(keras.layers.Layer):
    """The linear effect of what is known in advance, set by `RidgeForecaster`; see `Covariates.effect`."""

    def __init__(self, features: int, static: int, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        shape = 1 + static, features
        self.effects = self.add_weight(shape=shape, initializer="zeros", name="effects", trainable=False)

    def call(self, windows: Windows) -> Any:
        slopes = self.effects[0] + ops.matmul(windows.static, self.effects[1:])
        in_advance = ops.concatenate([windows.known, windows.delayed, windows.calendar], axis=-1)
        return ops.einsum("wsk,wk->ws", in_advance, slopes)


@keras.saving.register_keras_serializable(package="spline_lstm")
class SplineForecaster(keras.Model):
    """Forecasts a window from its spline segments; all rows (series, targets) share the weights.

    The effects of known covariates and then the window's last value are taken out and put back at the end. With
    `linear`, a fixed linear map (set, like the effects, by `set_linear`) lies underneath, and with `cycles` two others
    of a longer past (set by `set_folded` and `set_holt_winters`), as far as that past reaches. The forecast is the sum
    of the `experts`, each times its share. The members see their input and speak their output in units of their
    typical sizes.

    Args:
        lookback: Steps of the window.
        horizon: Steps of the forecast.
        rows: Number of rows; each has a learned embedding, as has the unknown one, 0.
        past: Number of past covariates.
        known: Number of known covariates.
        calendar: Number of those that all series share.
        delayed: Number of features that say what known covariates were earlier.
        static: Number of static covariates.
        members: Steps that each member reads, `lookback` at most.
        segment: Steps per segment.
        coefficients: B-splines per segment of the window.
        degree: Of the splines.
        penalty: Of the splines' second differences.
        cell: A key of `CELLS`.
        units: Width of the recurrent state.
        dropout: Share of the decoder's state dropped in training.
        linear: Whether a linear forecast lies underneath.
        cycles: Of the longer past, 2 or more; 0 for none. The folded map reads one less, see `FoldedRidge.seen`.
        season: Steps of a cycle, not always whole.
        shares: Of each expert in the forecast, by its name; they sum to one. None: the members alone.
        input_scale: Typical size of a window's departures from its last value, standardized.
        output_scale: Typical size of the targets' departures from it, standardized.

    Inputs: `Windows`, standardized.
    Output shape: `(batch, horizon)`, standardized.
    """

    def __init__(
        self,
        *,
        lookback: int,
        horizon: int,
        rows: int,
        past: int,
        known: int,
        calendar: int,
        static: int,
        members: Sequence[int],
        segment: int,
        coefficients: int,
        degree: int,
        penalty: float,
        cell: str,
        units: int,
        dropout: float,
        linear: bool,
        delayed: int = 0,
        cycles: int = 0,
        season: float = 1,
        shares: Mapping[str, float] | None = None,
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
            "past": past,
            "known": known,
            "delayed": delayed,
            "calendar": calendar,
            "static": static,
            "members": list(members),
            "segment": segment,
            "coefficients": coefficients,
            "degree": degree,
            "penalty": penalty,
            "cell": cell,
            "units": units,
            "dropout": dropout,
            "linear": linear,
            "cycles": cycles,
            "season": float(season),
            "input_scale": input_scale,
            "output_scale": output_scale,
        }
        self.lookback = lookback
        self.horizon = horizon
        self.rows = rows
        self.channels = {"past": past, "known": known, "delayed": delayed, "calendar": calendar, "static": static}
        self.cycles = cycles
        self.season = season
        self.phases = round(season)
        self.shares = dict(shares or {"members": 1.0})
        self.input_scale = input_scale
        self.output_scale = output_scale
        segments = SplineSegments(segment, coefficients, degree, penalty, name="segments")
        shared = (segments, cell, units, dropout, self.channels)
        self.members = [
            SegmentRecurrence(steps, horizon, rows, *shared, name=f"member_{number}")
            for number, steps in enumerate(members)
        ]
        in_advance = known + delayed + calendar
        self.effects = KnownEffects(in_advance, static, name="effects") if in_advance else None
        ahead = -(-horizon // self.phases)
        fixed = {"use_bias": False, "trainable": False}
        self.linear = keras.layers.Dense(horizon, name="linear", **fixed) if linear else None
        self.folded = keras.layers.Dense(ahead, name="folded", **fixed) if cycles else None
        self.correction = keras.layers.Dense(horizon, name="correction", **fixed) if cycles else None
        self.holt_winters = keras.layers.Dense(horizon, name="holt_winters", **fixed) if cycles else None
        self.build_all()

    def build_all(self) -> None:
        """Create every weight, so that a loaded model has the variables of a trained one."""
        past, *in_advance, static = self.channels.values()
        steps = self.lookback + self.horizon
        shapes = [(self.lookback,)] * 2 + [(self.lookback, past), *((steps, width) for width in in_advance), (static,)]
        nothing = [np.zeros((1, *shape), "float32") for shape in shapes]
        longer = [np.zeros((1, *shape), "float32") for shape in [(self.cycles, self.phases), (1,), (1,)]]
        windows, _, _ = self._level_free(Windows(*nothing, np.zeros(1, "int32"), *longer))  # type: ignore[call-arg]
        self.member_forecasts(windows)
        if self.linear:
            self.linear(self._linear_inputs(windows))
        if self.folded:
            self.folded_forecast(windows)
            self.holt_winters_forecast(windows)
        self.built = True

    def require_fit(self, source: WindowSource, rows: int) -> None:
        """Refuse windows of another shape, or of more rows, than the model was built for.

        Raises:
            ShapeError: They differ.
        """
        built = {"lookback": self.lookback, "horizon": self.horizon, **self.channels}
        given = {"lookback": source.lookback, "horizon": source.horizon, **source.covariates.channels}
        if built != given or rows > self.rows:
            raise ShapeError(
                f"The model takes {built} and {self.rows} rows. "
                f"Received: {given} and {rows}. Run `dvc repro`, which trains a model for this data."
            )

    def set_linear(self, ridge: RidgeForecaster) -> None:
        """Set the effects and the linear forecast."""
        if self.effects:
            self.effects.set_weights([ridge.effects])
        if self.linear:
            self.linear.set_weights([ridge.kernel])

    def set_folded(self, folded: FoldedRidge) -> None:
        """Set the forecast from the folded past."""
        assert self.folded is not None
        assert self.correction is not None
        self.folded.set_weights([folded.kernel])
        self.correction.set_weights([folded.correction])

    def set_holt_winters(self, kernel: np.ndarray) -> None:
        """Set the forecast by exponential smoothing, see `fit_holt_winters`."""
        assert self.holt_winters is not None
        self.holt_winters.set_weights([kernel])

    def known_effects(self) -> np.ndarray:
        """`(1 + static, known + delayed + calendar)`, see `Covariates.effect`."""
        return self.effects.effects.numpy() if self.effects else np.zeros((1 + self.channels["static"], 0), np.float32)

    @property
    def segment_starts(self) -> np.ndarray:
        """The first step of each horizon segment, from 0."""
        first = self.members[0]
        return np.arange(first.horizon_segments) * first.steps

    def member_forecasts(self, windows: Windows, training: bool = False) -> list[Any]:
        """What each member adds to the level of level-free windows, standardized: `(batch, horizon)` each."""
        windows = windows._replace(values=windows.values / self.input_scale)
        return [member(windows, training=training) * self.output_scale for member in self.members]

    def folded_forecast(self, windows: Windows) -> Any:
        """From the folded past, without the effects of known covariates: `(batch, horizon)`, standardized."""
        assert self.folded is not None
        assert self.correction is not None
        cycles = ops.transpose(windows.cycles, (0, 2, 1))
        ahead = ops.transpose(self.folded(cycles[:, :, 1:]), (0, 2, 1))
        ahead = ops.reshape(ahead, (-1, ahead.shape[1] * self.phases))
        missed = cycles[:, :, -1] - self.folded(cycles[:, :, :-1])[:, :, 0]
        return ahead[:, : self.horizon] + self.correction(missed) + windows.level

    def holt_winters_forecast(self, windows: Windows) -> Any:
        """By exponential smoothing of the longer past, without known effects: `(batch, horizon)`, standardized."""
        assert self.holt_winters is not None
        return self.holt_winters(ops.reshape(windows.cycles, (-1, self.cycles * self.phases))) + windows.level

    def experts(self, windows: Windows, training: bool = False) -> dict[str, Any]:
        """What is mixed: `linear`, `members` and, where a longer past is seen, `folded` and `holt_winters`.

        Returns:
            `(batch, horizon)` each, standardized.
        """
        windows, level, ahead = self._level_free(windows)
        linear = level + ahead + (self.linear(self._linear_inputs(windows)) if self.linear else 0.0)
        forecasts = self.member_forecasts(windows, training=training)
        experts = {"linear": linear, "members": level + ahead + sum(forecasts) / len(forecasts)}
        if self.cycles:
            longer = {"folded": self.folded_forecast, "holt_winters": self.holt_winters_forecast}
            for name, forecast in longer.items():
                experts[name] = linear + windows.reach * (ahead + forecast(windows) - linear)
        return experts

    @cached_property
    def compiled_experts(self) -> Callable[[Windows], dict[str, Any]]:
        """`experts`, compiled once for all windows and shares."""
        return tf.function(self.experts, jit_compile=True, autograph=False)

    def mixed(self, experts: Mapping[str, Any]) -> Any:
        """The forecast: experts by their shares."""
        return sum(self.shares.get(name, 0.0) * forecast for name, forecast in experts.items())

    def call(self, windows: Windows, training: bool = False) -> Any:
        return self.mixed(self.experts(windows, training=training))

    def _level_free(self, windows: Windows) -> tuple[Windows, Any, Any]:
        """As `Remainder.level_free`, with what the members see beside the values."""
        values, ahead = windows.values, 0.0
        if self.effects:
            effect = self.effects(windows)
            values, ahead = values - effect[:, : self.lookback], effect[:, self.lookback :]
        level = values[:, -1:]
        starts = self.lookback + self.segment_starts
        calendar = ops.take(windows.calendar, starts, axis=1)
        return windows._replace(values=values - level, calendar=calendar), level, ahead

    def _linear_inputs(self, windows: Windows) -> Any:
        if not self.channels["past"]:
            return windows.values
        splines = ops.matmul(ops.transpose(windows.past, (0, 2, 1)), lag_operator(self.lookback))
        splines = ops.reshape(splines, (-1, splines.shape[1] * splines.shape[2]))
        return ops.concatenate([windows.values, splines], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.settings, "shares": self.shares}


def _embedding(count: int, units: int, name: str) -> keras.layers.Embedding:
    return keras.layers.Embedding(count, units, keras.initializers.RandomNormal(0.0, 1.0), name=name)


def _outlines(segments: SplineSegments, steps: int, name: str) -> SplineSegments:
    """A representation of known covariates, whose sharp effects are taken out already, by few splines."""
    return SplineSegments(steps, min(OUTLINE, steps), segments.degree, segments.penalty, name=name)
