"""Projects to run things in: clones of the working tree, with or without a finished run."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings

from spline_lstm.run.contract import RunPaths

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
COMPILED = pytest.StashKey[str]()

settings.register_profile("project", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    """Spare tests what would only slow them down; workers of xdist inherit it.

    What XLA compiled for one run is kept for all others of the session, which compile the same few steps. Each worker
    has one core.
    """
    if not hasattr(config, "workerinput"):
        folder = config.stash[COMPILED] = tempfile.mkdtemp(prefix="compiled-")
        os.environ["TF_XLA_FLAGS"] = f"--tf_xla_persistent_cache_directory={folder}"
        os.environ.update(dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1"))


def pytest_unconfigure(config: pytest.Config) -> None:
    if folder := config.stash.get(COMPILED, None):
        shutil.rmtree(folder)


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
def finished_once(pristine: Project, shared_folder: Path) -> Project:
    """A project in which `dvc repro` has run once, with fewer epochs, and was committed."""

    def finish(project: Project) -> None:
        project.set(run_id="first", train__epochs=2, windows__horizon=8)
        project.ok("dvc", "repro")
        project.ok("git", "add", "--all")
        project.ok("git", "commit", "--quiet", "--message", "First run")

    return made_once(shared_folder / "finished", pristine, finish)


@pytest.fixture(scope="session")
def compared_once(finished_once: Project, shared_folder: Path) -> Project:
    """The same after an experiment named `b` with another cell."""
    return made_once(
        shared_folder / "compared",
        finished_once,
        lambda project: project.ok("dvc", "exp", "run", "-S", "run_id=b", "-S", "model.cell=gru"),
    )


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(folder: Path, source: Project, finish: Callable[[Project], object]) -> Project:
    """A copy of a project that one worker finishes, while the others that need it wait."""
    folder.mkdir(exist_ok=True)
    done = folder / "done"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            project = source.copy(folder / "project")
            finish(project)
            done.touch()
    return Project(folder / "project")


@pytest.fixture
def project(pristine: Project, tmp_path: Path) -> Project:
    """A fresh clone for one test."""
    return pristine.copy(tmp_path / "project")


@pytest.fixture
def small(project: Project) -> Project:
    """The same, whose runs are small."""
    project.set(covariates__calendar=False, windows__horizon=8, model__units=4, train__epochs=2)
    project.ok("git", "commit", "--quiet", "--all", "--message", "Small runs")
    return project


@pytest.fixture
def finished(finished_once: Project, tmp_path: Path) -> Project:
    """A clone with a finished run named `first`, for one test."""
    return finished_once.copy(tmp_path / "project")
