"""Any finished run comes back from DVC's cache byte for byte, and no other is touched."""

from __future__ import annotations

import shutil
import time

import pytest
import yaml
from conftest import Project, outcome

from spline_lstm.pages.labels import number
from spline_lstm.run.files import read_json, sha256, write_json
from spline_lstm.run.params import parse_params


def files_of(project: Project, run_id: str) -> dict[str, str]:
    paths = project.paths(run_id)
    files = [*(file for group in paths.artifacts().values() for file in group), paths.health]
    return {str(file.relative_to(project.path)): sha256(file) for file in files}


@pytest.fixture(scope="module")
def three_runs(finished_once, compared_once, tmp_path_factory) -> tuple[Project, dict[str, dict[str, str]]]:
    """`first` by `dvc repro`, `b` by `dvc exp run`, `queued` beside a repetition of `first`; only `b` is there."""
    project = compared_once.copy(tmp_path_factory.mktemp("restore") / "project")
    hashes = {"first": files_of(finished_once, "first"), "b": files_of(project, "b")}
    queue = ("dvc", "exp", "run", "--queue")
    project.ok(*queue, "--name", "queued", "-S", "run_id=queued", "-S", "train.epochs=1")
    project.ok(*queue, "--name", "again", "--force", "-S", "run_id=first", "-S", "model.cell=lstm")
    project.ok("dvc", "queue", "start", "--jobs", "2")
    deadline = time.monotonic() + 240
    while (status := project.ok("dvc", "queue", "status")).count("Success") < 2:
        assert "Failed" not in status, project.run("dvc", "queue", "logs", "queued").stdout
        assert time.monotonic() < deadline, status
        time.sleep(2)
    assert "queued" in project.ok("dvc", "exp", "show", "--no-pager", "--csv")
    for name in hashes["first"]:  # experiments take other runs' files away, but not always
        (project.path / name).unlink(missing_ok=True)
    return project, hashes


def test_a_repetition_in_the_queue_beside_another_run_leaves_the_same_lock_file(three_runs):
    project, _ = three_runs
    assert "Running stage 'train'" in project.ok("dvc", "queue", "logs", "again")
    (again,) = project.ok("git", "for-each-ref", "--format=%(refname)", "refs/exps/*/*/again").splitlines()

    assert project.ok("git", "show", f"{again}:dvc.lock") == project.ok("git", "show", "HEAD:dvc.lock")


@pytest.fixture
def runs(three_runs, tmp_path):
    project, hashes = three_runs
    return project.copy(tmp_path / "project"), hashes


def test_runs_of_every_kind_come_back_and_forecast(runs):
    project, hashes = runs
    assert not project.paths("first").metrics.exists()
    assert outcome(project.stage("restore"))["runs"] == ["b", "first", "queued"]

    for run_id in ("first", "queued"):
        done = project.stage("restore", "--run-id", run_id)
        assert done.returncode == 0, done.stderr
        assert outcome(done)["written"] == len(hashes["first"])
        assert outcome(project.stage("check", "--run-id", run_id))["healthy"]

    assert files_of(project, "first") == hashes["first"]
    assert files_of(project, "b") == hashes["b"]
    found = outcome(project.stage("compare"))
    assert sorted(found["runs"]) == ["b", "first", "queued"]
    page = (project.path / found["page"]).read_text(encoding="utf-8")
    scores = {run_id: read_json(project.paths(run_id).metrics)["metrics"] for run_id in found["runs"]}
    assert found["best"] == min(scores, key=lambda run_id: scores[run_id]["rmse"])
    assert all(f"| {run_id} | {number(scores[run_id]['rmse'])} |" in page for run_id in found["runs"])
    assert (project.path / found["page"]).with_suffix(".png").stat().st_size > 0
    arguments = ("--run-id", "first", "--input", "data/raw/co2_weekly.csv", "--output", "out.csv")
    assert project.stage("forecast", *arguments).returncode == 0
    assert (project.path / "out.csv").read_bytes() == project.paths("first").forecast.read_bytes()
    assert "up to date" in project.ok("dvc", "status")


def test_a_run_that_is_there_is_mended_where_it_was_changed(runs):
    project, hashes = runs
    project.paths("b").metrics.write_text("{}", encoding="utf-8")
    project.paths("b").report.unlink()

    assert outcome(project.stage("restore", "--run-id", "b"))["written"] == 2
    assert files_of(project, "b") == hashes["b"]
    assert outcome(project.stage("restore", "--run-id", "b"))["written"] == 0


def test_settings_come_back_and_nothing_is_executed(runs):
    project, hashes = runs
    project.ok("python", "-m", "stages.restore", "--run-id", "first")
    project.set(evaluate__coverage=[0.9, 0.8], gaps__seasons=52, covariates__past=[])  # one value, too, is a list to us

    project.ok("python", "-m", "stages.preflight", "--from", "first")
    printed = project.ok("dvc", "repro")

    assert "Running stage" not in printed
    assert files_of(project, "first") == hashes["first"]


def test_settings_that_were_edited_after_the_run_do_not_come_back(runs):
    project, _ = runs
    paths = project.paths("first")
    project.ok("python", "-m", "stages.restore", "--run-id", "first")
    before, record = (project.path / "params.yaml").read_bytes(), read_json(paths.metadata)

    for change, code in (({"seed": 8, "params": {**record["params"], "seed": 8}}, 22), ({"run_id": "b"}, 27)):
        write_json(paths.metadata, {**record, **change})
        assert project.stage("preflight", "--from", "first").returncode == code

    assert (project.path / "params.yaml").read_bytes() == before
    write_json(paths.metadata, record)
    (project.path / "params.yaml").write_text("run_id: x\ncovariates:\nwindows: 7\n", encoding="utf-8")
    project.ok("python", "-m", "stages.preflight", "--from", "first")
    assert parse_params(yaml.safe_load((project.path / "params.yaml").read_text("utf-8"))).run_id == "first"


def test_what_cannot_be_restored_is_said_with_what_can(runs):
    project, _ = runs

    unknown = project.stage("restore", "--run-id", "third")
    shutil.rmtree(project.path / ".dvc" / "cache" / "files")
    lost = project.stage("restore", "--run-id", "first")

    assert unknown.returncode == lost.returncode == 21
    assert "b, first, queued" in unknown.stderr
    assert "best.keras" in lost.stderr
    assert "dvc pull" in lost.stderr
    assert project.stage("restore", "--run-id", "../x").returncode == 10


def test_damaged_content_of_the_cache_is_not_used(runs):
    project, _ = runs
    for file in (project.path / ".dvc" / "cache" / "files").rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_bytes(b"other")

    for file in list((project.path / ".dvc" / "cache" / "runs").glob("*/*/*"))[::2]:
        (file.parent / "half").write_bytes(file.read_bytes()[:-20])  # of a DVC that was killed

    done = project.stage("restore", "--run-id", "first")

    assert done.returncode == 22
    assert "other bytes" in done.stderr
    assert not project.paths("first").processed.exists()


@pytest.mark.parametrize("stage", ["check", "forecast"])
def test_the_message_of_a_run_that_is_gone_names_the_way_back(runs, stage):
    project, _ = runs
    arguments = ["--input", "data/raw/co2_weekly.csv", "--output", "out.csv"] if stage == "forecast" else []

    done = project.stage(stage, "--run-id", "first", *arguments)

    assert done.returncode == {"check": 30, "forecast": 21}[stage]
    assert "python -m stages.restore --run-id" in done.stderr
