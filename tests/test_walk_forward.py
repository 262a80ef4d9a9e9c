"""The backtest under the real dvc and in real workers: same bytes, nothing from later on, errors with their codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Project, made_once, outcome

from spline_lstm.run.files import sha256, write_json
from spline_lstm.scores.predictions import write_parquet

STEPS, HORIZON, FOLDS = 160, 4, 3
RUN = "walk"


def write_series(project: Project, change: slice = slice(0, 0), by: float = 0.0) -> None:
    rng, clock = np.random.default_rng(0), np.arange(STEPS)
    load = 10 + np.sin(clock * 2 * np.pi / 7) + 0.3 * rng.normal(size=STEPS)
    load[change] = load[change] * by
    days = pd.date_range("2024-01-01", periods=STEPS, freq="D")
    pd.DataFrame({"when": days, "load": load}).to_csv(project.path / "walk.csv", index=False)


def files(project: Project) -> dict[str, bytes]:
    paths = project.paths(RUN)
    return {file.name: file.read_bytes() for file in (paths.backtest, paths.backtest_table, paths.backtest_predictions)}


@pytest.fixture(scope="module")
def walked(pristine: Project, shared_folder: Path) -> Project:
    """A project in which the documented command has run; its default is one worker for each core."""

    def finish(project: Project) -> None:
        write_series(project)
        project.set(
            run_id=RUN,
            data={"path": "walk.csv", "timestamp": "when", "target": "load"},
            covariates={"calendar": False},
            windows={"horizon": HORIZON, "lookback": 14},
            model={"units": 2},
            train={"epochs": 1},
        )
        project.ok("dvc", "exp", "run", "-S", f"backtest.windows={FOLDS}")

    return made_once(shared_folder / "walked", pristine, finish)


def test_one_command_of_dvc_leaves_every_file_and_is_not_repeated(walked):
    paths = walked.paths(RUN)
    content = json.loads(paths.backtest.read_text(encoding="utf-8"))
    page = paths.report.read_text(encoding="utf-8")

    assert (content["run_id"], len(content["folds"])) == (RUN, FOLDS)
    assert [fold["fitted"] for fold in content["folds"]] == [1, 2, 3]
    assert page.split("### Fold by fold")[1].split("\n## ")[0].count("\n| ") == FOLDS + 2
    assert f"({RUN}.backtest.png)" in page
    assert paths.picture("backtest").read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_parquet(paths.backtest_predictions)) == FOLDS * HORIZON
    assert "up to date" in walked.ok("dvc", "status")
    assert "Running stage" not in walked.ok("dvc", "repro")


def test_the_picture_shows_a_series_of_the_folds_even_if_the_last_split_has_it_no_more(walked, tmp_path):
    project = walked.copy(tmp_path / "project")
    paths = project.paths(RUN)
    windows = pd.read_parquet(paths.backtest_predictions)
    with paths.backtest_predictions.open("wb") as file:
        write_parquet(file, windows.assign(series_id="gone"))
    content = json.loads(paths.backtest.read_text(encoding="utf-8"))
    content["sha256"][paths.backtest_predictions.name] = sha256(paths.backtest_predictions)
    write_json(paths.backtest, content)

    done = project.stage("report")

    assert done.returncode == 0, done.stderr


def test_a_run_that_was_asked_for_no_folds_says_so(finished):
    paths = finished.paths("first")

    assert json.loads(paths.backtest.read_text(encoding="utf-8"))["folds"] == []
    assert len(pd.read_csv(paths.backtest_table)) == len(pd.read_parquet(paths.backtest_predictions)) == 0
    assert "dvc exp run -S backtest.windows=8" in paths.report.read_text(encoding="utf-8")
    finished.ok("dvc", "checkout")
    finished.ok("dvc", "metrics", "show")


def test_bytes_do_not_depend_on_workers_nor_earlier_folds_on_later_rows(walked, tmp_path):
    before = files(walked)
    one = walked.copy(tmp_path / "project")

    assert one.stage("backtest", "--workers", "1").returncode == 0
    assert files(one) == before

    last_of_fold_2 = STEPS - HORIZON
    write_series(one, slice(last_of_fold_2, None), by=-3.0)
    assert one.stage("backtest", "--workers", "2").returncode == 0
    after = files(one)
    folds, altered = (json.loads(each[f"{RUN}.json"])["folds"] for each in (before, after))
    assert altered[:2] == folds[:2]
    assert altered[2]["metrics"] != folds[2]["metrics"]
    known = FOLDS * HORIZON - HORIZON
    tables = [pd.read_parquet(project.paths(RUN).backtest_predictions) for project in (walked, one)]
    pd.testing.assert_frame_equal(*(table.head(known) for table in tables))
    np.testing.assert_array_equal(*(table["y_pred"] for table in tables))  # known before the last fold's targets


def test_an_error_in_a_worker_gives_its_exit_code(walked, tmp_path):
    project = walked.copy(tmp_path / "project")
    write_series(project, slice(3, 4), by=-0.5)
    project.set(data__log=True)

    done = project.stage("backtest", "--workers", "1")

    assert done.returncode == 25, done.stderr
    assert "Traceback" not in done.stderr
    message = outcome(done)["error"]["message"]
    assert re.match(r"Fold 1, after 2024-05-\d\d 00:00:00: Series 'load' must be above zero for data.log", message)


def test_a_backtest_of_nothing_to_learn_from_says_so(walked, tmp_path):
    project = walked.copy(tmp_path / "project")
    write_series(project, slice(0, STEPS - 3 * HORIZON), by=0.0)

    done = project.stage("backtest", "--workers", "1")

    assert done.returncode == 26, done.stderr
    assert "must have a series that varies before it" in outcome(done)["error"]["message"]


def test_a_fold_in_an_outage_is_left_out_and_named(walked, tmp_path):
    project = walked.copy(tmp_path / "project")
    paths, file = project.paths(RUN), project.path / "walk.csv"
    table = pd.read_csv(file)
    last_of_fold_1, last_of_fold_2 = STEPS - 2 * HORIZON, STEPS - HORIZON
    table.drop(index=range(last_of_fold_1, last_of_fold_2)).to_csv(file, index=False)
    project.set(gaps={"longest": HORIZON})  # so that it may be open where the next fold begins

    done = project.stage("backtest")

    assert done.returncode == 0, done.stderr
    assert "fold 2, after 2024-05-31 00:00:00, is left out: nothing to score" in done.stderr
    assert (outcome(done)["folds"], outcome(done)["left_out"]) == (2, 1)
    assert pd.read_csv(paths.backtest_table)["fold"].unique().tolist() == [1, 3]
    assert project.stage("report").returncode == 0
    assert "Fold 2 (after 2024-05-31) has nothing to score" in paths.report.read_text(encoding="utf-8")

    table.drop(index=range(STEPS - FOLDS * HORIZON, STEPS - 1)).to_csv(file, index=False)
    project.set(backtest={"windows": 2})
    nothing = project.stage("backtest")

    assert nothing.returncode == 26
    assert "Received: none of 2" in outcome(nothing)["error"]["message"]


def test_what_cannot_be_is_refused_before_any_fit(walked, tmp_path):
    project = walked.copy(tmp_path / "project")
    project.set(backtest={"windows": 100})
    many = project.stage("backtest")
    project.set(backtest={"windows": 3, "refit": 0})
    never = project.stage("backtest")

    assert many.returncode == 26
    assert re.search(r"100 folds of 4 steps in 160 steps, of which \d+ fit", outcome(many)["error"]["message"])
    assert never.returncode == 10
    assert "backtest.refit" in outcome(never)["error"]["message"]
    assert project.stage("backtest", "--workers", "0").returncode == 2


def test_a_backtest_of_another_run_exits_27_and_a_changed_one_22(walked, tmp_path):
    project = walked.copy(tmp_path / "project")
    paths = project.paths(RUN)
    content = json.loads(paths.backtest.read_text(encoding="utf-8"))

    for stage in ("report", "check"):
        write_json(paths.backtest, {**content, "run_id": "other"})
        assert project.stage(stage).returncode == 27
        write_json(paths.backtest, {key: value for key, value in content.items() if key != "summary"})
        assert project.stage(stage).returncode == 22
        write_json(paths.backtest, content)
    Path(paths.backtest_table).write_text("", encoding="utf-8")
    assert project.stage("report").returncode == project.stage("check").returncode == 22
