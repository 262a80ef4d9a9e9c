"""The page says what the numbers say, and leaves nothing out silently."""

import re
from dataclasses import replace

import pytest
from finished_runs import HORIZON, finished_run, hourly, with_training

from spline_lstm.pages.report import _verdict, render_report
from spline_lstm.run.contract import PICTURES

RIDGE, NAIVE = {"rmse": 2.0, "relative_rmse": 1.0, "mase": 0.9}, {"rmse": 3.0, "relative_rmse": 1.5, "mase": 0.9}


def rows_of(page: str, header: str) -> list[list[str]]:
    """The rows of the table whose header begins so."""
    table = next(part for part in page.split("\n\n") if part.startswith(f"| {header} |"))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def section(page: str, title: str) -> str:
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("rmse", "margin", "share", "expected"),
    [
        (1.0, 0.1, 0.5, "**The model beats every baseline.** The model's RMSE is 1.000, that of ridge 2.000."),
        (
            2.5,
            0.1,
            0.5,
            "**The model does not beat the best baseline, ridge.** The model's RMSE is 2.500, that of ridge",
        ),
        (
            2.5,
            0.3,
            0.5,
            "**No clear difference between the model and ridge.** The model's RMSE is 2.500, that of ridge",
        ),
        (
            1.9,
            0.1,
            0.5,
            "**No clear difference between the model and ridge.** The model's RMSE is 1.900, that of ridge",
        ),
        (1.0, None, 0.5, "**No clear difference between the model and seasonal naive and ridge.** The model's RMSE is"),
        (2.0, 0.0, 0.0, "**The model is its ridge.**"),
    ],
)
def test_the_verdict_opens_with_the_outcome(rmse, margin, share, expected):
    skill = {"skill": 1 - rmse / 2, "skill_margin": margin}
    scores = {
        "metrics": {"rmse": rmse, "relative_rmse": rmse / 2, "mase": 0.9, "coverage": 0.9, **skill},
        "best_baseline": "ridge",
        "baselines": {"seasonal_naive": {**NAIVE, **skill, "skill": 0.9}, "ridge": {**RIDGE, **skill}},
        "per_series": {"load": skill},
        "intervals": {"levels": [0.9]},
    }

    verdict = _verdict(scores, {"shares": {"linear": 1 - share, "members": share}})

    assert verdict.startswith(expected)
    assert ("0.0% (± 0.0) above ridge" in verdict) == (rmse == 2.0)
    assert ("Fewer than two stretches" in verdict) == (margin is None)
    assert ("(± 10.0) below ridge" in verdict) == (margin == 0.1 and rmse < 2)


@pytest.mark.parametrize(
    ("margin", "expected"),
    [(0.0, "**The model does not beat the best baseline, naive.**"), (None, "**The model and naive err by rounding")],
)
def test_a_baseline_that_errs_by_rounding_alone_has_no_multiples(margin, expected):
    undefined = {"skill": None, "skill_margin": margin, "relative_rmse": None}
    scores = {
        "metrics": {"rmse": 1.7, "mase": None, "coverage": 0.9, **undefined},
        "best_baseline": "naive",
        "baselines": {"naive": {**NAIVE, "rmse": 1e-9, **undefined}, "ridge": {**RIDGE, **undefined}},
        "per_series": {"load": undefined},
        "intervals": {"levels": [0.9]},
    }

    verdict = _verdict(scores, {"shares": {"members": 1.0}})

    assert verdict.startswith(expected)
    assert "above" not in verdict
    assert "Fewer than two stretches" not in verdict


