"""Tasks in workers: in their order, one thread each, with the error of the one that failed."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys

import psutil
import pytest
from conftest import ROOT

from spline_lstm.run import errors
from spline_lstm.run.errors import DataError, InsufficientDataError, PipelineError
from spline_lstm.run.workers import THREADS, work_through


def double(number: int) -> int:
    return 2 * number


def setting(name: str) -> str | None:
    return os.environ.get(name)


def fail(number: int) -> int:
    if number:
        raise InsufficientDataError(f"Too short. Received: {number}.")
    return number


def die(_number: int) -> None:
    os._exit(9)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_stand_in_order_of_the_tasks(workers):
    seen: list[int] = []

    assert work_through(double, range(5), workers, finished=seen.append) == [0, 2, 4, 6, 8]
    assert sorted(seen) == [0, 2, 4, 6, 8]


def test_each_worker_has_one_thread_and_this_process_is_left_as_it_was(monkeypatch):
    monkeypatch.setenv(THREADS[0], "3")
    monkeypatch.delenv(THREADS[1], raising=False)

    assert work_through(setting, THREADS, 1) == ["1"] * len(THREADS)
    assert os.environ[THREADS[0]] == "3"
    assert THREADS[1] not in os.environ


def test_the_error_of_a_worker_keeps_its_type_and_words():
    with pytest.raises(InsufficientDataError, match=r"Too short\. Received: 2\."):
        work_through(fail, [0, 2], 1)


def test_a_worker_that_died_is_named():
    with pytest.raises(PipelineError, match="must live"):
        work_through(die, [0], 1)


ENDLESS = r"""
import os, signal, time
from spline_lstm.run.workers import work_through
def wait(_number):
    os.write(1, b"at work\n")  # one write: what `print` writes, another worker may write amid it
    time.sleep(120)
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts in the background
    work_through(wait, [1, 2], 2)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(tmp_path, how):
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS, encoding="utf-8")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script], env=environment, **pipes) as process:
        for _ in range(2):
            assert process.stdout.readline() == b"at work\n"
        started = psutil.Process(process.pid).children(recursive=True)

        process.send_signal(how)

        left = psutil.wait_procs([psutil.Process(process.pid), *started], timeout=60)[1]
        for each in left:
            each.kill()
        assert not left


def test_every_error_comes_out_of_a_pickle_as_it_went_in():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PipelineError)]
    assert DataError in kinds

    for kind in kinds:
        copy = pickle.loads(pickle.dumps(kind("what must hold")))
        assert type(copy) is kind
        assert (str(copy), copy.exit_code) == ("what must hold", kind.exit_code)

    copy = pickle.loads(pickle.dumps(DataError("What must hold. Mend it.", "say so")))
    assert str(copy) == "What must hold. Mend it, or say so."
    assert str(copy.of_finished_run()) == "What must hold. Mend it, or say so and train another run."
