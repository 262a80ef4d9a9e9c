"""A finished run as a report sees it."""

import numpy as np
import pandas as pd
import pytest
from finished_runs import finished_run, hourly


def test_a_series_comes_back_on_its_own_clock(tmp_path):
    table = hourly(steps=200, series=2)
    late = table[~((table["name"] == "s01") & (table["when"] < "2024-03-02"))].drop(index=[250, 251])

    run = finished_run(late, tmp_path)

    for name in ("s00", "s01"):
        expected = late[late["name"] == name].set_index("when")["load"]
        series = run.series(name)
        pd.testing.assert_series_equal(
            series["observed"].dropna(), expected, check_names=False, check_index_type=False, check_freq=False
        )
        assert series.index[0] == expected.index[0]
        missing = series["observed"].isna()
        assert missing.sum() == (2 if name == "s01" else 0)
        np.testing.assert_allclose(series["settled"][~missing], series["observed"][~missing], rtol=1e-6)
        np.testing.assert_allclose(series["held"][~missing], series["observed"][~missing], rtol=1e-6)
        assert (series["held"][missing] != series["settled"][missing]).all()


def test_residuals_are_in_the_units_that_are_scored(tmp_path):
    run = finished_run(hourly(series=2), tmp_path)
    missed = run.residuals()

    assert np.sqrt(np.nanmean(missed**2)) == pytest.approx(run.scores["metrics"]["rmse"])
    standardized = type(run)(**{**vars(run), "scores": {**run.scores, "scale": "standardized"}}).residuals()
    rows = run.prepared.windows("test").rows
    np.testing.assert_allclose(standardized, missed / run.prepared.scaler.std[rows, None])


@pytest.mark.parametrize(("frequency", "expected"), [("h", "2024-03-01 00:00"), ("D", "2024-03-01")])
def test_moments_have_a_time_of_day_where_the_calendar_has(tmp_path, frequency, expected):
    table = hourly()
    table["when"] = pd.date_range("2024-03-01", periods=len(table), freq=frequency)

    assert finished_run(table, tmp_path).when("2024-03-01") == expected
