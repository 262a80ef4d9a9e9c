"""Exponential smoothing is what textbooks write, the best of what is tried is taken, and Keras says the same."""

from itertools import product

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import ragged_source
from test_folded import NOTHING, SEASON, seasonal, windows_between

from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.holt_winters import LEVELS, SEASONS, TRENDS, Smoothing, fit_holt_winters, smoothed
from spline_lstm.model.linear import RidgeForecaster
from spline_lstm.model.training import predict

HORIZON, CYCLES = 12, 6


def of_one_window(past, season, horizon, smoothing):
    """Component form, one value after the other (Hyndman & Athanasopoulos 2021, section 8.3)."""
    first = past[: min(3, len(past) // season) * season].reshape(-1, season)
    level, trend = first[0].mean(), 0.0
    effects = list((first - first.mean(axis=1, keepdims=True)).mean(axis=0))
    for value in past:
        before, ahead = level, level + smoothing.damping * trend
        level = smoothing.level * (value - effects[-season]) + (1 - smoothing.level) * ahead
        trend = smoothing.trend * (level - before) + (1 - smoothing.trend) * smoothing.damping * trend
        effects.append(smoothing.season * (value - level) + (1 - smoothing.season) * effects[-season])
    damped = [sum(smoothing.damping**power for power in range(1, step + 1)) for step in range(1, horizon + 1)]
    return [level + damped[step] * trend + effects[-season + step % season] for step in range(horizon)]


rates = st.floats(0, 1)


@given(
    seed=st.integers(0, 999),
    season=st.integers(2, 6),
    cycles=st.integers(1, 5),
    horizon=st.integers(1, 14),
    some=st.lists(st.builds(Smoothing, rates, rates, rates, rates), min_size=1, max_size=3),
)
@settings(max_examples=60)
def test_windows_are_smoothed_as_the_textbook_writes(seed, season, cycles, horizon, some):
    past = np.random.default_rng(seed).normal(size=(2, cycles * season))
    together = Smoothing(*np.array([list(vars(each).values()) for each in some]).T)

    steps = np.stack(list(smoothed(past, season, horizon, together)))

    for (window, values), (number, smoothing) in product(enumerate(past), enumerate(some)):
        expected = of_one_window(values, season, horizon, smoothing)
        np.testing.assert_allclose(steps[:, window, number], expected, atol=1e-9)


def rows_and_splits(missing=0.0):
    rng = np.random.default_rng(0)
    source = ragged_source(
        [seasonal(rng, 300, missing), seasonal(rng, 200, missing)], (0, 40), (SEASON,), 20, HORIZON, 3.0
    )
    return source, windows_between(source, 0, 170), windows_between(source, 180, 250)


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_the_smoothing_is_the_one_that_errs_least_where_the_whole_past_is_there(missing):
    source, train, validation = rows_and_splits(missing)

    found = fit_holt_winters(source, train, validation, NOTHING, SEASON, CYCLES)

    longer = source.with_cycles(CYCLES, SEASON, NOTHING)
    errors = {}
    for level, trend, season in product(LEVELS, TRENDS, SEASONS):
        smoothing, error = Smoothing(level, *trend, season), 0.0
        for windows in (train, validation):
            judges = windows.at_most(128)
            cycles, mean, reach = longer.folded(judges.rows, judges.origins)
            whole = np.flatnonzero(reach == 1)
            past = (cycles.reshape(len(cycles), -1) + mean)[whole].astype(float)
            forecast = np.stack(list(smoothed(past, SEASON, HORIZON, smoothing)), axis=1)[:, :, 0]
            targets = source.outputs(judges.rows, judges.origins)[whole]
            error += len(windows) * np.nansum((forecast - targets) ** 2) / len(whole)
        errors[smoothing] = error
    best = min(errors, key=errors.get)
    past = np.random.default_rng(1).normal(size=CYCLES * SEASON)
    np.testing.assert_allclose(past @ found, of_one_window(past, SEASON, HORIZON, best), atol=1e-5)


def test_what_repeats_is_continued_whatever_the_smoothing():
    past = np.tile([4.0, 1.0, 7.0, -2.0, 0.0], CYCLES)
    tried = [Smoothing(level, *trend, season) for level, trend, season in product(LEVELS, TRENDS, SEASONS)]
    together = Smoothing(*np.array([list(vars(each).values()) for each in tried]).T)

    for step, forecast in enumerate(smoothed(past[None], 5, 10, together)):
        np.testing.assert_allclose(forecast, past[step], atol=1e-9)


def test_rows_of_which_none_shows_its_whole_past_are_smoothed_all_the_same():
    source, train, validation = rows_and_splits()

    found = fit_holt_winters(source, train, validation, NOTHING, SEASON, 100)

    assert np.isfinite(found).all()


def test_keras_forecasts_as_the_recursion_does_and_leaves_the_rest_to_the_ridge():
    source, windows, _ = rows_and_splits(0.1)
    keras.utils.set_random_seed(1)
    smoothing = Smoothing(0.3, 0.1, 0.9, 0.2)
    kernel = np.stack(list(smoothed(np.eye(CYCLES * SEASON), SEASON, HORIZON, smoothing)), axis=1)[:, :, 0]
    ridge = RidgeForecaster(np.random.default_rng(1).normal(size=(20, HORIZON)).astype("f"), NOTHING, 0.1)
    model = SplineForecaster(
        lookback=20, horizon=HORIZON, rows=2, past=0, known=0, calendar=0, static=0, members=[20], segment=5,
        coefficients=3, degree=3, penalty=0.1, cell="gru", units=4, dropout=0.0, linear=True, cycles=CYCLES,
        season=SEASON, shares={"holt_winters": 1.0},
    )  # fmt: skip
    model.set_linear(ridge)
    model.set_holt_winters(kernel.astype("f"))
    rows, origins = windows.rows, windows.origins

    forecast = predict(model, source, rows, origins)

    reach = np.minimum((origins - source.targets.starts[rows] + 1) / (CYCLES * SEASON), 1)
    beside = ridge.predict(source, rows, origins)
    cycles, mean, _ = source.with_cycles(CYCLES, SEASON, NOTHING).folded(rows, origins)
    for window, past in enumerate(cycles.reshape(len(cycles), -1) + mean):
        alone = of_one_window(past.astype(float), SEASON, HORIZON, smoothing)
        expected = reach[window] * np.array(alone) + (1 - reach[window]) * beside[window]
        np.testing.assert_allclose(forecast[window], expected, atol=1e-4)
