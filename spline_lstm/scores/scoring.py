"""A trained forecaster on the windows of a prepared run: forecasts with intervals, and scores beside the baselines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spline_lstm.data.calendar import DAY, hours_of_day
from spline_lstm.data.prepared import Prepared
from spline_lstm.data.windows import WindowIndex
from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.ridge import fit_ridge
from spline_lstm.model.training import predict
from spline_lstm.scores.baselines import baseline_forecasts
from spline_lstm.scores.evaluation import errors, evaluate_forecasts
from spline_lstm.scores.forecasts import Forecasts
from spline_lstm.scores.intervals import Certainty, Misses, choose_power
from spline_lstm.scores.metrics import mase_scale
from spline_lstm.scores.miss_scale import HOURS, MissScale, heights, hourly_misses, target_hours


def forecast_test(
    prepared: Prepared, model: SplineForecaster, levels: tuple[float, ...], units: np.ndarray
) -> tuple[Forecasts, Certainty, dict[str, float]]:
    """Forecasts of the test windows.

    Args:
        prepared: With the covariates that the model was given.
        model: Trained.
        levels: Coverage of the intervals.
        units: `(rows,)`, what errors are divided by.

    Returns:
        The forecasts in original units; what their intervals are made from; errors on validation windows.
    """
    model.require_fit(prepared.source, prepared.source.trained)
    validation, test = prepared.windows("validation"), prepared.windows("test")
    scaled = _predicted(prepared, model, validation)
    y_pred = prepared.restore(scaled, validation.rows, validation.origins)
    unit = units[validation.rows, None]
    beyond = errors(prepared.targets(validation) / unit, y_pred / unit)
    missed = _misses(prepared, validation, scaled)
    start, end = prepared.splits.bounds("validation")
    hours = hours_of_day(prepared.timestamps, prepared.settings.timezone)
    scale = _scale(prepared, missed, hours, choose_power(missed, end - start))
    missed = _in_proportion(missed, scale, hours)

    scaled = _predicted(prepared, model, test)
    later = _in_proportion(_misses(prepared, test, scaled), scale, hours)
    certainty = Certainty(missed.followed_by(later), scale, levels, end - start)
    filled = prepared.source.filled
    open_steps = filled.open_steps(prepared.layout.positions(later.rows, later.origins))
    widths = certainty.half_widths(later, open_steps)
    ends = [prepared.restore(scaled[:, None] + sign * widths, later.rows, later.origins) for sign in (-1, 1)]
    lower, upper = (np.moveaxis(end, 1, 0) for end in ends)
    y_pred = prepared.restore(scaled, later.rows, later.origins)
    test_forecasts = Forecasts(later.rows, later.origins, prepared.targets(test), y_pred, levels, lower, upper)
    return test_forecasts, certainty, beyond


def score_test(prepared: Prepared, test: Forecasts, units: np.ndarray) -> dict[str, Any]:
    """Tables of scores beside the baselines', as of `evaluate_forecasts`.

    Args:
        prepared: The run.
        test: Of all its test windows, in original units.
        units: `(rows,)`, what errors are divided by.
    """
    baselines, unit = baselines_of_test(prepared), units[test.rows, None]
    baselines = {name: baselines.pop(name) / unit for name in list(baselines)}
    scales = mase_scales(prepared) / units, prepared.spread / units
    return evaluate_forecasts(test.in_units(units), baselines, prepared.names, *scales)


def baselines_of_test(prepared: Prepared) -> dict[str, np.ndarray]:
    """What baselines forecast for the test windows, in original units: `(windows, horizon)` each, by their names."""
    windows = prepared.windows("test")
    ridge = fit_ridge(prepared.source, prepared.windows("train"), prepared.windows("validation"))
    scaled = baseline_forecasts(prepared.source, windows, prepared.settings.season, ridge)
    return {name: prepared.restore(scaled.pop(name), windows.rows, windows.origins) for name in list(scaled)}


def mase_scales(prepared: Prepared) -> np.ndarray:
    """`(rows,)`, what MASE divides errors by, original units."""
    train = prepared.source.targets.before(prepared.values, prepared.splits.train)
    return np.array([mase_scale(row, prepared.settings.season) for row in train])


def _predicted(prepared: Prepared, model: SplineForecaster, windows: WindowIndex) -> np.ndarray:
    return predict(model, prepared.source, windows.rows, windows.origins)


def _misses(prepared: Prepared, windows: WindowIndex, scaled: np.ndarray) -> Misses:
    """What forecasts of windows missed; their scales are heights."""
    rows, origins = windows.rows, windows.origins
    sizes = np.abs(prepared.source.outputs(rows, origins) - scaled)
    return Misses(rows, origins, sizes, heights(scaled, prepared.scaler.lowest[rows]))


def _scale(prepared: Prepared, missed: Misses, hours: np.ndarray, power: float) -> MissScale:
    """What misses of validation windows, whose scales are heights, are in proportion to."""
    hourly = np.ones((len(prepared.names), HOURS), np.float32)
    horizon = missed.sizes.shape[1]
    for row, own in missed.by_row():
        first, last = prepared.timestamps[[own.origins.min() + 1, own.origins.max() + horizon]]
        asked = target_hours(hours, own.origins, horizon)
        hourly[row] = hourly_misses(own.sizes / own.scales**power, asked, (last - first) / DAY)
    return MissScale(power, hourly)


def _in_proportion(missed: Misses, scale: MissScale, hours: np.ndarray) -> Misses:
    """The same with the run's scales in place of heights."""
    return replace(missed, scales=scale.of(missed.scales, missed.rows, missed.origins, hours))
