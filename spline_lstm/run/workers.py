"""Tasks in worker processes, with results that do not depend on how many workers there are."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from spline_lstm.run.errors import PipelineError

Task = TypeVar("Task")
Result = TypeVar("Result")

# Sums have other bits with another number of threads, and workers would fight for the cores.
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def work_through(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: int,
    start: Callable[[], None] | None = None,
    finished: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """Do tasks in fresh processes of one thread each, even if there is one worker only.

    Args:
        work: A function at the top of a module.
        tasks: What it is given, one after the other.
        workers: Processes, at most.
        start: What each process does first.
        finished: Called with each result as soon as there is one.

    Returns:
        Results in order of the tasks.

    Raises:
        PipelineError: What a task raised, or that a process died.
    """
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(min(workers, len(tasks)), context, _begin, (start,)) as pool:
        try:
            futures = [pool.submit(work, task) for task in tasks]
            for future in as_completed(futures):
                finished(future.result())
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        except BrokenProcessPool as error:
            raise PipelineError(
                "Worker processes must live until their work is done. Received: one died, perhaps for want of memory. "
                "Run again with --workers 1."
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [future.result() for future in futures]


def _begin(start: Callable[[], None] | None) -> None:
    """What each process does first: it leaves interruptions to its parent, and ends with it, even if that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start:
        start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Children inherit the environment; this process has read its own already."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
