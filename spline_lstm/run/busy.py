"""Whether another run is at work in this folder: two would share one params.yaml, which must rest while one is."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import psutil

from spline_lstm.run.errors import BusyError, ParamsError

SCRIPT, SHELLS = "run_e2e.sh", ("bash", "sh")
COMMANDS = (["repro"], ["exp", "run"], ["experiments", "run"])  # of DVC, which execute stages in the folder itself
STAGES = ("preprocess", "train", "evaluate", "backtest", "report")  # one may outlive the DVC that started it
CLOCK_ERROR = 2.0  # seconds: the system counts when processes began from a whole second


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
        started: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):  # it has ended by now
            started = psutil.Process(pid).children(recursive=True)
        raise BusyError(
            f"`{folder.resolve()}` must have one run at a time. Received: `{command:.200}`, process {pid}, is at work "
            "there. Wait until it ends, or stop it and what it started with "
            f"`kill {' '.join(str(each) for each in (pid, *(child.pid for child in started)))}`, and run again."
        )


def require_rest(path: Path) -> None:
    """Refuse params that were written since the `dvc repro` began that this process is part of.

    DVC plans by those it has read first, and records those that it finds when a stage ends.

    Raises:
        ParamsError: They were.
    """
    for process in psutil.Process().parents():
        with contextlib.suppress(psutil.Error, OSError):  # that there are none is said by who reads them
            is_repro = _asked_of_dvc(process.cmdline())[:1] == ["repro"]
            if is_repro and path.stat().st_mtime > process.create_time() + CLOCK_ERROR:
                raise ParamsError(
                    f"`{path}` must stay as it is while `dvc repro` runs. Received: one that was written after it "
                    "began. Run `dvc repro` again."
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
    asked = _asked_of_dvc(words)
    is_shell = bool(words) and Path(words[0]).name in SHELLS and "-c" not in words
    is_run = (
        (is_shell and SCRIPT in (Path(word).name for word in words))
        or any(asked[: len(command)] == command for command in COMMANDS)
        or any(pair in [("-m", f"stages.{name}") for name in STAGES] for pair in pairwise(words))
    )
    return _Run(began, process.pid, " ".join(words)) if is_run and there and Path(there) == folder else None


def _asked_of_dvc(words: Sequence[str]) -> list[str]:
    """What a command line asks of DVC, without options; nothing where it is another program's."""
    names = [Path(word).name for word in words]
    return [word for word in words[names.index("dvc") + 1 :] if not word.startswith("-")] if "dvc" in names else []
