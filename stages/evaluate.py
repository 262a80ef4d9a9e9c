"""Score the best checkpoint on test windows, beside the baselines, and write the report."""

from __future__ import annotations

import argparse
import io
import logging
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.data.prepared import Prepared, load_prepared
from spline_lstm.data.windows import WindowIndex
from spline_lstm.model.ridge import fit_ridge
from spline_lstm.run.contract import RunPaths, open_preprocessed, open_trained
from spline_lstm.run.files import read_bytes, read_json, write_bytes, write_json, write_text
from spline_lstm.run.params import EvaluateParams
from spline_lstm.scores.baselines import baseline_forecasts
from spline_lstm.scores.evaluation import Forecasts, evaluate_forecasts
from spline_lstm.scores.intervals import conformal_half_widths
from spline_lstm.scores.metrics import mase_scale
from spline_lstm.scores.predictions import predictions_parquet, separate_windows
from stages._run import SHARED, current_run, import_tensorflow, plain_parser, run

log = logging.getLogger(__name__)


def evaluate(_: argparse.Namespace) -> Mapping[str, Any]:
    params, paths = current_run()
    prepared = load_prepared(paths)
    training = open_trained(paths)
    forecasts, half_widths, pooled = _forecasts(paths, prepared, params.evaluate)
    _, _, preprocessor = open_preprocessed(paths)
    scale = params.evaluate.scale or ("original" if len(preprocessor["data"]["target"]) == 1 else "standardized")
    scored = _scored(prepared, forecasts, scale)
    checkpoints = {
        name: {"path": str(file), "sha256": training["sha256"][file.name], "epoch": training[epoch]}
        for name, file, epoch in (
            ("best", paths.best_checkpoint, "best_epoch"),
            ("last", paths.last_checkpoint, "epochs"),
        )
    }
    content = {
        "run_id": params.run_id,
        "scale": scale,
        **scored,
        "checkpoints": checkpoints,
        "intervals": {
            "coverage": params.evaluate.coverage,
            "half_widths": {name: half_widths[row].tolist() for row, name in enumerate(prepared.names)},
            "pooled": pooled.tolist(),
        },
    }
    write_bytes(paths.predictions, predictions_parquet(forecasts, prepared.names, prepared.timestamps))
    write_json(paths.metrics, content)
    _write_report(params.run_id, paths, prepared, forecasts, content, training, params.evaluate)
    _write_comparable(prepared, forecasts, content)
    summary = {key: content["metrics"][key] for key in ("rmse", "mae", "skill", "coverage")}
    log.info("RMSE %(rmse).4g, MAE %(mae).4g, skill against the best baseline %(skill).3f", summary)
    return {"run_id": params.run_id, **summary}


def _forecasts(
    paths: RunPaths, prepared: Prepared, evaluation: EvaluateParams
) -> tuple[Forecasts, np.ndarray, np.ndarray]:
    """Test forecasts in original units, with intervals from validation residuals: of each row and pooled."""
    import_tensorflow()
    from spline_lstm.model.checkpoints import load_checkpoint
    from spline_lstm.model.training import predict

    model = load_checkpoint(paths.best_checkpoint)
    model.require_fit(prepared.source.lookback, prepared.source.horizon, len(prepared.names))

    def forecast(windows: WindowIndex) -> tuple[np.ndarray, np.ndarray]:
        scaled = predict(model, prepared.source, windows.rows, windows.origins)
        return prepared.targets(windows), prepared.scaler.restore(scaled, windows.rows)

    validation, test = prepared.windows("validation"), prepared.windows("test")
    y_true, y_pred = forecast(validation)
    half_widths, pooled = conformal_half_widths(
        y_true, y_pred, validation.rows, evaluation.coverage, prepared.scaler.std
    )
    return Forecasts(test.rows, test.origins, *forecast(test), half_widths), half_widths, pooled


def _scored(prepared: Prepared, forecasts: Forecasts, scale: str) -> dict[str, Any]:
    """Tables of scores in original units, or in units of each row's train spread."""
    windows = prepared.windows("test")
    ridge = fit_ridge(prepared.source, prepared.windows("train"), prepared.windows("validation"))
    baselines = baseline_forecasts(prepared.source, windows, prepared.settings.season, ridge)
    train = prepared.layout.before(prepared.values, prepared.splits.train)
    mase_scales = np.array([mase_scale(row, prepared.settings.season) for row in train])
    baselines = {name: prepared.scaler.restore(scaled, windows.rows) for name, scaled in baselines.items()}
    units = np.ones_like(prepared.scaler.std) if scale == "original" else prepared.scaler.std
    unit = units[windows.rows, None]
    in_units = Forecasts(
        forecasts.rows,
        forecasts.origins,
        forecasts.y_true / unit,
        forecasts.y_pred / unit,
        forecasts.half_widths / units[:, None],
    )
    baselines = {name: forecast / unit for name, forecast in baselines.items()}
    return evaluate_forecasts(in_units, baselines, prepared.names, mase_scales / units)


def _write_report(
    run_id: str,
    paths: RunPaths,
    prepared: Prepared,
    forecasts: Forecasts,
    content: Mapping[str, Any],
    training: Mapping[str, Any],
    evaluation: EvaluateParams,
) -> None:
    from spline_lstm.pages import plots, report

    history = pd.read_csv(io.BytesIO(read_bytes(paths.history)))
    pictures = {
        "forecast": plots.plot_forecast(_plotted(prepared, forecasts), "original units"),
        "error_by_horizon": plots.plot_error_by_horizon(content["per_step"], list(content["baselines"])),
        "residuals": plots.plot_residuals(forecasts.y_true - forecasts.y_pred),
        "learning_curve": plots.plot_learning_curve(history, training["best_epoch"]),
        "gaps": plots.plot_gaps(prepared),
    }
    for name, png in pictures.items():
        write_bytes(paths.picture(name), png)
    page = report.render_report(run_id, content, read_json(paths.meta), training, evaluation.model_dump())
    write_text(paths.report, page)


def _write_comparable(prepared: Prepared, forecasts: Forecasts, content: Mapping[str, Any]) -> None:
    """The files without a run_id, which DVC compares between experiments."""
    baselines = {name: table["rmse"] for name, table in content["baselines"].items()}
    write_json(SHARED.metrics, {**content["metrics"], "baseline_rmse": baselines})
    plotted = _plotted(prepared, forecasts)
    plotted["residual"] = plotted["y_true"] - plotted["y_pred"]
    for file, table in ((SHARED.predictions, plotted), (SHARED.horizon_errors, pd.DataFrame(content["per_step"]))):
        write_text(file, table.to_csv(index=False, lineterminator="\n"))


def _plotted(prepared: Prepared, forecasts: Forecasts) -> pd.DataFrame:
    return separate_windows(forecasts, prepared.names, prepared.timestamps)


def main(arguments: list[str] | None = None) -> int:
    return run(evaluate, plain_parser("evaluate", __doc__), arguments)


if __name__ == "__main__":
    sys.exit(main())
