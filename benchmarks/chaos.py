"""Faults at random moments of real runs: does a plain `dvc repro` always end in the bytes of an undisturbed one?

Works in a clone of the last commit. Ends with 1 where a run ends otherwise.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from benchmarks.runs import ROOT

SMALL = ("train.epochs=3", "model.units=4", "windows.horizon=8")
HALF_WRITTEN = {
    "'./dvc.lock' validation failed": "dvc.lock",
    "'./dvc.lock' is invalid": "dvc.lock",
    "Unable to read RWLock-file": ".dvc/tmp/rwlock",
}
RUN_CACHE_UNREAD = "--no-run-cache"
EMPTY_FOLDER = "join() argument must be str, bytes, or os.PathLike object, not 'NoneType'"  # of the run cache
PAUSE = 0.5  # seconds in which the system takes up what a killed process held


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=100, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of moments and kinds (%(default)s)")
    options = parser.parse_args()
    dice, counts = random.Random(options.seed), collections.Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "project")
        # What one run compiled is kept for the others: more faults in the same time.
        os.environ["TF_XLA_FLAGS"] = f"--tf_xla_persistent_cache_directory={folder}/compiled"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
        short = [sys.executable, "-m", "stages.preflight", *(f"--set={value}" for value in SMALL)]
        subprocess.run(short, cwd=project, check=True, capture_output=True)
        expected = _undisturbed(project, "--force")
        started = time.monotonic()
        _undisturbed(project, "--force")
        usual = time.monotonic() - started
        _begin_anew(project)
        for _ in tqdm(range(options.faults), unit="fault"):
            while (run := _started(project, dice.uniform(0, usual))).poll() is not None:  # it ended before its fault
                counts["ended otherwise"] += _undisturbed(project) != expected
                _begin_anew(project)
            fault = dice.choice(list(FAULTS))
            FAULTS[fault](project, run)
            counts[fault] += 1
            run.wait()
            time.sleep(PAUSE)
            if dice.random() < 0.2:
                counts["ended otherwise"] += _undisturbed(project) != expected
                _begin_anew(project)
        counts["ended otherwise"] += _undisturbed(project) != expected
    print(", ".join(f"{name}: {count}" for name, count in sorted(counts.items())), file=sys.stderr)
    survived = not counts["ended otherwise"]
    print("every run ended in the bytes of an undisturbed one" if survived else "NOT every run ended in the same bytes")
    return 0 if survived else 1


def _started(project: Path, seconds: float) -> subprocess.Popen[bytes]:
    """A run that was begun so long ago."""
    quiet = subprocess.DEVNULL
    run = subprocess.Popen(["dvc", "repro"], cwd=project, stdout=quiet, stderr=quiet, start_new_session=True)
    time.sleep(seconds)
    return run


def _undisturbed(project: Path, *options: str) -> Any:
    """What dvc.lock holds after a run to the end; None, and what went wrong, where there is none.

    Where DVC was killed while it wrote files of its own, what the runbook says is done.
    """
    done = subprocess.run(["dvc", "repro", *options], cwd=project, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        lock = (project / "dvc.lock").read_text(encoding="utf-8")
        return yaml.safe_load(lock)  # stages are in order of their execution
    for file in {file for words, file in HALF_WRITTEN.items() if words in done.stderr}:
        print(f"DVC was killed while it wrote {file}: removed", file=sys.stderr)
        (project / file).unlink()
        return _undisturbed(project, *options)
    if EMPTY_FOLDER in done.stderr and RUN_CACHE_UNREAD not in options:
        print("DVC was killed while it wrote its run cache: not read", file=sys.stderr)
        return _undisturbed(project, *options, RUN_CACHE_UNREAD)
    print(done.stdout + done.stderr, file=sys.stderr)
    return None


def _begin_anew(project: Path) -> None:
    for name in ("artifacts", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(project / name, ignore_errors=True)
    (project / "dvc.lock").unlink(missing_ok=True)


def _kill_all(_: Path, run: subprocess.Popen[bytes]) -> None:
    os.killpg(run.pid, signal.SIGKILL)


def _terminate_all(_: Path, run: subprocess.Popen[bytes]) -> None:
    os.killpg(run.pid, signal.SIGTERM)


def _kill_dvc(_: Path, run: subprocess.Popen[bytes]) -> None:
    run.kill()


def _lose_cache(project: Path, run: subprocess.Popen[bytes]) -> None:
    os.killpg(run.pid, signal.SIGKILL)
    shutil.rmtree(project / ".dvc" / "cache", ignore_errors=True)


def _lose_lock(project: Path, run: subprocess.Popen[bytes]) -> None:
    os.killpg(run.pid, signal.SIGKILL)
    (project / "dvc.lock").unlink(missing_ok=True)


FAULTS: dict[str, Callable[[Path, subprocess.Popen[bytes]], None]] = {
    "killed": _kill_all,
    "terminated": _terminate_all,
    "killed but for the stage": _kill_dvc,
    "cache lost": _lose_cache,
    "dvc.lock lost": _lose_lock,
}

if __name__ == "__main__":
    sys.exit(main())
