"""Runs of the project's own stages, each in a folder of its own, a few at a time."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from spline_lstm.run.contract import RunPaths

ROOT = Path(__file__).parent.parent
RUN_ID = "bench"
STAGES = ("stages.preprocess", "stages.train", "stages.evaluate")


@dataclass(frozen=True)
class Run:
    """A run of the stages.

    Attributes:
        name: Of its folder.
        params: Values that differ from the project's params.yaml, as `section.key`.
        prelude: Python that runs before a module, for what no param can change.
        modules: What to run, one after the other, each by its `main`.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    prelude: str = ""
    modules: tuple[str, ...] = STAGES


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options of benchmarks that make runs."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--seeds", type=int, nargs="+", default=(1, 2, 3), help="(%(default)s)")
    result.add_argument("--jobs", type=int, default=2, help="runs at a time (%(default)s)")
    result.add_argument(
        "--folder", type=Path, default=ROOT / ".bench", help="where runs are kept; finished ones are not repeated"
    )
    return result


def project_params(values: Mapping[str, Any]) -> dict[str, Any]:
    """The content of params.yaml with some values changed, as `section.key`."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name, value in values.items():
        *sections, key = name.split(".")
        section = content
        for part in sections:
            section = section[part]
        section[key] = value
    return content


def read_scores(paths: RunPaths) -> dict[str, Any]:
    """Scores of model and baselines, and what validation chose."""
    metrics = json.loads(paths.metrics.read_text(encoding="utf-8"))
    training = json.loads(paths.training.read_text(encoding="utf-8"))
    tables = {"model": metrics["metrics"], **metrics["baselines"]}
    return {
        "scores": {name: {key: table[key] for key in ("mse", "mae", "rmse")} for name, table in tables.items()},
        "validation": training["validation"],
        "shares": training["model"]["shares"],
        "best_epoch": training["best_epoch"],
        "parameters": training["parameters"],
        "settings": json.loads(paths.meta.read_text(encoding="utf-8"))["settings"],
    }


def run_all(runs: Sequence[Run], folder: Path, read: Callable[[RunPaths], Any], jobs: int) -> dict[str, Any]:
    """Run each in `folder/NAME`, `jobs` at a time, and read what is wanted from what it left.

    A run whose result is in its folder already, made by the code as it is, is not repeated, so that a
    killed benchmark goes on where it was. Each run's result gets `seconds`, the wall time of each of its stages.

    Raises:
        RuntimeError: A stage failed.
    """
    with ThreadPoolExecutor(jobs) as pool:
        work = pool.map(lambda run: _run(run, folder / run.name, read, jobs), runs)
        results = list(tqdm(work, total=len(runs), unit="run"))
    return {run.name: result for run, result in zip(runs, results, strict=True)}


def _run(run: Run, folder: Path, read: Callable[[RunPaths], Any], jobs: int) -> Any:
    asked = json.loads(json.dumps({**dataclasses.asdict(run), "code": _code()}))
    done = folder / "result.json"
    if done.exists() and (earlier := json.loads(done.read_text(encoding="utf-8")))["asked"] == asked:
        return earlier["result"]
    folder.mkdir(parents=True, exist_ok=True)
    params = project_params({**run.params, "run_id": RUN_ID})
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    seconds = {module: _run_module(module, folder, run.prelude, jobs) for module in run.modules}
    paths = RunPaths(folder / "artifacts", RUN_ID)
    result = {**read(paths), "seconds": seconds}
    for file in (paths.predictions, paths.processed):
        file.unlink(missing_ok=True)  # hundreds of megabytes over all runs
    done.write_text(json.dumps({"asked": asked, "result": result}), encoding="utf-8")
    return result


@cache
def _code() -> str:
    """A hash of what a run's result depends on besides its params: also what here runs in it or makes its data."""
    ours = [ROOT / "benchmarks" / f"{name}.py" for name in ("missing", "plain_lstm", "unseen")]
    library, stages = sorted(ROOT.glob("spline_lstm/**/*.py")), sorted(ROOT.glob("stages/*.py"))
    files = [ROOT / "params.yaml", *ours, *library, *stages]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _run_module(module: str, folder: Path, prelude: str, jobs: int) -> float:
    code = f"import sys\n{prelude}\nimport {module} as module\nsys.exit(module.main([]))"
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    limits = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **limits},
        capture_output=True,
        text=True,
        check=False,
    )
    log = folder / f"{module}.log"
    log.write_text(done.stderr, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"{module} must succeed in {folder}. Received: exit code {done.returncode}. See {log}.")
    return time.perf_counter() - start
