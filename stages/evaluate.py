"""Score the best checkpoint on test windows, beside the baselines."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from typing import Any

import pandas as pd

from spline_lstm.data.prepared import Prepared, load_prepared
from spline_lstm.run.contract import open_trained
from spline_lstm.run.files import read_pickle, replacing, write_csv, write_json
from spline_lstm.scores.doubt import verdict
from spline_lstm.scores.forecasts import Forecasts
from spline_lstm.scores.predictions import (
    predictions_table,
    separate_windows,
    shown_series,
    target_span,
    write_predictions,
)
from stages._run import SHARED, current_run, import_tensorflow, plain_parser, run

log = logging.getLogger(__name__)


def evaluate(_: argparse.Namespace) -> Mapping[str, Any]:
    params, paths = current_run()
    training = open_trained(paths)
    prepared = load_prepared(paths).seen_by(training)
    scale = params.evaluate.scale_of(len(read_pickle(paths.preprocessor)["data"]["target"]))
    units = prepared.units(scale)
    import_tensorflow()
    from spline_lstm.model.checkpoints import load_checkpoint
    from spline_lstm.scores.scoring import forecast_test, score_test

    model, asked = load_checkpoint(paths.best_checkpoint), params.evaluate
    test, certainty, beyond = forecast_test(prepared, model, asked.levels, units)
    newest, pooled = certainty.newest(prepared.layout.ends[: len(prepared.names)])
    content = {
        "run_id": params.run_id,
        "scale": scale,
        **score_test(prepared, test, units),
        "targets": target_span(test, prepared.timestamps),
        "validation": beyond,
        "checkpoints": {
            name: {"path": str(file), "sha256": training["sha256"][file.name], "epoch": training[epoch]}
            for name, file, epoch in (
                ("best", paths.best_checkpoint, "best_epoch"),
                ("last", paths.last_checkpoint, "epochs"),
            )
        },
        "intervals": {
            "coverage": asked.coverage,
            "quantiles": asked.quantiles,
            "levels": asked.levels,
            "power": certainty.scale.power,
            "hourly": {
                name: scales.tolist()
                for name, scales in zip(prepared.names, certainty.scale.hourly, strict=True)
                if (scales != 1).any()
            },
            "half_widths": dict(zip(prepared.names, newest.tolist(), strict=True)),
            "pooled": pooled.tolist(),
        },
    }
    with replacing(paths.predictions) as file:
        write_predictions(file, test, prepared.names, prepared.timestamps, asked.coverage, asked.quantiles)
    write_csv(paths.series_scores, _series_table(content["per_series"]))
    write_json(paths.metrics, content)
    _write_comparable(prepared, test, content)
    summary = {key: content["metrics"][key] for key in ("rmse", "mae", "skill", "skill_margin", "coverage")}
    skill, margin = (
        "undefined" if value is None else f"{value:.3f}" for value in (summary["skill"], summary["skill_margin"])
    )
    log.info(
        "RMSE %.4g, MAE %.4g, skill against the best baseline %s, give or take %s",
        *(summary["rmse"], summary["mae"], skill, margin),
    )
    return {"run_id": params.run_id, **summary}


def _series_table(per_series: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row per series: its scores, how the model does against the best baseline, and the RMSE of that one."""
    rows = [
        {
            "series_id": name,
            **{key: value for key, value in scores.items() if key != "baselines"},
            "verdict": verdict(scores),
            "best_baseline_rmse": scores["baselines"][scores["best_baseline"]]["rmse"],
        }
        for name, scores in per_series.items()
    ]
    return pd.DataFrame(rows)


def _write_comparable(prepared: Prepared, test: Forecasts, content: Mapping[str, Any]) -> None:
    """The files without a run_id, which DVC compares between experiments."""
    baselines = {name: table["rmse"] for name, table in content["baselines"].items()}
    validation = {f"validation_{name}": value for name, value in content["validation"].items()}
    write_json(SHARED.metrics, {**content["metrics"], **validation, "baseline_rmse": baselines})
    shown = shown_series(content["per_series"])
    plotted = separate_windows(predictions_table(test, prepared.names, prepared.timestamps, shown))
    plotted["residual"] = plotted["y_true"] - plotted["y_pred"]
    write_csv(SHARED.predictions, plotted)
    write_csv(SHARED.horizon_errors, pd.DataFrame(content["per_step"]))


def main(arguments: list[str] | None = None) -> int:
    return run(evaluate, plain_parser("evaluate", __doc__), arguments)


if __name__ == "__main__":
    sys.exit(main())
