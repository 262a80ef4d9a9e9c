"""The windows that field.py compares, what a run forecast for them, and what its peers may know of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.field_scores import COVERAGES, QUANTILES, columns, covered
from benchmarks.runs import read_scores
from spline_lstm.data.calendar import local_time
from spline_lstm.data.prepared import Prepared, load_prepared
from spline_lstm.data.windows import WindowIndex
from spline_lstm.run.contract import RunPaths
from spline_lstm.run.files import read_json, write_npz

LEAST, MOST = 30, 120  # windows of a file, where it has so many
HISTORY = 3000  # steps at most that a peer is fitted to at an origin


def compared_file(paths: RunPaths) -> Path:
    """Targets of the compared windows, and what was forecast for them."""
    return paths.root.parent / "compared.npz"


def peers_file(paths: RunPaths) -> Path:
    """What peers may know."""
    return paths.root.parent / "peers.npz"


def compared(windows: WindowIndex, horizon: int) -> np.ndarray:
    """Which windows of the test split are compared, by their numbers.

    Of each series, counted back from its newest window, those that share no target, a step more than the horizon
    apart, so that origins come at all times of a day that is one horizon long. Where the file would have fewer than
    `LEAST` of them, they overlap; where it would have more than `MOST`, fewer of each series, evenly spread.
    """
    rows, origins = windows.rows, windows.origins
    stride = min(horizon + 1, max(1, len(windows) // LEAST))
    present = np.unique(rows)
    most = max(1, MOST // len(present))
    return np.concatenate([_spaced(np.flatnonzero(rows == row), origins, stride, most) for row in present])


def _spaced(numbers: np.ndarray, origins: np.ndarray, stride: int, most: int) -> np.ndarray:
    """Of the windows of a series, those that lie a stride apart at least, so many at most."""
    kept = [numbers[-1]]
    for number in numbers[::-1]:
        if origins[kept[-1]] - origins[number] >= stride:
            kept.append(number)
    chosen = np.array(kept[::-1])
    return chosen[np.linspace(0, len(chosen) - 1, min(most, len(chosen))).round().astype(int)]


def independent(windows: WindowIndex, horizon: int) -> int:
    """How many windows of the test split share no target, over all series."""
    rows, origins = windows.rows, windows.origins
    return sum(len(_spaced(np.flatnonzero(rows == row), origins, horizon, len(rows))) for row in np.unique(rows))


def read(seasons: Sequence[int], paths: RunPaths) -> dict[str, Any]:
    """Scores of all test windows; the windows that are compared are left in files, for other scores and for peers.

    Raises:
        RuntimeError: Predictions are of other windows than the prepared run has.
    """
    prepared = load_prepared(paths)
    windows, horizon = prepared.windows("test"), prepared.settings.horizon
    table = pd.read_parquet(paths.predictions, columns=["origin", "y_true", *columns()])
    y_true = table["y_true"].to_numpy().reshape(-1, horizon)
    forecasts = table[columns()].to_numpy().reshape(-1, horizon, len(QUANTILES))
    if not np.array_equal(table["origin"].to_numpy()[::horizon], prepared.timestamps[windows.origins].to_numpy()):
        raise RuntimeError(f"{paths.predictions} must hold the test windows of the prepared run. Received: others.")
    chosen, several = compared(windows, horizon), len(prepared.names) > 1
    unit = prepared.spread[windows.rows[chosen]] if several else np.ones(len(chosen))
    left = {"y_true": y_true[chosen], "forecasts": forecasts[chosen], "unit": unit}
    write_npz(compared_file(paths), left)
    write_npz(peers_file(paths), _known_to_peers(prepared, chosen, seasons))
    return {
        **read_scores(paths),
        "ridge": _against_ridge(read_json(paths.metrics)["per_series"]),
        "coverage": {str(coverage): covered(y_true, forecasts, coverage) for coverage in COVERAGES},
        "independent": independent(windows, horizon),
        "windows": len(windows),
        "compared": len(chosen),
        "series": len(np.unique(windows.rows)),
    }


def _against_ridge(per_series: dict[str, Any]) -> float:
    """RMSE of all test windows over that of the run's own ridge, its mean over series."""
    ratios = [table["rmse"] / table["baselines"]["ridge"]["rmse"] for table in per_series.values()]
    return sum(ratios) / len(ratios)


def _known_to_peers(prepared: Prepared, chosen: np.ndarray, seasons: Sequence[int]) -> dict[str, np.ndarray]:
    """Arrays for field_peers.py, original units: histories as of the compared origins, and windows to learn from.

    Gaps are filled as they are for the model, which knows nothing after an origin.
    """
    rows, origins = prepared.windows("test").at(chosen)
    clock = local_time(prepared.timestamps, prepared.settings.timezone)
    return {
        "histories": np.stack([_history(prepared, *window) for window in zip(rows, origins, strict=True)]),
        "test_rows": rows,
        "test_origins": origins,
        **_learned_from(prepared, "train"),
        **_learned_from(prepared, "validation"),
        "spread": prepared.spread,
        "clock": clock.asi8,
        "lookback": np.array(prepared.settings.lookback),
        "horizon": np.array(prepared.settings.horizon),
        "seasons": np.array(seasons),
        "quantiles": np.array(QUANTILES),
    }


def _history(prepared: Prepared, row: int, origin: int) -> np.ndarray:
    """`(HISTORY,)`, the newest steps of a series up to an origin, NaN before its first."""
    rows, origins = np.array([row]), np.array([origin])
    length = min(HISTORY, int(origin - prepared.layout.starts[row]) + 1)
    values = prepared.scaler.restore(prepared.source.inputs(rows, origins, length), rows)[0]
    return np.pad(values, (HISTORY - length, 0), constant_values=np.nan)


def _learned_from(prepared: Prepared, split: str) -> dict[str, np.ndarray]:
    windows = prepared.windows(split)
    inputs = prepared.scaler.restore(prepared.source.inputs(windows.rows, windows.origins), windows.rows)
    return {
        f"{split}_inputs": inputs.astype(np.float32),
        f"{split}_targets": prepared.targets(windows),
        f"{split}_rows": windows.rows,
        f"{split}_origins": windows.origins,
    }
