"""Tasks in worker processes, with results that do not depend on how many workers there are."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
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
    with _one_thread_each(), ProcessPoolExecutor(min(workers, len(tasks)), context, start) as pool:
        futures = [pool.submit(work, task) for task in tasks]
        try:
            for future in as_completed(futures):
                finished(future.result())
        except BrokenProcessPool as error:
            raise PipelineError(
                "Worker processes must live until their work is done. Received: one died, perhaps for want of memory. "
                "Run again with --workers 1."
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [future.result() for future in futures]


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