def test_a_baseline_that_is_clearly_better_is_named_though_another_one_is_best():
    doubtful, clear = {"skill": -0.3, "skill_margin": 0.5}, {"skill": -0.1, "skill_margin": 0.0}
    scores = {
        "metrics": {"rmse": 2.2, "relative_rmse": 1.3, "mase": 0.9, "coverage": 0.9, **doubtful},
        "best_baseline": "seasonal_naive",
        "baselines": {"seasonal_naive": {**NAIVE, **doubtful}, "ridge": {**RIDGE, **clear}},
        "per_series": {"load": doubtful},
        "intervals": {"levels": [0.9]},
    }

    assert _verdict(scores, {"shares": {"members": 1.0}}).startswith("**The model does not beat ridge.**")


def test_of_several_series_the_verdict_compares_what_has_no_unit(tmp_path):
    page = render_report(finished_run(hourly(series=3), tmp_path, errors=(2.0, 4.0)))

    verdict = page.split("\n\n")[1]
    assert verdict.startswith("**The model beats every baseline.**")
    assert "is 0.5000 on average, that of off by 2 1.000, and its MASE 0." in verdict
    assert "; of 3 series it is clearly better in 3 and clearly worse in 0." in verdict


def test_errors_of_several_units_are_pooled_nowhere(tmp_path):
    table = hourly(series=2).assign(oil=lambda table: table["load"] ** 2)
    run = finished_run(table, tmp_path, data={"target": ["load", "oil"]})

    mixed = render_report(run)
    one = render_report(replace(run, scores={**run.scores, "scale": "standardized"}))

    header = "|  | relative RMSE | MAPE % | sMAPE % | MASE | R2 |"
    assert header in mixed
    assert "Targets differ in their units" in section(mixed, "Scores")
    assert "|  | relative RMSE | MAE | RMSE |" in one
    assert "standard deviations of the train split, as several target columns have no unit in common" in one


def test_a_number_that_seems_to_stand_for_nothing_is_told_of_at_once(tmp_path):
    table = hourly()
    table.loc[::9, "load"] = -999

    page = render_report(finished_run(table, tmp_path))

    assert "**Look at the data: -999 in load.**" in page.split("## Forecast")[0]


def test_a_baseline_of_clearly_smaller_absolute_errors_is_named(tmp_path):
    run = finished_run(hourly(), tmp_path, errors=(2.0, 4.0))
    first, *_ = run.scores["baselines"]
    said = (
        "By the mean absolute error (MASE), which a few large misses rule less, off by 2 errs 20% less than the model."
    )
    mine = run.scores["metrics"]["mase"]

    for share, there in ((0.8, True), (0.96, False)):
        smaller = {**run.scores["baselines"], first: {**run.scores["baselines"][first], "mase": share * mine}}
        verdict = render_report(replace(run, scores={**run.scores, "baselines": smaller})).split("\n\n")[2]
        assert (said in verdict) == there


