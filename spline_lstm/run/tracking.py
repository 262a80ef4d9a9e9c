"""What git and DVC know: an input that they do not is missing in queued experiments and other clones."""

from __future__ import annotations

import subprocess
from pathlib import Path


def is_left_behind(path: Path) -> bool:
    """Whether a file lies in a repository, yet neither git nor DVC tracks it or a folder that it is in."""
    file = path.resolve()
    top = git(file.parent, "rev-parse", "--show-toplevel")
    if top is None:
        return False
    inside = [part for part in (file, *file.parents) if part.is_relative_to(top) and part != Path(top)]
    by_dvc = any(part.with_name(f"{part.name}.dvc").is_file() for part in inside)
    return not by_dvc and git(file.parent, "ls-files", "--error-unmatch", file.name) is None


def git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails, or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
