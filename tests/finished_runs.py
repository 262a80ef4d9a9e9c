"""Finished runs of small tables, whose forecasts are the truth with some error: no model is trained."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sources import symmetric_forecasts

from spline_lstm.data.closed import following_timestamps
from spline_lstm.data.preprocessing import prepare
from spline_lstm.data.series import read_panel
from spline_lstm.data.windows import SPLITS
from spline_lstm.model.sizing import model_settings, train_settings
from spline_lstm.pages.finished import FinishedRun
from spline_lstm.run.params import parse_params
from spline_lstm.scores.evaluation import evaluate_forecasts
from spline_lstm.scores.predictions import target_span, write_predictions

HORIZON = 4
SHARES = {"linear": 0.2, "folded": 0.35, "holt_winters": 0.2, "members": 0.25}


def hourly(steps: int = 300, series: int = 1, seed: int = 0) -> pd.DataFrame:
    """A long table of series with a season of 12 steps: `when, name, load`."""
    rng = np.random.default_rng(seed)
    clock = pd.date_range("2024-03-01", periods=steps, freq="h")
    wave = np.sin(np.arange(steps) * 2 * np.pi / 12)
    tables = [
        pd.DataFrame({"when": clock, "name": f"s{number:02}", "load": 50 + 10 * wave + rng.normal(size=steps)})
        for number in range(series)
    ]
    return pd.concat(tables, ignore_index=True)


def finished_run(table: pd.DataFrame, folder: Path, errors: tuple[float, ...] = (), **changes: object) -> FinishedRun:
    """A run of a long table.

    Args:
        table: As `hourly` gives it; rows may be missing.
        folder: Where it is written.
        errors: Size of the errors of each baseline, by which it is named; the model's is 1.
        changes: Sections of params.
    """
    table.to_csv(folder / "table.csv", index=False)
    data = {"path": str(folder / "table.csv"), "timestamp": "when", "target": "load", "series_id": "name"}
    params = parse_params(
        {
            "run_id": "small",
            "windows": {"horizon": HORIZON, "lookback": 24},
            **changes,
            "data": {**data, **changes.get("data", {})},  # type: ignore[dict-item]
        }
    )
    panel = read_panel(folder / "table.csv", params.data, params.covariates, params.windows.horizon, split=params.split)
    prepared = prepare(panel, params)
    test, rng = prepared.windows("test"), np.random.default_rng(1)
    y_true = prepared.targets(test)
    noise = rng.normal(size=y_true.shape)
    y_true_or_mean = np.where(np.isnan(y_true), 50.0, y_true)
    levels = params.evaluate.levels
    forecasts = symmetric_forecasts(test.rows, test.origins, y_true, y_true_or_mean + noise, 2.0, levels)
    baselines = {f"off_by_{size:g}": y_true_or_mean + size * noise for size in errors or (2.0, 3.0)}
    scored = evaluate_forecasts(forecasts, baselines, prepared.names, *np.ones((2, len(prepared.names))))
    file = io.BytesIO()
    write_predictions(file, forecasts, prepared.names, prepared.timestamps, params.evaluate.coverage, ())
    predictions = pd.read_parquet(file)
    lookback = prepared.settings.lookback
    sizes = model_settings(params.spline, params.model, lookback, prepared.settings.horizon, 1, 100)
    return FinishedRun(
        params,
        prepared,
        {
            "findings": {**panel.findings, "doubted": {}, "covariates": prepared.encoding.findings(panel)},
            "dropped": dict(prepared.dropped),
            "lacking": dict(prepared.lacking),
            "windows": {split: {"used": len(prepared.windows(split)), "dropped": 0} for split in SPLITS},
            "input": {"path": params.data.path, "sha256": "0" * 64},
        },
        {
            "model": {**sizes, "cycles": 15, "season": 12, "shares": SHARES},
            "train": train_settings(params.train, len(prepared.names)).model_dump(mode="json"),
            "clock": False,
            "delays": False,
            "parameters": 1234,
            "best_epoch": 2,
            "epochs": 3,
            "epochs_again": 1,
        },
        pd.DataFrame({"epoch": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "validation_mse": [2.0, 1.0, 1.5]}),
        {
            "scale": "original",
            "targets": target_span(forecasts, prepared.timestamps),
            "intervals": {
                "levels": levels,
                "hourly": {},
                **params.evaluate.model_dump(include={"coverage", "quantiles"}),
            },
            **scored,
        },
        predictions[["series_id", "y_true", "y_pred"]],
        predictions,
        _forecast(prepared, prepared.settings.horizon),
        {"folds": []},
        predictions[:0],
    )


def _forecast(prepared, horizon: int) -> pd.DataFrame:
    settings, rows = prepared.settings, []
    clock = prepared.timestamps.append(
        following_timestamps(prepared.timestamps, settings.frequency, horizon, settings.closed, settings.timezone)
    )
    for name, end in zip(prepared.names, prepared.layout.ends, strict=False):
        for step in range(1, horizon + 1):
            rows.append((name, clock[end - 1], clock[end - 1 + step], step, 50.0 + step, 48.0 + step, 52.0 + step))
    return pd.DataFrame(rows, columns=["series_id", "origin", "timestamp", "step", "y_pred", "y_lower", "y_upper"])


def with_training(run: FinishedRun, **changes: object) -> FinishedRun:
    """The same run with other settings of its model."""
    return replace(run, training={**run.training, "model": {**run.training["model"], **changes}})
