"""The folded ridge is what regression on spelled out samples gives, and Keras says the same."""

import keras
import numpy as np
import pytest
from covariate_sources import source_with
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import ragged_source, source_of

from spline_lstm.data.windows import WindowIndex
from spline_lstm.model.combination import combine
from spline_lstm.model.folded import LONGEST_SEASON, FoldedRidge, fit_folded
from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.linear import RidgeForecaster
from spline_lstm.model.ridge import PENALTIES
from spline_lstm.model.training import predict

SEASON = 5
NOTHING = np.zeros((1, 0), np.float32)  # effects of no covariates


def forecast_of(folded, source, windows):
    """What the maps say of the cycles ahead, spelled out."""
    longer = source.with_cycles(folded.seen, folded.season, NOTHING)
    cycles, level, _ = longer.folded(windows.rows, windows.origins)
    ahead = np.einsum("wcs,ck->wks", cycles[:, 1:], folded.kernel).reshape(len(cycles), -1)
    missed = cycles[:, -1] - np.einsum("wcs,c->ws", cycles[:, :-1], folded.kernel[:, 0])
    return ahead[:, : source.horizon] + missed @ folded.correction + level


def best_of_ridges(inputs, targets, judge):
    """By plain least squares for each penalty and output; the one with the least error, and its penalty."""
    maps = []
    for penalty in PENALTIES:
        columns = []
        for wanted in targets.T:
            seen, known = inputs[np.isfinite(wanted)], wanted[np.isfinite(wanted)]
            width = inputs.shape[1]
            stacked = np.vstack([seen, np.sqrt(penalty * np.sum(seen**2) / width) * np.eye(width)])
            columns.append(np.linalg.lstsq(stacked, np.append(known, np.zeros(width)), rcond=None)[0])
        maps.append(np.stack(columns, axis=1))
    best = int(np.argmin([judge(each) for each in maps]))
    return maps[best], PENALTIES[best]


def seasonal(rng, steps, missing=0.0):
    values = np.sin(np.arange(steps) * 2 * np.pi / SEASON) + 0.3 * rng.normal(size=steps).cumsum() / 5
    values[rng.random(steps) < missing] = np.nan
    values[:2] = 0.0, 1.0
    return values


def windows_between(source, first, last):
    """Of every row all windows of a lookback and a horizon between two calendar steps."""
    pairs = [
        (row, origin)
        for row in range(len(source.targets))
        for origin in range(max(first, int(source.targets.starts[row]) + source.lookback - 1), last)
        if origin + source.horizon < source.targets.ends[row]
    ]
    rows, origins = np.array(pairs, np.int32).T
    return WindowIndex.of(rows, origins)


@given(
    seed=st.integers(0, 999),
    cycles=st.integers(1, 6),
    season=st.integers(1, 7) | st.sampled_from([2.4, 4.3, 6.8]),
    starts=st.sampled_from([(0, 0), (3, 11)]),
    missing=st.sampled_from([0.0, 0.3]),
)
@settings(max_examples=40)
def test_cycles_are_what_a_loop_over_known_steps_gives(seed, cycles, season, starts, missing):
    rng = np.random.default_rng(seed)
    source = ragged_source([seasonal(rng, 40, missing), seasonal(rng, 30, missing)], starts, (SEASON,), 8, 3, 2.0)
    windows = windows_between(source, 0, 60)

    folded, level, reach = source.with_cycles(cycles, season, NOTHING).folded(windows.rows, windows.origins)

    for index, (row, origin) in enumerate(zip(windows.rows, windows.origins, strict=True)):
        known = int(origin - source.targets.starts[row] + 1)
        values = source.inputs(np.array([row]), np.array([origin]), known)[0]
        expected = np.full((cycles, round(season)), np.nan)
        for back in range(cycles):
            for phase in range(round(season)):
                step = known - 1 - round(back * season) - (round(season) - 1 - phase)
                expected[cycles - 1 - back, phase] = values[step] if step >= 0 else np.nan
        mean, share = np.nanmean(expected), np.mean(~np.isnan(expected))
        expected -= mean
        for phase in range(round(season)):
            own = expected[:, phase][~np.isnan(expected[:, phase])]
            expected[:, phase][np.isnan(expected[:, phase])] = own.mean() if own.size else 0
        np.testing.assert_allclose(level[index], mean, atol=1e-5)
        np.testing.assert_allclose(reach[index], share, atol=1e-6)
        np.testing.assert_allclose(folded[index], expected, atol=1e-5)


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_the_maps_are_the_best_of_ridge_regressions_on_spelled_out_samples(missing):
    rng = np.random.default_rng(0)
    source = source_of(np.stack([seasonal(rng, 400, missing)]), (SEASON,), 20, 12, 3.0)
    train, validation = windows_between(source, 0, 250), windows_between(source, 260, 330)
    none = np.zeros((SEASON, 12))

    found = fit_folded(source, train, validation, NOTHING, SEASON, steps=120)

    assert found.seen == 13
    longer = source.with_cycles(13, SEASON, NOTHING)
    cycles, level, _ = longer.folded(train.rows, train.origins)
    cycles, targets = cycles.astype(float), (source.outputs(train.rows, train.origins) - level).astype(float)
    inputs = [cycles[window, 1:, phase] for window in range(len(cycles)) for phase in range(SEASON)]
    wanted = [
        [targets[window, step] if step < 12 else np.nan for step in range(phase, 3 * SEASON, SEASON)]
        for window in range(len(cycles))
        for phase in range(SEASON)
    ]

    def error(kernel, correction=none):
        forecast = forecast_of(FoldedRidge(kernel, correction, SEASON, (0.1, 0.1)), source, validation)
        return np.nanmean((source.outputs(validation.rows, validation.origins) - forecast) ** 2)

    kernel, penalty = best_of_ridges(np.array(inputs), np.array(wanted), error)
    missed = cycles[:, -1] - np.einsum("wcs,c->ws", cycles[:, :-1], kernel[:, 0])
    rest = source.outputs(train.rows, train.origins) - forecast_of(
        FoldedRidge(kernel, none, SEASON, (0.1, 0.1)), source, train
    )
    correction, other = best_of_ridges(missed, rest, lambda each: error(kernel, each))
    np.testing.assert_allclose(found.kernel, kernel, atol=1e-4)
    np.testing.assert_allclose(found.correction, correction, atol=1e-3)
    assert found.penalties == pytest.approx((penalty, other))


