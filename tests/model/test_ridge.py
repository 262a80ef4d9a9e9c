"""The closed form solves the ridge problem of the observed targets, and nothing else."""

import numpy as np
import pytest
from sources import ragged_source, source_of

from spline_lstm.data.windows import Splits, index_windows
from spline_lstm.model import ridge as ridge_module
from spline_lstm.model.linear import RidgeForecaster
from spline_lstm.model.ridge import PENALTIES, fit_ridge, refit_ridge, typical_sizes

LOOKBACK, HORIZON = 6, 3
NO_EFFECTS = np.zeros((1, 0))


def noisy_rows(time=400, rows=2, seed=0):
    rng = np.random.default_rng(seed)
    clock = np.arange(time)
    return np.stack([np.sin(clock / (3 + row)) + 0.3 * rng.normal(size=time) for row in range(rows)])


def prepared(rows, starts=None, lookback=LOOKBACK, horizon=HORIZON):
    starts = starts or [0] * len(rows)
    source = ragged_source(rows, starts, (), lookback, horizon)
    time = int(source.layout.ends.max())
    splits = Splits(int(0.6 * time), int(0.8 * time), time)
    return source, *(index_windows(source, splits, name, 3, 0.5) for name in ("train", "validation"))


def level_free(source, windows):
    inputs = source.inputs(windows.rows, windows.origins).astype(float)
    outputs = source.outputs(windows.rows, windows.origins).astype(float)
    return inputs - inputs[:, -1:], outputs - inputs[:, -1:]


def forecast_of(ridge, window):
    """The forecast of windows by themselves."""
    source = source_of(window, lookback=LOOKBACK, horizon=HORIZON)
    return ridge.predict(source, np.arange(len(window)), np.full(len(window), LOOKBACK - 1))


def exact_solution(x, y, penalty):
    """Normal equations of each horizon step over its observed targets.

    The penalty is a share of the mean square of an input, of all windows whether their target was observed or not.
    """
    strength = penalty * np.mean(x**2) * len(x)
    kernel = np.empty((x.shape[1], y.shape[1]))
    for step, target in enumerate(y.T):
        seen = x[~np.isnan(target)]
        # The last input is always zero once the level is out: lstsq gives it no weight.
        gram = seen.T @ seen + strength * np.eye(x.shape[1])
        kernel[:, step] = np.linalg.lstsq(gram, seen.T @ target[~np.isnan(target)], rcond=None)[0]
    return kernel


def test_the_fit_solves_the_normal_equations_of_all_windows():
    source, train, validation = prepared(noisy_rows())

    ridge = fit_ridge(source, train, validation)

    np.testing.assert_allclose(ridge.kernel, exact_solution(*level_free(source, train), ridge.penalty), atol=1e-4)


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_fitting_again_solves_those_of_other_windows_with_the_penalty_that_was_chosen(missing):
    rows = noisy_rows()
    rows[np.random.default_rng(1).random(rows.shape) < missing] = np.nan
    source, train, validation = prepared(rows)
    everything = index_windows(source, Splits(240, 320, 400), "all", 3, 0.5)
    ridge = fit_ridge(source, train, validation)

    again = refit_ridge(source, everything, ridge)

    assert again.penalty == ridge.penalty
    expected = exact_solution(*level_free(source, everything), ridge.penalty)
    np.testing.assert_allclose(again.kernel, expected, atol=1e-4 if not missing else 5e-3)
    assert np.abs(again.kernel - ridge.kernel).max() > 1e-3


def test_rows_of_unequal_length_count_by_their_windows():
    long, late = noisy_rows()
    short = noisy_rows(time=120, rows=1, seed=1)[0]
    source, train, validation = prepared([long, short, late[:250]], starts=[0, 90, 150])
    # Each row has the train windows that lie within it and before step 240.
    assert np.bincount(train.rows).tolist() == [240 - 8, 120 - 8, 240 - 150 - 8]
    assert set(validation.rows) == {0, 2}

    ridge = fit_ridge(source, train, validation)

    np.testing.assert_allclose(ridge.kernel, exact_solution(*level_free(source, train), ridge.penalty), atol=1e-4)


