"""The health gate: does a finished run have every artifact, intact and of one run?"""

from __future__ import annotations

import math
from pathlib import Path

from spline_lstm.run.contract import (
    NPZ_KEYS,
    REQUIRED_METRICS,
    RunPaths,
    mapping,
    open_backtest,
    open_preprocessed,
    open_trained,
    require_gated,
    require_keys,
    require_same_run,
    way_back,
)
from spline_lstm.run.errors import ArtifactError, UnhealthyRunError
from spline_lstm.run.files import read_json, read_npz, sha256


def newest_run(root: Path) -> str:
    """The run whose metrics were written last.

    Raises:
        UnhealthyRunError: No run has metrics.
    """
    files = [file for file in (root / "metrics").glob("*.json") if file.is_file()]
    metrics = sorted(files, key=lambda path: path.stat().st_mtime)
    if not metrics:
        raise UnhealthyRunError(
            f"`{root / 'metrics'}` must hold the metrics of a finished run. Received: none. Run `dvc repro`."
        )
    return metrics[-1].stem


def check_run(paths: RunPaths) -> int:
    """Pass every gate of a finished run.

    Returns:
        The number of artifacts checked.

    Raises:
        RunIdMismatchError: An artifact names another run (compared before anything else).
        UnhealthyRunError: An artifact or a metric is missing.
        ArtifactError: An artifact lacks a key, has the wrong schema or was changed.
    """
    named = (paths.metrics, paths.meta, paths.split_contract, paths.preprocessor, paths.training, paths.backtest)
    require_same_run(paths, *named, paths.metadata)
    files = [file for group in paths.artifacts().values() for file in group]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise UnhealthyRunError(
            f"Run {paths.run_id!r} must have all of its {len(files)} artifacts. Received: "
            f"{'none' if len(missing) == len(files) else 'no ' + ', '.join(missing)}. {way_back(paths)}"
        )
    _require_metrics(paths)
    require_keys(paths.processed, read_npz(paths.processed), *NPZ_KEYS)
    open_preprocessed(paths)
    open_trained(paths)
    open_backtest(paths)
    recorded = mapping(require_keys(paths.metadata, read_json(paths.metadata), "artifacts")["artifacts"])
    for file in files:
        name = file.relative_to(paths.root).as_posix()
        if file != paths.metadata and recorded.get(name) != sha256(file):
            raise ArtifactError(
                f"`{file}` must have the sha256 recorded in `{paths.metadata}`. Received: another. "
                f"It was changed after the run. {way_back(paths)}"
            )
    require_gated(paths)
    return len(files)


def _require_metrics(paths: RunPaths) -> None:
    content = read_json(paths.metrics)
    missing = [key for key in ("metrics", "checkpoints") if key not in content]
    scores = mapping(content.get("metrics"))
    missing += [f"metrics.{key}" for key in REQUIRED_METRICS if key not in scores]
    if missing:
        raise UnhealthyRunError(
            f"`{paths.metrics}` must hold run_id, metrics, checkpoints and the scores {', '.join(REQUIRED_METRICS)}. "
            f"Received: no {', '.join(missing)}. {way_back(paths)}"
        )
    if not math.isfinite(scores["rmse"] if isinstance(scores["rmse"], int | float) else math.nan):
        raise UnhealthyRunError(
            f"`{paths.metrics}` must hold a finite rmse. Received: {scores['rmse']!r:.40}. Look at the report."
        )
