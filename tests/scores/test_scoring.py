"""Test windows are forecast and scored by what their origins know; in place of a model stands the last value."""

from types import SimpleNamespace

import numpy as np
import pytest
from finished_runs import HORIZON, finished_run, hourly

from spline_lstm.model.ridge import fit_ridge
from spline_lstm.scores import scoring

STEPS, TRAIN, VALIDATION = 24 * 40, 24 * 20, 24 * 10
KNOWN = TRAIN + VALIDATION


@pytest.fixture(autouse=True)
def _last_value(monkeypatch):
    def predict(_, source, rows, origins):
        return np.repeat(source.inputs(rows, origins)[:, -1:], source.horizon, axis=1)

    monkeypatch.setattr(scoring, "predict", predict)


@pytest.fixture
def load():
    """Noise that is wide by day and narrow by night."""
    by_day = hourly(STEPS)["when"].dt.hour.between(8, 19)
    return 100 + np.where(by_day, 5.0, 0.5) * np.random.default_rng(0).normal(size=STEPS)


def altered(load, since):
    return np.append(load[:since], 100 + 30 * np.random.default_rng(1).normal(size=STEPS - since))


def prepared_from(load, folder):
    split, data = {"train": TRAIN, "validation": VALIDATION}, {"log": False}
    return finished_run(hourly(STEPS).assign(load=load), folder, split=split, data=data, gaps={"seasons": 12}).prepared


def forecast(load, folder):
    model = SimpleNamespace(require_fit=lambda *_: None)
    return scoring.forecast_test(prepared_from(load, folder), model, (0.9,), np.ones(1))[0]


def test_intervals_know_no_row_after_their_origin(load, tmp_path):
    cut = KNOWN + 60

    one, other = (forecast(each, tmp_path) for each in (load, altered(load, cut + 1)))

    early = one.origins <= cut
    widths = one.upper[0, early] - one.lower[0, early]
    assert widths.max() > 2 * widths.min()  # else hours would have no part in them
    np.testing.assert_array_equal(one.lower[:, early], other.lower[:, early])
    np.testing.assert_array_equal(one.upper[:, early], other.upper[:, early])


def test_intervals_are_wider_behind_an_open_gap(tmp_path):
    walk = 100 + np.random.default_rng(0).normal(size=STEPS).cumsum()
    origin, widths = KNOWN + 60, []
    for missing in (0, 3):
        walk[origin + 1 - missing : origin + 1] = np.nan
        found = forecast(walk, tmp_path)
        widths.append((found.upper - found.lower)[0, found.origins == origin, 0].item())

    assert widths[1] > 1.3 * widths[0]


def test_a_target_that_is_doubted_is_scored(load, tmp_path):
    load[KNOWN + 50] = 1e6

    assert not prepared_from(load, tmp_path).source.filled.observed[KNOWN + 50]
    assert np.sum(forecast(load, tmp_path).y_true == 1e6) == HORIZON


def test_what_values_never_exceeded_bounds_forecasts_until_one_does(tmp_path):
    price, raised = np.where(np.arange(STEPS) % 5 == 0, 80.0, 100.0), KNOWN + 60
    price[raised:] += 20

    found = forecast(price, tmp_path)
    naive = scoring.baselines_of_test(prepared_from(price, tmp_path))["naive"]

    before = found.origins < raised
    assert found.upper[0, before].max() == 100
    for forecasts in (found.y_pred, naive):
        np.testing.assert_allclose(forecasts[:, 0], price[found.origins], rtol=1e-6)
    assert found.upper[0, ~before].max() > 120


def test_mase_is_by_train_rows(load, tmp_path):
    one, other = (scoring.mase_scales(prepared_from(each, tmp_path)) for each in (load, altered(load, TRAIN)))

    np.testing.assert_array_equal(one, other)


def test_baselines_repeat_a_season_and_are_fitted_on_train_rows(load, tmp_path):
    prepared = prepared_from(load, tmp_path)
    train, validation, test = (prepared.windows(split) for split in ("train", "validation", "test"))

    found = scoring.baselines_of_test(prepared)

    season = load[test.origins[:, None] - prepared.settings.season + 1 + np.arange(HORIZON)]
    np.testing.assert_allclose(found["seasonal_naive"], season, rtol=1e-5)
    ridge = fit_ridge(prepared.source, train, validation).predict(prepared.source, test.rows, test.origins)
    np.testing.assert_array_equal(found["ridge"], prepared.scaler.restore(ridge, test.rows))
