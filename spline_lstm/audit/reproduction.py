"""A finished run, made again from its commit in a folder of its own, and compared file by file."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spline_lstm.audit.health import check_run
from spline_lstm.audit.provenance import code_hash, commit_of
from spline_lstm.run.contract import RunPaths, mapping, require_keys
from spline_lstm.run.errors import ArtifactError, InputNotFoundError
from spline_lstm.run.files import read_json, require_input, sha256
from spline_lstm.run.params import RECORD, parse_params
from spline_lstm.run.tracking import git, of_no_repository

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reproduction:
    """How a run came out when it was made again.

    Attributes:
        commit: Whose code made it again.
        same: Whether each artifact has the bytes of the first time; by path, in the order of the pipeline.
        metrics: Those that differ: the first and the second value.
        conditions: What of the platform and of the versions of packages differs: the first and the second value.
    """

    commit: str
    same: dict[str, bool]
    metrics: dict[str, tuple[Any, Any]]
    conditions: dict[str, tuple[Any, Any]]


def reproduce_run(paths: RunPaths) -> Reproduction:
    """Make a run again by the code of its commit, its settings and its input, and compare what comes out.

    DVC executes every stage, in a clone in a temporary folder: nothing here is changed.

    Raises:
        RunIdMismatchError, UnhealthyRunError, ArtifactError: As `check_run`; no commit that is known holds the code of
            the run; the run does not come to its end.
        InputNotFoundError: The input is gone; the working folder is no repository that git can clone.
        ParamsError: This version does not take the settings of the run.
    """
    check_run(paths)
    record = require_keys(paths.metadata, read_json(paths.metadata), "code", "params", "input")
    file = Path(parse_params(record["params"], RECORD).data.path)
    require_input(file)
    wanted = mapping(record["input"]).get("sha256")
    if (found := sha256(file)) != wanted:
        raise ArtifactError(
            f"`{file}` must have the sha256 that it had for run {paths.run_id!r}, {wanted!r:.80}. "
            f"Received: {found}. Bring the table of that run back."
        )
    with tempfile.TemporaryDirectory(prefix="reproduction-") as folder:
        ups = file.parts.count("..")  # the clone lies so deep that what the path names lies in the temporary folder
        clone = Path(folder, *["below"] * ups, "project")
        commit = _clone(paths, record["code"], clone)
        if not file.is_absolute():
            for part in (*reversed((clone / file).parents), clone / file):
                if part.is_relative_to(clone) and part.is_symlink():  # it may lead out of the clone
                    part.unlink()
            (clone / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, clone / file)
        again = RunPaths(clone / paths.root, paths.run_id)
        again.metadata.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(paths.metadata, again.metadata)  # of the settings
        log.info("making run %s again by the code of commit %.12s", paths.run_id, commit)
        _execute(clone, "stages.preflight", "--from", paths.run_id)
        _execute(clone, "dvc", "repro", "--force")
        return _compared(paths, again, commit)


def _clone(paths: RunPaths, code: str, clone: Path) -> str:
    """Clone the project as of a commit that holds the code of the run: the commit."""
    made = read_json(paths.made) if paths.made.exists() else {}
    recorded = mapping(made.get("git")).get("commit")
    here = commit_of(Path())
    if here is None or git(Path(), "clone", "--quiet", "--no-checkout", ".", str(clone)) is None:
        raise InputNotFoundError(
            "A run is made again in a clone of a commit of git. Received: a folder that git cannot clone. "
            "Clone the project, and bring the run back there with `python -m stages.restore`."
        )
    for commit in dict.fromkeys((recorded, here)):
        if not isinstance(commit, str) or git(clone, "checkout", "--quiet", "--force", commit, "--") is None:
            continue
        if code_hash(clone) == code:
            return commit
    raise ArtifactError(
        f"Run {paths.run_id!r} must have been made by code that is committed. Received: code that neither commit "
        f"{recorded or 'of its record, which is gone,'} nor {here} holds. Check out the commit that holds it, or "
        "commit the code and make the run again."
    )


def _execute(folder: Path, *module: str) -> None:
    """Run a module by this Python; what it prints goes to stderr."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [sys.executable, "-m", *module],
        cwd=folder,
        env={**of_no_repository(), "PATH": tools},
        stdout=sys.stderr,
        check=False,
    )
    if done.returncode:
        raise ArtifactError(
            f"A finished run must come to its end when it is made again. Received: `{' '.join(module)}` ended with "
            f"{done.returncode}. What it printed above says why."
        )


def _compared(first: RunPaths, second: RunPaths, commit: str) -> Reproduction:
    files = [file for group in first.artifacts().values() for file in group]
    same = {str(file): sha256(file) == sha256(second.root / file.relative_to(first.root)) for file in files}
    scores, records = (
        [read_json(file) for file in (getattr(first, name), getattr(second, name))] for name in ("metrics", "metadata")
    )
    return Reproduction(
        commit,
        same,
        dict(_differing(*(each["metrics"] for each in scores))),
        {name: pair for kind in ("platform", "versions") for name, pair in _differing(*(r[kind] for r in records))},
    )


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name in sorted({*first, *second}):
        if first.get(name) != second.get(name):
            yield name, (first.get(name), second.get(name))
