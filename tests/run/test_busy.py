"""Of runs in one folder all but the first are refused, by what processes there are."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
import time

import psutil
import pytest
from conftest import ROOT

from spline_lstm.run.busy import require_idle
from spline_lstm.run.errors import BusyError

ASKS = """
import sys
from pathlib import Path
from spline_lstm.run.busy import require_idle
from spline_lstm.run.errors import BusyError
print("there", flush=True)
sys.stdin.readline()
try:
    require_idle(Path())
except BusyError as error:
    sys.exit(str(error))
"""


def script(folder, content):
    """The path of a script of that name which operators run."""
    file = folder / "scripts" / "run_e2e.sh"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{content}\ntrue\n", encoding="utf-8")  # so that bash stays
    return "scripts/run_e2e.sh"


@contextlib.contextmanager
def at_work(folder, *words):
    """A process with such a command line, which asks when it is told to; a script is one of bash."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    (folder / "ask.py").write_text(ASKS, encoding="utf-8")
    command = [sys.executable, "ask.py", *words]
    if words[0].endswith(".sh"):
        command = ["bash", script(folder, shlex.join(command))]
    with subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes) as process:
        assert process.stdout.readline() == "there\n"
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["/bin/dvc", "repro"], True),
        (["dvc", "-v", "repro", "train"], True),
        (["dvc", "exp", "run", "-S", "seed=2"], True),
        (["scripts/run_e2e.sh"], True),
        (["-m", "stages.train"], True),  # whose DVC was killed
        (["-m", "stages.forecast"], False),
        (["dvc", "exp", "show"], False),
        (["dvc", "status"], False),
        (["notes about dvc", "repro"], False),
        (["tail", "-f", "scripts/run_e2e.sh"], False),
    ],
)
def test_a_run_that_began_earlier_is_named(tmp_path, words, refused):
    with at_work(tmp_path, *words) as process:
        expected = pytest.raises(BusyError, match=rf"{words[-1]}`, process {process.pid}, is at work there.*kill")
        with expected if refused else contextlib.nullcontext():
            require_idle(tmp_path)
        require_idle(tmp_path.parent)
    require_idle(tmp_path)


def test_of_two_runs_the_first_goes_on(tmp_path):
    with at_work(tmp_path, "dvc", "repro") as first:
        time.sleep(0.05)  # when a process began is known to a hundredth of a second
        with at_work(tmp_path, "scripts/run_e2e.sh") as second:
            said = second.communicate("now\n", timeout=60)[1]
            assert f"process {first.pid}" in said
        with at_work(tmp_path, "scripts/run_e2e.sh"):
            first.communicate("now\n", timeout=60)
            assert first.returncode == 0


def test_the_command_that_is_named_frees_the_folder_of_a_run_and_what_it_started(tmp_path):
    with subprocess.Popen(["bash", script(tmp_path, "sleep 60")], cwd=tmp_path) as process:
        while not (started := psutil.Process(process.pid).children()):
            time.sleep(0.01)
        with pytest.raises(BusyError) as raised:
            require_idle(tmp_path)

        subprocess.run(re.findall(r"`(kill [\d ]+)`", str(raised.value))[0].split(), check=True)

        assert process.wait(60) != 0
        assert not psutil.wait_procs(started, timeout=60)[1]
        require_idle(tmp_path)