def test_more_windows_than_one_chunk_change_nothing_but_time(monkeypatch):
    monkeypatch.setattr(ridge_module, "CHUNK_FLOATS", 100 * (LOOKBACK + HORIZON))
    source, train, validation = prepared(noisy_rows())
    assert len(train) > 400

    ridge = fit_ridge(source, train, validation)

    np.testing.assert_allclose(ridge.kernel, exact_solution(*level_free(source, train), ridge.penalty), atol=1e-4)


def test_missing_targets_have_no_weight():
    values = noisy_rows(time=600)
    values[np.random.default_rng(1).random(values.shape) < 0.15] = np.nan
    values[0, 100:130] = np.nan
    source, train, validation = prepared(values)
    assert np.isnan(source.outputs(train.rows, train.origins)).mean() > 0.15

    ridge = fit_ridge(source, train, validation)

    kernel = exact_solution(*level_free(source, train), ridge.penalty)
    # Each of the four passes leaves about the missing share, a fifth, of the error of the first guess.
    first_guess = exact_solution(*(np.nan_to_num(part) for part in level_free(source, train)), ridge.penalty)
    assert np.abs(ridge.kernel - kernel).max() < 0.01 * np.abs(first_guess - kernel).max()


@pytest.mark.parametrize(
    "recurrence",
    [
        lambda clock: np.sin(clock / 3),
        lambda clock: np.sin(clock / 2) + np.cos(clock * 1.7),
    ],
    ids=["sine", "two sines"],
)
def test_a_linear_recurrence_without_noise_is_forecast_exactly(recurrence):
    source, train, validation = prepared(recurrence(np.arange(400))[None], lookback=12, horizon=5)

    forecast = fit_ridge(source, train, validation).predict(source, validation.rows, validation.origins)

    # The least penalty shrinks by parts in ten thousand.
    np.testing.assert_allclose(forecast, source.outputs(validation.rows, validation.origins), atol=2e-3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("time", [60, 400])
def test_the_penalty_has_the_least_validation_error(seed, time):
    source, train, validation = prepared(noisy_rows(time, seed=seed), lookback=12)
    x, y = level_free(source, train)
    x_validation, y_validation = level_free(source, validation)

    errors = []
    for penalty in PENALTIES:
        errors.append(np.sum((x_validation @ exact_solution(x, y, penalty) - y_validation) ** 2))

    chosen = int(np.argmin(np.abs(PENALTIES - fit_ridge(source, train, validation).penalty)))
    assert errors[chosen] <= min(errors) * (1 + 1e-4)


def test_a_series_without_variation_in_train_is_forecast_by_its_level():
    values = np.zeros((1, 100))
    values[0, 80:] = np.arange(20)
    source, train, validation = prepared(values)

    forecast = forecast_of(fit_ridge(source, train, validation), np.full((1, LOOKBACK), 5.0))

    np.testing.assert_allclose(forecast, np.full((1, HORIZON), 5), atol=1e-6)


def test_a_forecast_moves_with_the_level_of_its_window():
    rng = np.random.default_rng(0)
    ridge = RidgeForecaster(rng.normal(size=(LOOKBACK, HORIZON)), NO_EFFECTS, 0.1)
    window = rng.normal(size=(4, LOOKBACK))

    np.testing.assert_allclose(forecast_of(ridge, window + 100), forecast_of(ridge, window) + 100, rtol=1e-6)


def test_a_window_upside_down_is_forecast_upside_down():
    source, train, validation = prepared(noisy_rows())
    ridge = fit_ridge(source, train, validation)
    window = np.random.default_rng(0).normal(size=(4, LOOKBACK))

    np.testing.assert_allclose(forecast_of(ridge, -window), -forecast_of(ridge, window), atol=1e-6)


def test_typical_sizes_are_root_mean_squares_of_departures_from_the_level():
    values = noisy_rows()
    values[0, 50:55] = np.nan
    source, train, _ = prepared(values)
    x, y = level_free(source, train)

    assert typical_sizes(source, train, NO_EFFECTS) == pytest.approx(
        (np.sqrt(np.mean(x**2)), np.sqrt(np.nanmean(y**2))), rel=1e-4
    )


def test_a_size_of_zero_becomes_one():
    source, train, _ = prepared(np.zeros((1, 100)))

    assert typical_sizes(source, train, NO_EFFECTS) == (1, 1)
