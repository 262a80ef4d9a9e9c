"""Panels as an operator may have them: each fault has its exit code, and names the series and the row or column."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from conftest import made_once, outcome
from test_stages import artifacts, assert_clear_failure

STEPS, HORIZON = 200, 4
PANEL = {
    "data": {"path": "panel.csv", "timestamp": "when", "target": "load", "series_id": "site"},
    "covariates": {"past": "wind", "future": "price", "static": "size", "calendar": False},
    "windows": {"horizon": HORIZON, "lookback": 24},
    "train": {"epochs": 1},
}


def panel(sites=("north", "south", "west"), steps=STEPS):
    rng, parts = np.random.default_rng(0), []
    for number, site in enumerate(sites):
        clock = pd.date_range("2024-01-01", periods=steps + HORIZON, freq="h").astype(str)
        part = pd.DataFrame({"site": site, "when": clock, "load": rng.normal(size=len(clock)).round(3)})
        part["wind"], part["price"] = rng.normal(size=(2, len(clock))).round(3)
        part["size"] = float(number)
        part.loc[part.index[-HORIZON:], ["load", "wind"]] = np.nan
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def changed(column, row, value, site="south"):
    """The cell of a series' row, counted from 0."""
    table = panel().astype({column: object})
    table.loc[table.index[table["site"] == site][row], column] = value
    return table


def row_of(row, site="south"):
    """Of a file, counted from 1 after its header."""
    return f"row {1 + row + ['north', 'south', 'west'].index(site) * (STEPS + HORIZON)}"


def give(project, table, **params):
    table.to_csv(project.path / "panel.csv", index=False)
    project.set(**PANEL)
    project.set(**params)


BAD_PANELS = {
    "a stamp twice in one series": (
        lambda: changed("when", 9, "2024-01-01 03:00:00"), {}, 25, ["'south'", "2024-01-01 03:00:00", row_of(9)],
    ),
    "an id with empty cells": (lambda: changed("site", 5, None), {}, 25, ["'site'", "id", "an empty cell", row_of(5)]),
    "a covariate that is not there": (
        panel, {"covariates__past": "wnd"}, 25, ["'wnd'", "Did you mean 'wind'"],
    ),
    "a covariate like no column": (
        panel, {"covariates__past": "humidity"}, 25, ["'humidity'", "wind, price, size", "or covariates of"],
    ),
    "an id that is not there": (panel, {"data__series_id": "shop"}, 25, ["'shop'", "site, when", "another in data"]),
    "text among the numbers of a covariate": (
        lambda: changed("price", 7, "cheap"), {}, 25, ["'price'", "'cheap'", row_of(7), "'south'"],
    ),
    "text among the numbers of a target": (
        lambda: changed("load", 7, "much"), {}, 25, ["'load'", "'much'", row_of(7), "'south'"],
    ),
    "infinity in a past covariate": (
        lambda: changed("wind", 7, "inf"), {}, 25, ["'wind'", "inf", row_of(7), "'south'"],
    ),
    "a static covariate that varies": (lambda: changed("size", 7, 9.5), {}, 25, ["'size'", "'south'", "1 and 9.5"]),
    "all series too short": (
        lambda: panel(steps=27), {}, 26, ["'north'", "28 steps", "27", "2 more series"],
    ),
    "one series too short": (
        lambda: panel().drop(index=range(20, STEPS + HORIZON)), {}, 26, ["'north'", "28 steps", "20", "on_bad_series"],
    ),
    "one series constant": (
        lambda: panel().assign(load=lambda table: table["load"].where(table["site"] != "west", 3.5)),
        {}, 25, ["'west'", "vary", "3.5"],
    ),
    "a column in two roles": (
        panel, {"covariates__future": ["price", "wind"]}, 10, ["'wind'", "one role"],
    ),
    "the target as a covariate": (panel, {"covariates__past": ["wind", "load"]}, 10, ["'load'", "one role"]),
    "a column twice in one role": (panel, {"covariates__past": ["wind", "wind"]}, 10, ["covariates.past", "once"]),
    "an unknown country": (panel, {"covariates__holidays": "XX"}, 10, ["covariates.holidays", "'XX'", "country"]),
    "an unknown part of a country": (panel, {"covariates__holidays": "DE-XX"}, 10, ["covariates.holidays", "'DE-XX'"]),
    "a long table without its id": (
        panel, {"data__series_id": None}, 25, ["2024-01-01 00:00:00", "'site'", "data.series_id"],
    ),
    "no series that can be used, though some may be dropped": (
        lambda: panel().assign(load=1.0), {"data__on_bad_series": "drop"}, 25, ["'north'", "2 more series"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_PANELS)
def test_a_bad_panel_names_its_fault_and_leaves_nothing(project, case):
    table, params, exit_code, words = BAD_PANELS[case]
    give(project, table(), **params)
    before = artifacts(project)

    done = project.stage("preprocess")

    assert_clear_failure(done, exit_code, *words)
    assert artifacts(project) == before


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("load", "much", "'much'"), ("wind", "calm", "'calm'"), ("price", "cheap", "'cheap'")],
)
def test_one_broken_series_among_many_may_be_dropped(project, column, value, said):
    give(project, changed(column, 7, value), data__on_bad_series="drop")

    done = project.stage("preprocess")

    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("left out: south")]
    assert len(lines) == 1
    assert all(word in lines[0] for word in (said, f"{column!r}", row_of(7)))
    meta = json.loads(project.paths("co2-weekly").meta.read_text(encoding="utf-8"))
    assert list(meta["dropped"]) == ["south"]
    assert meta["shape"]["rows"] == 2


