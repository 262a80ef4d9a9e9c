"""The regression finds what known covariates do, though what they leave remembers itself."""

import numpy as np
import pytest
from covariate_sources import HORIZON, LOOKBACK, source_with

from spline_lstm.data.windows import Splits, index_windows
from spline_lstm.model.effects import PENALTIES, fit_effects
from spline_lstm.model.ridge import fit_delays, fit_ridge

SPLITS = Splits(1000, 1250, 1500)
NO_KERNEL = np.zeros((LOOKBACK, HORIZON), np.float32)
SLOPES = np.array([[0.8, -0.5]])
INTERACTION = np.array([[0.8, -0.5], [0.4, 0.0]])


def generated(phi=0.0, slopes=SLOPES, rows=3, noise=0.3, seed=0, time=1500):
    """Series that are a level, the effects of two known covariates, and noise that remembers itself by `phi`."""
    rng = np.random.default_rng(seed)
    known = rng.normal(size=(rows, time + HORIZON, 2))
    static = rng.normal(size=(rows, len(slopes) - 1))
    shocks, left = rng.normal(size=(rows, time)), np.zeros((rows, time))
    for step in range(1, time):
        left[:, step] = phi * left[:, step - 1] + np.sqrt(1 - phi**2) * shocks[:, step]
    response = slopes[0] + static @ slopes[1:]
    values = rng.normal(size=(rows, 1)) + np.einsum("rtk,rk->rt", known[:, :time], response) + noise * left
    source = source_with(values, known, static)
    return source, *(index_windows(source, SPLITS, name, 3, 0.5) for name in ("train", "validation"))


def changes(source, windows):
    """One table of all: what covariates stand out from their values at the origin, and what targets do."""
    window = source.windows(windows.rows, windows.origins)
    change = (source.outputs(windows.rows, windows.origins) - window.values[:, -1:]).ravel().astype(float)
    ahead = window.known[:, LOOKBACK:] - window.known[:, [LOOKBACK - 1]]
    factors = np.column_stack([np.ones(len(ahead)), window.static])
    design = np.einsum("whk,ws->whsk", ahead, factors).reshape(change.size, -1).astype(float)
    return design, change


def ridge_regression(design, change, penalty):
    """Least squares with further rows that pull to zero."""
    strength = np.sqrt(penalty * np.sum(design**2) / design.shape[1])
    stacked = np.vstack([design, strength * np.eye(design.shape[1])])
    return np.linalg.lstsq(stacked, np.append(change, np.zeros(design.shape[1])), rcond=None)[0]


@pytest.mark.parametrize("slopes", [SLOPES, INTERACTION], ids=["plain", "with a static covariate"])
@pytest.mark.parametrize("seed", range(3))
def test_without_a_kernel_it_is_the_ridge_regression_of_changes_that_validation_likes_best(monkeypatch, slopes, seed):
    monkeypatch.setattr("spline_lstm.model.effects.MOST_WINDOWS", 10**6)
    source, train, validation = generated(phi=0.5, slopes=slopes, seed=seed)

    effects = fit_effects(source, train, validation, NO_KERNEL)

    candidates = [ridge_regression(*changes(source, train), penalty) for penalty in PENALTIES]
    design, change = changes(source, validation)
    best = min(candidates, key=lambda solution: np.sum((change - design @ solution) ** 2))
    np.testing.assert_allclose(effects, best.reshape(effects.shape), atol=1e-4)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("slopes", [SLOPES, INTERACTION], ids=["plain", "with a static covariate"])
def test_the_coefficients_come_back_whatever_the_noise_remembers(phi, slopes):
    source, train, validation = generated(phi, slopes, rows=6)

    ridge = fit_ridge(source, train, validation)

    np.testing.assert_allclose(ridge.effects, slopes, atol=0.02)


def seasonal(known, slope, time=1500):
    """A series that repeats itself every seven steps, and what one known covariate adds."""
    rng = np.random.default_rng(0)
    values = 2 * np.sin(2 * np.pi * np.arange(time) / 7) + 0.3 * rng.normal(size=time) + slope * known[:time]
    source = source_with(values[None], known[None, :, None])
    return source, *(index_windows(source, SPLITS, name, 3, 0.5) for name in ("train", "validation"))


@pytest.mark.parametrize("slope", [0.0, 0.5, -1.0, 3.0])
def test_a_covariate_that_repeats_as_the_series_does_is_not_taken_for_its_season(slope):
    steps = np.arange(1500 + HORIZON)
    known = np.sin(2 * np.pi * steps / 7) + 0.5 * np.random.default_rng(1).normal(size=len(steps))

    ridge = fit_ridge(*seasonal(known, slope))

    assert ridge.effects[0, 0] == pytest.approx(slope, abs=0.1)