@pytest.mark.parametrize("seed", range(10, 18))
def test_the_number_of_cycles_is_the_one_whose_corrected_map_errs_least(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    source = source_of(np.stack([seasonal(rng, 600)]), (SEASON,), 20, 12, 3.0)
    train, validation = windows_between(source, 0, 400), windows_between(source, 410, 580)
    truth = source.outputs(validation.rows, validation.origins)

    counts = "spline_lstm.model.folded.CYCLES"
    monkeypatch.setattr(counts, (6, 12, 24))
    found = fit_folded(source, train, validation, NOTHING, SEASON, steps=400)

    errors = {}
    for count in (6, 12, 24):
        monkeypatch.setattr(counts, (count,))
        alone = fit_folded(source, train, validation, NOTHING, SEASON, steps=400)
        errors[count + 1] = np.nanmean((truth - forecast_of(alone, source, validation)) ** 2)
    assert found.seen == min(errors, key=errors.get)


@pytest.mark.parametrize(("season", "steps"), [(1, 10_000), (LONGEST_SEASON + 1, 10_000), (SEASON, 3 * SEASON)])
def test_there_is_none_without_a_season_or_enough_of_it(season, steps):
    source = source_of(np.stack([seasonal(np.random.default_rng(0), 400)]), (), 20, 12)
    windows = windows_between(source, 100, 250)

    assert fit_folded(source, windows, windows, NOTHING, season, steps) is None


def test_keras_forecasts_as_the_closed_form_does_and_as_the_weights_say():
    rng = np.random.default_rng(1)
    keras.utils.set_random_seed(1)
    source = source_of(np.stack([seasonal(rng, 300, 0.1)]), (SEASON,), 20, 12, 3.0)
    windows = windows_between(source, 20, 250)
    maps = (rng.normal(size=shape).astype("f") for shape in ((7, 3), (SEASON, 12)))
    folded = FoldedRidge(*maps, SEASON, (0.1, 0.1))
    ridge = RidgeForecaster(rng.normal(size=(20, 12)).astype("f"), np.zeros((1, 0), "f"), 0.1)
    model = SplineForecaster(
        lookback=20, horizon=12, rows=1, past=0, known=0, calendar=0, static=0, members=[20], segment=5, coefficients=3,
        degree=3, penalty=0.1, cell="gru", units=4, dropout=0.0, linear=True, cycles=8, season=SEASON,
        shares={"folded": 1.0},
    )  # fmt: skip
    model.set_linear(ridge)
    model.set_folded(folded)
    rows, origins = windows.rows, windows.origins

    reach = np.minimum((origins[:, None] + 1) / (8 * SEASON), 1)
    expected = forecast_of(folded, source, windows) * reach + ridge.predict(source, rows, origins) * (1 - reach)
    np.testing.assert_allclose(predict(model, source, rows, origins), expected, atol=1e-4)
    errors = combine(model, source, windows)
    assert list(errors) == ["linear", "folded", "holt_winters", "members", "mixed"]
    forecast = predict(model, source, rows, origins)
    truth = source.outputs(rows, origins)
    assert errors["mixed"]["mse"] == pytest.approx(np.nanmean((truth - forecast) ** 2), rel=1e-4)
    assert list(model.shares) == ["linear", "folded", "holt_winters", "members"]
    assert 0 < model.shares["folded"] < 1


def test_known_effects_are_taken_out_of_the_past_and_put_back_ahead():
    rng = np.random.default_rng(2)
    remainder, known = seasonal(rng, 300), rng.normal(size=(1, 312, 2))
    slopes = np.array([[3.0, -2.0]], np.float32)
    plain = source_of(remainder[None], (), 20, 12)
    source = source_with((remainder + (known[0] @ slopes[0])[:300])[None], known, lookback=20)
    windows = windows_between(plain, 20, 250)

    cycles, level, _ = source.with_cycles(7, SEASON, slopes).folded(windows.rows, windows.origins)

    expected_cycles, expected_level, _ = plain.with_cycles(7, SEASON, NOTHING).folded(windows.rows, windows.origins)
    np.testing.assert_allclose(cycles, expected_cycles, atol=1e-5)
    np.testing.assert_allclose(level, expected_level, atol=1e-5)
    found = fit_folded(source, windows, windows, slopes, SEASON, 200)
    expected = fit_folded(plain, windows, windows, NOTHING, SEASON, 200)
    np.testing.assert_allclose(found.kernel, expected.kernel, atol=1e-4)
    np.testing.assert_allclose(found.correction, expected.correction, atol=1e-3)
