"""Runs of the project's own stages, each in a folder of its own, a few at a time."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from spline_lstm.contract import RunPaths

ROOT = Path(__file__).parent.parent
RUN_ID = "bench"
STAGES = ("preprocess", "train", "evaluate")


@dataclass(frozen=True)
class Run:
    """A run of the stages.

    Attributes:
        name: Of its folder.
        params: Values that differ from the project's params.yaml, as `section.key`.
        prelude: Python that runs before a stage, for what no param can change.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    prelude: str = ""


def run_all(runs: Sequence[Run], folder: Path, read: Callable[[RunPaths], Any], jobs: int) -> dict[str, Any]:
    """Run each in `folder/NAME`, `jobs` at a time, and read what is wanted from what it left.

    A run whose result is in its folder already is not repeated, so that a killed benchmark goes on
    where it was. Each run's result gets `seconds`, the wall time of each of its stages.

    Raises:
        RuntimeError: A stage failed.
    """
    with ThreadPoolExecutor(jobs) as pool:
        results = list(tqdm(pool.map(lambda run: _run(run, folder / run.name, read, jobs), runs), total=len(runs)))
    return {run.name: result for run, result in zip(runs, results, strict=True)}


def _run(run: Run, folder: Path, read: Callable[[RunPaths], Any], jobs: int) -> Any:
    asked = {"params": dict(run.params), "prelude": run.prelude}
    done = folder / "result.json"
    if done.exists() and (earlier := json.loads(done.read_text(encoding="utf-8")))["asked"] == asked:
        return earlier["result"]
    folder.mkdir(parents=True, exist_ok=True)
    _write_params(folder / "params.yaml", run.params)
    seconds = {stage: _run_stage(stage, folder, run.prelude, jobs) for stage in STAGES}
    paths = RunPaths(folder / "artifacts", RUN_ID)
    result = {**read(paths), "seconds": seconds}
    for file in (paths.predictions, paths.processed):
        file.unlink()  # hundreds of megabytes over all runs
    done.write_text(json.dumps({"asked": asked, "result": result}), encoding="utf-8")
    return result


def _write_params(file: Path, values: Mapping[str, Any]) -> None:
    content = copy.deepcopy(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")))
    for name, value in {**values, "run_id": RUN_ID}.items():
        *sections, key = name.split(".")
        section = content
        for part in sections:
            section = section[part]
        section[key] = value
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _run_stage(stage: str, folder: Path, prelude: str, jobs: int) -> float:
    code = f"import sys\n{prelude}\nfrom stages import {stage}\nsys.exit({stage}.main([]))"
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TF_NUM_INTRAOP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
    }
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    (folder / f"{stage}.log").write_text(done.stderr, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"{stage} must succeed in {folder}. Received: exit code {done.returncode}. See {stage}.log.")
    return time.perf_counter() - start
