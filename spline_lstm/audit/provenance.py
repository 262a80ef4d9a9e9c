"""Where a run came from: code, versions, platform, settings and the sha256 of every artifact; time and commit."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from spline_lstm.run.contract import RunPaths
from spline_lstm.run.files import read_json, sha256, write_json
from spline_lstm.run.params import Params, written_params
from spline_lstm.run.tracking import git

PACKAGES = ("dvc", "keras", "numpy", "pandas", "pyarrow", "scipy", "tensorflow")
CODE = ("spline_lstm", "stages")
WIRING = ("dvc.yaml", "requirements.lock")


def write_metadata(params: Params, paths: RunPaths) -> None:
    """Write where the run came from.

    The metadata is a function of data, params, code and platform, as the artifacts are, so that a repetition anywhere
    leaves dvc.lock as it was. Time and commit stand apart, and say when these bytes first came to be here.
    """
    record = {
        "run_id": params.run_id,
        "platform": {"system": platform.system(), "machine": platform.machine(), "python": platform.python_version()},
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "code": code_hash(Path()),
        "seed": params.seed,
        "params": written_params(),
        "input": read_json(paths.meta)["input"],
        "artifacts": {
            file.relative_to(paths.root).as_posix(): sha256(file)
            for files in paths.artifacts().values()
            for file in files
            if file != paths.metadata
        },
    }
    write_json(paths.metadata, record)
    known = read_json(paths.made) if paths.made.exists() else {}
    if any(known.get(key) != value for key, value in record.items()):
        time = datetime.now(timezone.utc).isoformat(timespec="seconds")
        write_json(paths.made, {**record, "created_at": time, "git": _git_state()})


def code_hash(project: Path) -> str:
    """Hash of the names and contents of all files of a project that a run is made by."""
    files = [file for folder in CODE for file in sorted((project / folder).rglob("*.py"))]
    digest = hashlib.sha256()
    for file in (*files, *(project / name for name in WIRING if (project / name).is_file())):
        digest.update(f"{file.relative_to(project).as_posix()} {sha256(file)}\n".encode())
    return digest.hexdigest()


def commit_of(project: Path) -> str | None:
    """The commit that is checked out; None outside a repository."""
    return git(project, "rev-parse", "HEAD")


def _git_state() -> dict[str, Any]:
    """The commit, and whether code or params differ from it; nulls outside a repository."""
    commit = commit_of(Path())
    changed = git(Path(), "status", "--porcelain", "--", *CODE, *WIRING, "params.yaml")
    return {"commit": commit, "dirty": None if changed is None else bool(changed)}