@pytest.mark.parametrize("slope", [0.0, -3.0])
@pytest.mark.parametrize("period", [28, 37])
def test_an_event_that_no_validation_window_holds_keeps_the_effect_that_train_windows_tell(period, slope):
    known = np.zeros(1500 + HORIZON)
    known[19:950:period] = 1.0  # every 28 steps: always in the same phase of the season

    ridge = fit_ridge(*seasonal(known, slope))

    assert ridge.effects[0, 0] == pytest.approx(slope, abs=0.3)


def test_with_the_kernel_of_what_is_left_the_coefficients_are_closer():
    """As of Cochrane and Orcutt: what the past of the noise tells is no noise."""

    def misses(seed):
        source, train, validation = generated(phi=0.8, seed=seed, noise=3.0)
        kernels = NO_KERNEL, fit_ridge(source, train, validation).kernel
        return [np.abs(fit_effects(source, train, validation, kernel) - SLOPES).mean() for kernel in kernels]

    without, with_kernel = np.mean([misses(seed) for seed in range(6)], axis=0)

    assert with_kernel < 0.9 * without


def test_targets_that_were_not_observed_do_not_count():
    source, train, validation = generated()
    rng = np.random.default_rng(1)
    values = source.filled.settled.reshape(3, -1).astype(float)
    values[rng.random(values.shape) < 0.2] = np.nan
    known = source.covariates.known.reshape(3, -1, 2)
    gappy = source_with(values, known)
    train, validation = (index_windows(gappy, SPLITS, name, 10, 0.6) for name in ("train", "validation"))

    effects = fit_effects(gappy, train, validation, NO_KERNEL)

    assert np.isfinite(effects).all()
    np.testing.assert_allclose(effects, SLOPES, atol=0.1)


def test_covariates_that_say_nothing_are_left_out_or_close_to_nothing():
    source, train, validation = generated(phi=0.9, slopes=np.zeros((1, 2)))

    ridge = fit_ridge(source, train, validation)

    assert np.abs(ridge.effects).max() < 0.01


RESPONSES = {
    "at once": [1.0],
    "two steps later": [0.0, 0.0, 1.0],
    "at once and, turned over, a step later": [1.0, -0.5],
    "ever less, over many steps": list(0.3 * 0.7 ** np.arange(40)),
}


def responding(response, time):
    """A season, and what a covariate of noise does by a response over the steps after it."""
    rng = np.random.default_rng(2)
    known = rng.normal(size=time + HORIZON)
    values = np.sin(2 * np.pi * np.arange(time) / 7) + 0.3 * rng.normal(size=time)
    values += np.convolve(known, response)[:time]
    source = source_with(values[None], known[None, :, None])
    splits = Splits(time * 7 // 10, time * 85 // 100, time)
    windows = [index_windows(source, splits, name, 3, 0.5) for name in ("train", "validation", "test")]
    return source, *windows


def rmse(source, ridge, windows):
    missed = ridge.predict(source, windows.rows, windows.origins) - source.outputs(windows.rows, windows.origins)
    return np.sqrt(np.mean(missed**2))


@pytest.mark.parametrize("time", [200, 1500])
@pytest.mark.parametrize("response", RESPONSES)
def test_what_a_covariate_does_later_is_forecast_too(response, time):
    source, train, validation, test = responding(RESPONSES[response], time)
    plain = fit_ridge(source, train, validation)

    chosen, ridge = fit_delays(source, train, validation, plain)

    assert (chosen is not source) == (response != "at once")
    assert rmse(chosen, ridge, test) < (0.36 if time == 1500 else 0.4)  # the noise: 0.3
    if chosen is not source:
        assert rmse(chosen, ridge, test) < 0.9 * rmse(source, plain, test)


@pytest.mark.parametrize("limit", ["MOST_DELAYED", "MOST_FLOATS"])
def test_delays_of_too_many_covariates_are_not_tried(monkeypatch, caplog, limit):
    source, train, validation, _ = responding(RESPONSES["two steps later"], 300)
    monkeypatch.setattr(f"spline_lstm.model.ridge.{limit}", 8)
    ridge = fit_ridge(source, train, validation)

    assert fit_delays(source, train, validation, ridge) == (source, ridge)
    assert "not tried: what known covariates do at later steps" in caplog.text


def test_without_known_covariates_there_are_no_delays(caplog):
    source, train, validation, _ = responding(RESPONSES["at once"], 300)
    source = source_with(source.filled.settled[None], np.empty((1, 300 + HORIZON, 0)))
    ridge = fit_ridge(source, train, validation)

    assert fit_delays(source, train, validation, ridge) == (source, ridge)
    assert not caplog.text
