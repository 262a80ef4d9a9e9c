"""An input that git and DVC do not know is told before an experiment misses it."""

from __future__ import annotations

import shutil

import pytest
from conftest import Project

from spline_lstm.run.tracking import is_left_behind


@pytest.fixture
def repository(tmp_path) -> Project:
    project = Project(tmp_path / "repository")
    (project.path / "data").mkdir(parents=True)
    (project.path / "data" / "mine.csv").write_text("a\n", encoding="utf-8")
    project.ok("git", "init", "--quiet")
    project.ok("dvc", "init", "--quiet")
    return project


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ([], True),
        ([["git", "add", "data/mine.csv"]], False),
        ([["dvc", "add", "data/mine.csv"]], False),
        ([["dvc", "add", "data"]], False),
    ],
    ids=["untracked", "git", "dvc", "folder"],
)
def test_a_file_is_left_behind_where_neither_git_nor_dvc_tracks_it(repository, commands, expected):
    for command in commands:
        repository.ok(*command)

    assert is_left_behind(repository.path / "data" / "mine.csv") == expected


def test_a_file_outside_every_repository_stays_where_it_is(tmp_path):
    (tmp_path / "mine.csv").touch()

    assert not is_left_behind(tmp_path / "mine.csv")


def test_readmes_own_sequence_takes_an_untracked_file_into_the_queue(small):
    table = small.path / "data/raw/co2_weekly.csv"
    shutil.copy(table, small.path / "my.csv")
    settings = ["-S", "run_id=mine", "-S", "data.path=my.csv", "-S", "train.epochs=1"]
    done = small.stage("preflight", "--set", "data.path=my.csv")
    assert done.returncode == 0
    assert "`dvc add my.csv && git commit -m 'Add my.csv'`" in done.stderr
    small.ok("git", "checkout", "params.yaml")

    small.ok("dvc", "add", "my.csv")
    small.ok("git", "commit", "--message", "Add my.csv")
    assert "dvc add" not in small.stage("preflight", "--set", "data.path=my.csv").stderr
    small.ok("git", "checkout", "params.yaml")
    small.ok("dvc", "exp", "run", *settings)
    small.ok("dvc", "exp", "run", "--queue", "-S", "run_id=wide", "-S", "model.units=32")
    small.ok("dvc", "exp", "run", "--run-all")

    assert '["mine", "wide"]' in small.ok("python", "-m", "stages.restore")
