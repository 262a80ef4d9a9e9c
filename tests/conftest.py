"""Projects to run things in: clones of the working tree, with or without a finished run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings

from spline_lstm.run.contract import RunPaths

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

settings.register_profile("project", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("project")


@dataclass(frozen=True)
class Project:
    """A clone in a folder of its own."""

    path: Path

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a user with the project's environment active would."""
        return subprocess.run(
            command, cwd=self.path, env=_active(environment), capture_output=True, text=True, check=False
        )

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """The same, without waiting; what it starts is one group, and its stderr is to be read."""
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=_active(environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ok(self, *command: str, **environment: str) -> str:
        """Run a command that must succeed; what it printed."""
        done = self.run(*command, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def stage(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("python", "-m", f"stages.{name}", *arguments)

    def set(self, **values: Any) -> None:
        """Write values to params.yaml, without any validation; `a__b` is `a.b`."""
        file = self.path / "params.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        for name, value in values.items():
            *sections, key = name.split("__")
            target = content
            for section in sections:
                target = target[section]
            target[key] = value
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def paths(self, run_id: str) -> RunPaths:
        return RunPaths(self.path / "artifacts", run_id)

    def copy(self, target: Path) -> Project:
        shutil.copytree(self.path, target, symlinks=True)
        return Project(target)


def _active(environment: dict[str, str]) -> dict[str, str]:
    tools = Path(sys.executable).parent
    identity = {
        f"GIT_{role}_{key}": "tester@example.com" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")
    }
    return {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "COLUMNS": "400", **identity, **environment}


def outcome(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The line a stage prints for machines."""
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The working tree as a fresh clone would have it, committed to a repository of its own."""
    project = Project(tmp_path_factory.mktemp("pristine") / "project")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (project.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, project.path / name)
    project.ok("git", "init", "--quiet", "--initial-branch=main")
    project.ok("git", "add", "--all")
    project.ok("git", "commit", "--quiet", "--message", "As it stands")
    return project


@pytest.fixture(scope="session")
def finished_once(pristine: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which `dvc repro` has run once, with fewer epochs, and was committed."""
    project = pristine.copy(tmp_path_factory.mktemp("finished") / "project")
    project.set(run_id="first", train__epochs=2, windows__horizon=8)
    project.ok("dvc", "repro")
    project.ok("git", "add", "--all")
    project.ok("git", "commit", "--quiet", "--message", "First run")
    return project


@pytest.fixture
def project(pristine: Project, tmp_path: Path) -> Project:
    """A fresh clone for one test."""
    return pristine.copy(tmp_path / "project")


@pytest.fixture
def finished(finished_once: Project, tmp_path: Path) -> Project:
    """A clone with a finished run named `first`, for one test."""
    return finished_once.copy(tmp_path / "project")
