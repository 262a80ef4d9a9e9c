"""A finished run is made again from its commit, and what comes out otherwise is named."""

from __future__ import annotations

import json
import shutil

import pytest
from conftest import outcome

from spline_lstm.run.files import read_json, sha256, write_json


def test_what_comes_out_otherwise_is_named_and_nothing_here_is_changed(compared_once, tmp_path):
    """Of an experiment, whose settings are not those of its commit."""
    finished = compared_once.copy(tmp_path / "project")
    paths = finished.paths("b")
    scores, record, gate = (read_json(file) for file in (paths.metrics, paths.metadata, paths.health))
    true = scores["metrics"]["rmse"]
    scores["metrics"]["rmse"] = true / 2
    write_json(paths.metrics, scores)
    write_json(
        paths.metadata, {**record, "artifacts": {**record["artifacts"], "metrics/b.json": sha256(paths.metrics)}}
    )
    write_json(paths.health, {**gate, "metadata": sha256(paths.metadata)})
    before = finished.ok("git", "status", "--branch", "--porcelain", "--ignored")

    # As in a hook of git, which tells all that it starts which repository it is about.
    done = finished.run("python", "-m", "stages.check", "--reproduce", "b", GIT_DIR=str(finished.path / ".git"))

    found = [line.split() for line in done.stderr.splitlines() if line.startswith(("same ", "OTHER "))]
    files = [file.relative_to(finished.path) for group in paths.artifacts().values() for file in group]
    assert [name for _, name in found] == [str(file) for file in files]
    others = [name for verdict, name in found if verdict == "OTHER"]
    assert others == ["artifacts/metrics/b.json", "artifacts/metadata/b.json"]
    message = outcome(done)["error"]["message"]
    assert (done.returncode, outcome(done)["exit_code"]) == (22, 22)
    assert f"rmse {true / 2} -> {true}." in message
    assert "no version of a package and no platform" in message
    assert finished.ok("git", "status", "--branch", "--porcelain", "--ignored") == before


def test_a_run_that_cannot_be_made_again_says_what_it_lacks(finished):
    def refused(exit_code: int, *words: str) -> None:
        done = finished.stage("check", "--reproduce", "first")
        assert (done.returncode, outcome(done)["exit_code"]) == (exit_code, exit_code)
        assert all(word in done.stderr for word in words), done.stderr

    table = finished.path / "data/raw/co2_weekly.csv"
    content = table.read_bytes()
    table.write_bytes(content[:-1])
    refused(22, "co2_weekly.csv", sha256(table))
    table.unlink()
    refused(21, "co2_weekly.csv")
    table.write_bytes(content)

    paths = finished.paths("first")
    record = json.loads(paths.metadata.read_text(encoding="utf-8"))
    health = paths.health.read_text(encoding="utf-8")
    paths.health.unlink()
    write_json(paths.metadata, {**record, "code": "0" * 64})
    refused(22, "code that is committed", "commit the code")
    write_json(paths.metadata, record)
    paths.health.write_text(health, encoding="utf-8")

    shutil.rmtree(finished.path / ".git")
    refused(21, "git")
    paths.report.unlink()
    refused(30, "first.md")


@pytest.mark.parametrize("run_id", ["../x", ""])
def test_only_a_run_id_is_taken(finished_once, run_id):
    assert finished_once.stage("check", "--reproduce", run_id).returncode == 10