def test_of_several_series_every_comparison_is_free_of_units(tmp_path):
    run = finished_run(hourly(series=2), tmp_path, errors=(2.0, 4.0))
    huge = {**run.scores["metrics"], "rmse": 1e9}

    page = render_report(replace(run, scores={**run.scores, "metrics": huge}))

    assert re.search(r"on average: 50\.0% \(± \d\.\d\) below off by 2, 75\.0% \(± \d\.\d\) below off by 4\.", page)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A gap of 30 steps, which is over the limit, and one of 4, which is filled."""
    table = hourly().drop(index=[*range(60, 90), *range(120, 124)])
    return finished_run(table, tmp_path_factory.mktemp("run"), gaps={"longest": 6})


@pytest.fixture(scope="module")
def page(run):
    return render_report(run)


def test_every_picture_is_linked_once_with_a_caption(page):
    links = re.findall(r"!\[.+?\]\(small\.(\w+)\.png\)\n\n\*.+\*\n", page)

    assert sorted([*links, "backtest"]) == sorted(PICTURES)  # there are no folds to show


def test_the_report_says_at_which_hours_forecasts_are_surest(run, page):
    scales = {"a": [1.0] * 3 + [0.4] + [1.0] * 20, "b": [1.0] * 17 + [1.6] + [1.0] * 6}
    scores = {**run.scores, "intervals": {**run.scores["intervals"], "hourly": scales}}

    told = section(render_report(replace(run, scores=scores)), "Scores")

    assert "differs by the hour of the day (UTC), on average over 2 series in which it does. Intervals" in told
    assert "are narrowest from 03:00 on, 0.70 times as wide as if hours were alike" in told
    assert "and widest from 17:00 on, 1.30 times." in told
    assert "hour of the day" not in page


def test_the_forecast_beyond_the_data_stands_in_a_table(run, page):
    rows = rows_of(page, "time")

    assert [row[1] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0] == ["2024-03-13 12:00", "1", "51.0000", "49.0000", "53.0000"]
    assert f"{HORIZON} steps of `h` beyond the last observation" in section(page, "Forecast")
    assert "90% interval, from" in section(page, "Forecast")


def test_of_a_long_forecast_the_first_and_the_last_steps_are_shown(tmp_path):
    page = render_report(finished_run(hourly(), tmp_path, windows={"horizon": 24, "lookback": 24}))

    steps = [row[1] for row in rows_of(page, "time")]
    assert steps == ["1", "2", "3", "4", "5", "…", "20", "21", "22", "23", "24"]


def test_targets_are_counted_as_windows_times_and_span(run, page):
    targets = run.scores["targets"]

    assert targets["windows"] == 45 - HORIZON + 1
    assert targets["times"] == 45
    assert (
        "42 test windows of 4 steps, with 168 observed targets of 45 distinct times "
        "from 2024-03-11 15:00 to 2024-03-13 11:00; windows overlap" in section(page, "Scores")
    )


def test_of_a_single_window_none_overlap(run):
    targets = {**run.scores["targets"], "windows": 1}

    said = section(render_report(replace(run, scores={**run.scores, "targets": targets})), "Scores")

    assert "1 test window of 4 steps" in said
    assert "windows overlap" not in said


def test_a_forecast_that_lies_in_the_past_of_another_series_is_told_of(tmp_path):
    table = hourly(series=3)
    early = (table["name"] == "s01") & (table.groupby("name").cumcount() >= len(table) // 3 - 20)

    run = finished_run(table[~early], tmp_path)

    assert "where one ended long before it: s01." in section(render_report(run), "Forecast")


@pytest.mark.parametrize("scale", ["original", "standardized"])
def test_intervals_that_are_far_wider_than_before_are_told_of(tmp_path, scale):
    run = finished_run(hourly(series=2), tmp_path)
    run = replace(run, scores={**run.scores, "scale": scale})
    units = dict(zip(run.prepared.names, run.prepared.units(scale), strict=True))
    usual = {name: scores["interval_width"] * units[name] for name, scores in run.scores["per_series"].items()}

    def said(**times):
        widths = run.forecast["series_id"].map({name: times[name] * usual[name] for name in usual})
        wider = run.forecast.assign(y_upper=run.forecast["y_lower"] + widths)
        return section(render_report(replace(run, forecast=wider)), "Forecast")

    assert "wide" not in said(s00=1.9, s01=1.9)
    assert "over 2 times as wide as those of the test windows were on average: s01." in said(s00=1.9, s01=2.1)


def test_percentages_have_their_sign(page):
    assert "| MAPE % | sMAPE % | WAPE % |" in section(page, "Scores")


def test_splits_stand_with_their_dates(page):
    assert rows_of(page, "split")[:3] == [
        ["train", "2024-03-01 00:00", "2024-03-09 17:00", "210", "136", "0"],
        ["validation", "2024-03-09 18:00", "2024-03-11 14:00", "45", "42", "0"],
        ["test", "2024-03-11 15:00", "2024-03-13 11:00", "45", "42", "0"],
    ]


def test_a_gap_over_the_limit_is_not_called_filled(page):
    data = section(page, "Data")

    assert "Gaps of up to 6 steps are filled" in data
    assert "1 gap is longer and not filled" in data
    assert ["s00", "34", "11.3%", "2", "30"] in rows_of(page, "series")


def test_where_nothing_is_missing_the_page_says_so(tmp_path):
    data = section(render_report(finished_run(hourly(), tmp_path)), "Data")

    assert "No step is missing." in data
    assert "filled" not in data


def test_settings_are_told_apart_by_whether_they_were_given(tmp_path):
    given = {"windows": {"horizon": 4}, "gaps": {"seasons": [12]}, "model": {"units": 20}, "train": {"epochs": 3}}
    run = finished_run(hourly(), tmp_path, spline={"segment": 999}, **given)

    rows = {name: (value, origin) for name, value, origin in rows_of(render_report(run), "setting")}

    assert rows["`windows.horizon`"] == ("4", "given")
    assert rows["`windows.lookback`"] == ("24", "derived")
    assert rows["`gaps.seasons`"] == ("12", "given")
    assert rows["`gaps.longest`"] == ("6", "derived")
    assert rows["`model.units`"] == ("20", "given")
    assert rows["`train.batch_size`"] == ("32", "derived")
    assert rows["`data.frequency`"] == ("h", "derived")
    assert rows["`spline.segment`"] == ("24", "given as 999")
    assert rows["`evaluate.scale`"] == ("original", "derived")
    assert rows["`data.closed`"] == ("none", "derived")
    assert rows["`covariates.past`"] == ("none", "given")
    assert rows["`covariates.calendar`"] == ("false", "derived")
    assert rows["`covariates.holidays`"] == ("none", "not given")


def test_baselines_that_are_the_same_are_said_to_be(tmp_path):
    run = finished_run(hourly(), tmp_path, gaps={"seasons": []})
    scores = {"naive": run.scores["baselines"]["off_by_2"], "ridge": run.scores["baselines"]["off_by_3"]}
    scores["seasonal_naive"] = dict(scores["naive"])
    run = replace(run, scores={**run.scores, "baselines": scores, "best_baseline": "seasonal_naive"})

    page = render_report(run)

    assert "stand in one row: naive = seasonal naive. No season was found" in page
    assert [row[0] for row in rows_of(page, "")] == ["**model**", "naive = seasonal naive", "ridge"]
    assert page.count("below naive = seasonal naive") == 1


def test_series_that_were_left_out_stand_with_the_reason(tmp_path):
    table = hourly(series=3)
    table.loc[table["name"] == "s01", "load"] = 7.0

    page = render_report(finished_run(table, tmp_path, data={"on_bad_series": "drop"}))

    assert "1 series was left out" in page
    assert any(row[0] == "s01" and "7 in every row" in row[1] for row in rows_of(section(page, "Data")[5:], "series"))


def test_of_many_series_the_page_says_which_are_shown(tmp_path):
    run = finished_run(hourly(series=30), tmp_path)
    page = render_report(run)

    forecast = section(page, "Forecast")
    assert "show 8 series: those with the best and with the worst skill" in forecast
    assert len(rows_of(forecast, "series")) == 8 * 3
    scored = rows_of(section(page, "Scores"), "series")
    ranked = sorted(run.scores["per_series"].values(), key=lambda scores: -scores["skill"])
    expected = [
        f"{scores['skill']:.1%} ± {100 * scores['skill_margin']:.1f}" for scores in (*ranked[:10], *ranked[-10:])
    ]
    assert [row[1] for row in scored] == expected
    assert "of 30 (all of them are in [metrics/small.per_series.csv](../metrics/small.per_series.csv))" in page


def test_without_a_ridge_nothing_is_said_of_its_share(run, page):
    longer = "a ridge on the newest 15 cycles of 12 steps 0.35, Holt-Winters on these 0.20"
    assert f"Shares: the recurrence 0.25, the ridge 0.20, {longer}." in page
    assert "from the rows of all splits, by 1 more epoch and" in page
    assert "share" not in section(render_report(with_training(run, linear=False)), "Training").lower()
