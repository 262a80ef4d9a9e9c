"""What a page says of covariates, seasons and closed hours is what the run found."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from finished_runs import HORIZON, finished_run, hourly
from test_report import rows_of, section

from spline_lstm.pages.report import render_report


def with_covariates(steps: int = 300, ahead: int = HORIZON) -> pd.DataFrame:
    """Two series with numbers, categories and constants beside them; rows after the last targets tell of the future."""
    table = hourly(steps + ahead, series=2)
    clock = table.groupby("name").cumcount()
    table.loc[clock >= steps, "load"] = np.nan
    table["wind"] = np.where(clock % 10 == 0, np.nan, np.sin(clock))
    table["sky"] = np.where(clock < 250, np.where(clock % 2 == 0, "clear", "grey"), "hail")
    table["price"] = clock % 7
    return table.assign(size=np.where(table["name"] == "s00", 10, 20))


ROLES = {"past": ["wind", "sky"], "future": ["price"], "static": ["size"]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished_run(with_covariates(), tmp_path_factory.mktemp("run"), covariates={**ROLES, "holidays": "DE"})


@pytest.fixture(scope="module")
def page(run):
    return render_report(run)


def test_each_covariate_stands_with_its_role_and_kind(page):
    rows = rows_of(section(page, "Data"), "covariate")

    assert rows == [
        ["wind", "past", "numbers", "10.0%"],
        ["sky", "past", "2 categories", "0.0%"],
        ["price", "future", "numbers", "0.0%"],
        ["size", "static", "numbers", "0.0%"],
    ]
    assert "Of `sky`, hail count as unknown" in page


@pytest.mark.parametrize("delays", [True, False])
def test_what_they_do_at_later_steps_is_said_where_it_counts(run, delays):
    page = render_report(replace(run, training={**run.training, "delays": delays}))

    assert ("known in advance do at later steps counts" in page) == delays


def test_gaps_of_covariates_are_none_of_the_series(page):
    assert "No step is missing." in page


def test_scores_say_what_they_assume_of_the_future(tmp_path, page):
    assert "They assume that `price` had been known at each origin" in section(page, "Scores")
    assert "assume" not in render_report(finished_run(hourly(), tmp_path))


@pytest.mark.parametrize(
    ("calendar", "used", "said"),
    [
        (None, True, "are used: they lower the error on validation windows."),
        (None, False, "are not used: they do not lower the error on validation windows clearly."),
        (True, True, "are used."),
    ],
)
def test_the_calendar_stands_with_what_decided_on_it(tmp_path, calendar, used, said):
    run = finished_run(hourly(), tmp_path, covariates={"calendar": calendar})
    run = replace(run, training={**run.training, "clock": used})

    page = render_report(run)

    assert f"(time of day, weekday and time of day at weekends) {said}" in section(page, "Data")
    assert ["`covariates.calendar`", str(used).lower(), "given" if calendar else "derived"] in rows_of(page, "setting")


def test_a_calendar_that_is_not_wanted_is_not_mentioned(tmp_path):
    data = section(render_report(finished_run(hourly(), tmp_path, covariates={"calendar": False})), "Data")

    assert "calendar" not in data
    assert "covariate" not in data


def test_holidays_are_named_by_country(page):
    assert "Holidays of DE, the days before them and the days after are known in advance." in section(page, "Data")


def test_series_without_a_forecast_stand_with_the_reason(tmp_path):
    table = with_covariates()
    table = table[~((table["name"] == "s01") & table["load"].isna())]
    run = finished_run(table, tmp_path, covariates=ROLES, data={"on_bad_series": "drop"})
    run = replace(run, forecast=run.forecast[run.forecast["series_id"] == "s00"])

    page = render_report(run)

    forecast = section(page, "Forecast")
    assert "1 series is not forecast." in forecast
    assert "| s01 | no 'price' at 2024-03-13 12:00:00 |" in forecast
    assert "s01" not in forecast.split("1 series is not forecast")[0]
    assert run.ahead == ["s00"]


@pytest.mark.parametrize(
    ("seasons", "lookback", "said"),
    [
        (None, 24, "Season found in train rows: a day (24 steps). Seasonal naive repeats it."),
        ([5, 24], 24, "Seasons given: 5 steps, a day (24 steps). Seasonal naive repeats a day (24 steps)."),
        ([24, 168], 24, "A lookback of 24 steps does not hold a week (168 steps)"),
        ([24], 12, "a day (24 steps). A lookback of 12 steps does not hold a day (24 steps)"),
        ([], 24, "No season was found"),
    ],
)
def test_seasons_stand_in_words_and_steps(tmp_path, seasons, lookback, said):
    windows = {"horizon": HORIZON, "lookback": lookback}
    page = render_report(finished_run(hourly(), tmp_path, gaps={"seasons": seasons}, windows=windows))

    assert (said in section(page, "Data")) == (seasons != [])


def test_closed_hours_stand_with_what_they_leave_out(tmp_path):
    table = hourly(steps=24 * 60)
    table = table[table["when"].dt.hour.between(8, 17)]
    stray = table.iloc[[30]].assign(when=table["when"].iloc[30].normalize() + pd.Timedelta("2h"))

    page = render_report(finished_run(pd.concat([table, stray]), tmp_path, data={"closed": ["17:00-08:00"]}))

    data = section(page, "Data")
    assert "Closed hours, `17:00-08:00`, leave out" in data
    assert "1 rows lie in them and count for the next open step" in data
    assert ["`data.closed`", "17:00-08:00", "given"] in rows_of(page, "setting")
