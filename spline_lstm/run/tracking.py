"""What git and DVC know: an input that they do not is missing in queued experiments and other clones."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

OF_A_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")


def is_left_behind(path: Path) -> bool:
    """Whether a file lies in a repository, yet neither git nor DVC tracks it or a folder that it is in."""
    file = path.resolve()
    top = git(file.parent, "rev-parse", "--show-toplevel")
    if top is None:
        return False
    inside = [part for part in (file, *file.parents) if part.is_relative_to(top) and part != Path(top)]
    by_dvc = any(part.with_name(f"{part.name}.dvc").is_file() for part in inside)
    return not by_dvc and git(file.parent, "ls-files", "--error-unmatch", file.name) is None


def of_no_repository() -> dict[str, str]:
    """The environment, but for what git sets in its hooks: there a command would be of their repository, anywhere."""
    return {name: value for name, value in os.environ.items() if name not in OF_A_REPOSITORY}


def git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails, or is not there."""
    try:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, env=of_no_repository(), capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
