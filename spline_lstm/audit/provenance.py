"""Where a run came from: time, commit, versions, platform, settings and the sha256 of every artifact."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from datetime import datetime, timezone
from typing import Any

from spline_lstm.run.contract import RunPaths
from spline_lstm.run.files import read_json, sha256, write_json
from spline_lstm.run.params import Params

PACKAGES = ("dvc", "keras", "numpy", "pandas", "pyarrow", "scipy", "tensorflow")
CODE = ("spline_lstm", "stages", "dvc.yaml", "params.yaml")
VOLATILE = ("created_at", "git")


def write_metadata(params: Params, paths: RunPaths) -> None:
    """Write the run's metadata.

    A run that repeats an earlier one to the byte keeps that one's metadata: `created_at` says when
    these bytes first came to be, and repeating a run does not make it younger. So a forced
    repetition leaves dvc.lock as it was.
    """
    record = {
        "run_id": params.run_id,
        "created_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "git": _git_state(),
        "platform": {"system": platform.system(), "machine": platform.machine(), "python": platform.python_version()},
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "seed": params.seed,
        "params": params.model_dump(mode="json"),
        "input": read_json(paths.meta)["input"],
        "artifacts": {
            file.relative_to(paths.root).as_posix(): sha256(file)
            for files in paths.artifacts().values()
            for file in files
            if file != paths.metadata
        },
    }
    if paths.first_metadata.exists():
        first = read_json(paths.first_metadata)
        if all(first.get(key) == value for key, value in record.items() if key not in VOLATILE):
            record = first
    write_json(paths.first_metadata, record)
    write_json(paths.metadata, record)


def _git_state() -> dict[str, Any]:
    """The commit, and whether code or params differ from it; nulls outside a repository."""
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--", *CODE)
    return {"commit": commit, "dirty": None if changed is None else bool(changed)}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