@pytest.fixture(scope="module")
def panel_run(pristine, shared_folder, tmp_path_factory):
    """A project with a run of the panel, ready to forecast; the prices of one series end early."""

    def finish(project):
        give(project, prices_end_early("south"), data__on_bad_series="drop")
        for stage in ("preflight", "preprocess", "train", "evaluate"):
            done = project.stage(stage)
            assert done.returncode == 0, done.stderr
            if stage == "preprocess":
                assert "beyond the data for a forecast of them: south has no 'price' at" in done.stderr

    return made_once(shared_folder / "panel", pristine, finish).copy(tmp_path_factory.mktemp("panel") / "project")


def forecast(project, table):
    table.to_csv(project.path / "new.csv", index=False)
    (project.path / "out.csv").unlink(missing_ok=True)
    return project.stage("forecast", "--run-id", "co2-weekly", "--input", "new.csv", "--output", "out.csv")


def prices_end_early(*sites):
    """The last two prices of the horizon are not known."""
    table = panel()
    last = table["when"] > "2024-01-09 09:00:00"  # the last target is of 07:00
    assert last.sum() == 2 * 3
    table.loc[last & table["site"].isin(sites), "price"] = np.nan
    return table


def test_prices_that_end_early_in_every_series_leave_no_forecast(panel_run):
    done = forecast(panel_run, prices_end_early("north", "south", "west"))

    assert_clear_failure(done, 25, "'north'", "'price'", "2024-01-09 10:00:00", "2 more series")
    assert not (panel_run.path / "out.csv").exists()


def test_a_series_whose_prices_end_early_is_dropped_and_the_others_are_forecast(panel_run):
    assert forecast(panel_run, panel()).returncode == 0
    whole = pd.read_csv(panel_run.path / "out.csv")

    done = forecast(panel_run, prices_end_early("south"))

    assert done.returncode == 0, done.stderr
    assert "left out: south" in done.stderr
    assert "no 'price' at 2024-01-09 10:00:00" in done.stderr
    (warning,) = outcome(done)["warnings"]
    assert warning.startswith("south: left out, as it must have all known covariates over the horizon")
    found = pd.read_csv(panel_run.path / "out.csv")
    assert found["series_id"].unique().tolist() == ["north", "west"]
    others = whole[whole["series_id"] != "south"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, others, check_exact=True)


def test_what_may_stand_for_nothing_in_a_new_file_is_a_warning_that_says_what_helps(panel_run):
    table = panel()
    wrong = (table["site"] == "west") & table["when"].isin(table["when"].unique()[[3, 50, 90]])

    done = forecast(panel_run, table.assign(load=table["load"].mask(wrong, -999)))

    assert "load: -999 may stand for nothing" in outcome(done)["warnings"]
    assert "empty its cells, or set data.missing to [-999] and train another run" in done.stderr


def gap_before_the_newest(count):
    """Of every series."""
    table = panel()
    newest = table["when"].isin(table["when"].unique()[-HORIZON - count - 1 : -HORIZON - 1])
    return table.assign(load=table["load"].mask(newest))


# A new file, and what is advised; of params it reads only those of the run, so that only another run would heed others.
NEW_FILES = {
    "a moment twice": (
        lambda: pd.concat([panel(), panel().tail(1)]),
        "Remove them, or set data.duplicates to mean, sum, first or last and train another run.",
    ),
    "dates of another order": (
        lambda: panel().assign(when=pd.to_datetime(panel()["when"]).dt.strftime("%d.%m.%Y %H:%M")),
        "Write times as 2024-01-31 17:00, or give data.timestamp_format and train another run.",
    ),
    "a column with another name": (
        lambda: panel().rename(columns={"price": "Price"}),
        "Did you mean 'Price'? Call it 'price', or name it in data or covariates of params.yaml and train another run.",
    ),
    "a column less": (
        lambda: panel().drop(columns="price"),
        "Add it, or call one 'price', or name another in data or covariates of params.yaml and train another run.",
    ),
    "a static covariate that varies": (
        lambda: panel().assign(size=range(3 * (STEPS + HORIZON))),
        "Mend the data, or name it in covariates.past or covariates.future and train another run.",
    ),
    "a moment far away": (
        lambda: changed("when", STEPS - 1, "2219-01-01 00:00:00"),
        "Mend a wrong timestamp, or mend data.frequency and train another run.",
    ),
    "too many missing": (
        lambda: gap_before_the_newest(20),
        "missing in its last 24 steps. Received: 20 missing, and a gap of 20 steps. So it is with 2 more series. "
        "Mend the data.",
    ),
}


