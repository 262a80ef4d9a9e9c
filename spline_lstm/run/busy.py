"""Whether another run is at work in this folder: two would share one params.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import psutil

from spline_lstm.run.errors import BusyError

SCRIPT = "run_e2e.sh"
COMMANDS = (["repro"], ["exp", "run"], ["experiments", "run"])  # of DVC, which execute stages in the folder itself


def require_idle(folder: Path) -> None:
    """Refuse a folder in which another run began earlier.

    Of two that begin at the same time the later one is refused, so one goes on. Processes are asked, not a lock file,
    which a run that was killed would leave behind.

    Raises:
        BusyError: Another run is at work there.
    """
    family = {psutil.Process().pid, *(each.pid for each in psutil.Process().parents())}
    runs = sorted(each for process in psutil.process_iter() if (each := _run(process, folder.resolve())))
    if runs and runs[0].pid not in family:
        _, pid, command = runs[0]
        raise BusyError(
            f"`{folder.resolve()}` must have one run at a time. Received: `{command:.200}`, process {pid}, is at work "
            f"there. Wait until it ends, or stop it with `kill {pid}`, and run again."
        )


class _Run(NamedTuple):
    began: float
    pid: int
    command: str


def _run(process: psutil.Process, folder: Path) -> _Run | None:
    """The run that a process is, if it is one in this folder."""
    try:
        words, there, began = process.cmdline(), process.cwd(), process.create_time()
    except psutil.Error:  # it has ended, or is somebody else's
        return None
    names = [Path(word).name for word in words]
    asked = [word for word in words[names.index("dvc") + 1 :] if not word.startswith("-")] if "dvc" in names else []
    is_run = SCRIPT in names or any(asked[: len(command)] == command for command in COMMANDS)
    return _Run(began, process.pid, " ".join(words)) if is_run and there and Path(there) == folder else None