@pytest.mark.parametrize("case", NEW_FILES)
def test_advice_on_a_new_file_names_no_param_that_it_is_not_read_by(panel_run, case):
    table, advice = NEW_FILES[case]

    done = forecast(panel_run, table())

    assert_clear_failure(done, 25)
    assert outcome(done)["error"]["message"].endswith(advice)
    assert forecast(panel_run, panel()).returncode == 0


def test_a_series_that_the_run_does_not_know_is_forecast_with_a_warning(panel_run):
    table = panel()

    done = forecast(panel_run, pd.concat([table, table[table["site"] == "west"].assign(site="east")]))

    assert done.returncode == 0, done.stderr
    expected = "east: the run has no such series; its intervals are those of all together"
    assert outcome(done)["warnings"][:1] == [expected]
    assert expected in done.stderr


def test_what_a_new_file_does_not_tell_of_covariates_is_warned_of(panel_run):
    done = forecast(panel_run, panel().assign(wind=np.nan))

    assert outcome(done)["warnings"] == [
        "no value in the newest window of past covariates: north/wind, south/wind, west/wind"
    ]


def test_where_one_of_two_targets_ends_early_advice_is_to_give_its_values(project):
    table = panel()
    table["heat"] = table["load"] + 1
    late = table.index % (STEPS + HORIZON) >= STEPS - 20
    give(project, table.assign(load=table["load"].mask(late)), data__target=["load", "heat"])

    done = project.stage("preprocess")

    assert "Give the newest values of this target, too, or forecast it in a run of its own." in done.stderr
    assert "Remove its last rows" not in done.stderr


def test_rows_of_one_name_are_refused(project):
    table = panel(sites=("a", "a/b"))
    give(project, table.assign(**{"b/load": table["load"] + 1}), data__target=["load", "b/load"])

    assert_clear_failure(project.stage("preprocess"), 25, "'a/b/load' twice", "Rename a series or a target")


def test_columns_may_be_called_anything(project):
    table = panel()
    give(project, table.rename(columns={"wind": "self"}).assign(key="x"), covariates__past=["self", "key"])

    done = project.stage("preprocess")

    assert done.returncode == 0, done.stderr


def test_bounds_are_of_targets_not_of_what_goes_with_them(project):
    table = panel()
    give(project, table.assign(wind=table["wind"] + 100), data__maximum=50)

    done = project.stage("preprocess")

    assert done.returncode == 0, done.stderr
    assert "observed values beyond" not in done.stderr


def test_a_series_that_ended_long_before_the_others_is_forecast_with_a_warning(panel_run):
    table = panel()
    south = table.index[table["site"] == "south"]
    table.loc[south[-HORIZON - 10 : -HORIZON], ["load", "wind"]] = np.nan

    done = forecast(panel_run, table)

    assert outcome(done)["warnings"] == [
        "south: it ends 10 steps before the newest series, and all of its forecast lies in the past of that one"
    ]
    found = pd.read_csv(panel_run.path / "out.csv").groupby("series_id")["timestamp"]
    assert found.max()["south"] < found.min()["north"]


def test_where_no_series_may_be_dropped_prices_that_end_early_are_an_error(panel_run, tmp_path):
    project = panel_run.copy(tmp_path / "project")
    project.set(data__on_bad_series="fail")
    assert project.stage("preprocess").returncode == 0

    assert_clear_failure(project.stage("forecast"), 25, "'south'", "'price'", "2024-01-09 10:00:00", "on_bad_series")


@pytest.mark.parametrize(
    ("table", "exit_code", "words"),
    [
        (lambda: panel().drop(columns="price"), 25, ["'price'"]),
        (lambda: panel().assign(price="cheap"), 25, ["'price'", "numbers", "'cheap'"]),
        (lambda: panel(steps=20), 26, ["'north'", "24 steps", "20"]),
        (lambda: changed("site", 5, None), 25, ["'site'", row_of(5)]),
    ],
    ids=["a column less", "text for numbers", "too short", "an empty id"],
)
def test_a_run_refuses_a_new_panel_by_what_is_wrong_with_it(panel_run, table, exit_code, words):
    assert_clear_failure(forecast(panel_run, table()), exit_code, *words)
    assert not (panel_run.path / "out.csv").exists()
