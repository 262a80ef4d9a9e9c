"""Forecast the horizon after the last observation, of the run's own series or of a new file."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.data.calendar import hours_of_day
from spline_lstm.data.closed import following_timestamps
from spline_lstm.data.faults import Fault, sound_rows
from spline_lstm.data.prepared import Series, fitted, load_prepared
from spline_lstm.data.preprocessing import prepare_for_forecast
from spline_lstm.data.series import Panel, read_panel
from spline_lstm.run.contract import (
    RunPaths,
    checked_run_id,
    open_trained,
    require_keys,
    require_same_run,
)
from spline_lstm.run.errors import ArtifactError, DataError
from spline_lstm.run.files import CORRUPT, WAY_BACK, read_json, read_pickle, write_csv
from spline_lstm.run.params import CovariateParams, DataParams
from spline_lstm.scores.forecasts import Forecasts, interval_columns
from spline_lstm.scores.intervals import RecordedIntervals, in_force
from spline_lstm.scores.miss_scale import heights
from spline_lstm.scores.surprise import surprises
from stages._run import ROOT, current_run, import_tensorflow, plain_parser, run

log = logging.getLogger(__name__)

MOST_LOGGED = 10
NEAR = 0.02  # of a step: how far from all others a row may stand in it


def forecast(options: argparse.Namespace) -> Mapping[str, Any]:
    if options.run_id is not None:
        paths = RunPaths(ROOT, checked_run_id(options.run_id))
        try:
            return _forecast_file(paths, Path(options.input), Path(options.output))
        except DataError as error:
            raise error.of_finished_run() from error
    params, paths = current_run()
    prepared = load_prepared(paths)
    drop = read_pickle(paths.preprocessor)["data"]["on_bad_series"] == "drop"
    table, warnings = _forecast_table(paths, prepared, drop)
    write_csv(paths.forecast, table)
    return {"run_id": params.run_id, "output": str(paths.forecast), "warnings": warnings}


def _forecast_file(paths: RunPaths, input_path: Path, output_path: Path) -> Mapping[str, Any]:
    """Apply a finished run to new data; nothing of the run is changed."""
    seen = load_prepared(paths)
    preprocessor = read_pickle(paths.preprocessor)
    fit = fitted(preprocessor)
    data = DataParams.model_validate(
        {
            **preprocessor["data"],
            "path": str(input_path),
            "frequency": fit.settings.frequency,
            "closed": fit.settings.closed,
        }
    )
    covariates = CovariateParams.model_validate(preprocessor["covariates"])
    anchor, categorical = pd.Timestamp(fit.settings.anchor), fit.encoding.categorical
    panel = read_panel(input_path, data, covariates, fit.settings.horizon, anchor, categorical=categorical)
    series = prepare_for_forecast(panel, fit, data, seen.timestamps[seen.splits.train - 1])
    table, warnings = _forecast_table(paths, series, data.on_bad_series == "drop", seen)
    warnings += [f"{name}: {mark:.15g} may stand for nothing" for name, mark in panel.findings["marks"].items()]
    more = [
        f"{name}: train rows hold no {', '.join(categories):.200}; counted as unknown"
        for name, categories in fit.encoding.unknown(panel).items()
    ]
    if stamped := _stamped_otherwise(read_json(paths.meta), panel):
        more.append(stamped)
    for warning in more:
        log.warning("%s", warning)
    warnings += more
    write_csv(output_path.resolve(), table)  # a link stays one
    return {"run_id": paths.run_id, "output": str(output_path), "warnings": warnings}


def _stamped_otherwise(meta: Mapping[str, Any], panel: Panel) -> str:
    """What to say of rows that stand elsewhere in their steps than those of the run, if they do: they tell other steps.

    Nothing is said where the run recorded nothing to compare with, or a file has but one step.
    """
    if len(panel.timestamps) < 2:
        return ""
    step = np.median(np.diff(panel.timestamps)) / np.timedelta64(1, "s")
    _, median, _ = panel.findings["early"]
    try:
        low, usual, high = map(float, meta["findings"]["early"])
        if low - NEAR * step <= median <= high + NEAR * step:
            return ""
        ours, theirs = (pd.Timedelta(seconds=round(seconds)) for seconds in (usual, median))
    except CORRUPT:
        return ""
    return (
        f"rows stand {theirs} before the labels of their steps, those of the run {ours} (medians): "
        "stamp and sum them up like its data, or they count for other steps"
    )


def _forecast_table(
    paths: RunPaths, series: Series, drop: bool, seen: Series | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """One row per series and step, and what makes forecasts less sure than usual.

    Columns are `series_id, origin, timestamp, step, y_pred, y_lower, y_upper`, and those of further levels and
    quantiles. The origin of a series is its own last step. New data is compared with what the run has seen.
    """
    series = series.seen_by(open_trained(paths))
    recorded = _recorded_intervals(paths, series.source.horizon)
    faults = _faults(series)
    rows = np.flatnonzero(sound_rows(series.names, faults, drop))
    origins, names = series.layout.ends[rows] - 1, [series.names[row] for row in rows]

    import_tensorflow()
    from spline_lstm.model.checkpoints import load_checkpoint
    from spline_lstm.model.training import predict

    source, steps = series.source, series.source.horizon
    model = load_checkpoint(paths.final_checkpoint)
    model.require_fit(source, source.trained)
    scaled = predict(model, source, rows, origins)
    open_steps = source.filled.open_steps(series.layout.positions(rows, origins))
    factors, unusual = surprises(seen, series, rows, origins) if seen else (np.ones(len(rows)), {})
    unseen = set(names).difference(seen.names) if seen else set()
    behind = origins.max() - origins
    ended = {name: count for name, count in zip(names, behind.tolist(), strict=True) if count >= steps}
    waiting = dict(zip(names, open_steps, strict=True))
    warnings = _warnings(sorted(unseen), unusual, _doubted(series), _silent(series), waiting, ended)
    left_out = {**series.dropped, **{name: str(fault) for name, fault in faults.items()}}
    warnings += [f"{name}: left out, as it {fault}" for name, fault in left_out.items()]  # which was logged as found
    settings, clock = series.settings, series.timestamps
    clock = clock.append(following_timestamps(clock, settings.frequency, steps, settings.closed, settings.timezone))
    above, hours = heights(scaled, series.scaler.lowest[rows]), hours_of_day(clock, settings.timezone)
    scales = recorded.scale(names).of(above, np.arange(len(rows)), origins, hours)
    widths = in_force(recorded.of(names), scales, open_steps) * factors[:, None, None]
    y_pred = series.restore(scaled, rows, origins)
    ends = [series.restore(scaled[:, None] + sign * widths, rows, origins) for sign in (-1, 1)]
    lower, upper = (np.moveaxis(end, 1, 0) for end in ends)
    unknown = np.full_like(y_pred, np.nan)
    forecasts = Forecasts(rows, origins, unknown, y_pred, recorded.asked.levels, lower, upper)
    columns = {"y_pred": y_pred, **interval_columns(forecasts, recorded.asked.coverage, recorded.asked.quantiles)}
    table = pd.DataFrame(
        {
            "series_id": np.repeat(names, steps),
            "origin": np.repeat(clock[origins], steps),
            "timestamp": clock[(origins[:, None] + np.arange(1, steps + 1)).ravel()],
            "step": np.tile(np.arange(1, steps + 1), len(rows)),
            **{name: values.ravel() for name, values in columns.items()},
        }
    )
    return table, warnings


def _recorded_intervals(paths: RunPaths, horizon: int) -> RecordedIntervals:
    require_same_run(paths, paths.metrics)
    metrics = read_json(paths.metrics)
    require_keys(paths.metrics, metrics, "intervals")
    try:
        return RecordedIntervals.of_content(metrics["intervals"], horizon)
    except CORRUPT as error:
        raise ArtifactError(
            f"`{paths.metrics}` must hold the intervals that evaluation leaves. "
            f"Received: {' '.join(str(error).split()):.300}. {WAY_BACK}"
        ) from error


def _doubted(series: Series) -> dict[str, str]:
    """What of the newest windows of rows is not believed, by their names."""
    layout, lookback, found = series.layout, series.settings.lookback, {}
    rows = zip(series.channels, layout.split(series.values), layout.split(series.source.filled.observed), strict=True)
    for (name, values, observed), start in zip(rows, layout.starts, strict=True):
        far = np.flatnonzero(~np.isnan(values) & ~observed)
        newest = far[far >= len(values) - lookback]
        if newest.size:
            step = series.timestamps[start + newest[-1]]
            found[name] = f"{len(newest)}, the last {values[newest[-1]]:g} in the step of {step}"
    return found


def _silent(series: Series) -> list[str]:
    """Past covariates of which nothing is known in the newest window."""
    rows = list(zip(series.channels, series.layout.split(series.source.filled.observed), strict=True))
    lookback = series.settings.lookback
    return [name for name, observed in rows[len(series.names) :] if not observed[-lookback:].any()]


def _warnings(
    unseen: Sequence[str],
    unusual: Mapping[str, str],
    doubted: Mapping[str, str],
    silent: Sequence[str],
    open_steps: Mapping[str, int],
    ended: Mapping[str, int],
) -> list[str]:
    """What makes forecasts less sure, or of no use, of each series; all are logged, too."""
    warnings = [f"{name}: the run has no such series; its intervals are those of all together" for name in unseen]
    warnings += [f"{name}: {what} that the run has seen; intervals are wider" for name, what in unusual.items()]
    warnings += [
        f"{name}: values far from all that training saw count as missing: {what}" for name, what in doubted.items()
    ]
    if silent:
        warnings.append(f"no value in the newest window of past covariates: {', '.join(silent):.300}")
    warnings += [
        f"{name}: its newest {count} steps are missing; intervals are as wide as those of later steps"
        for name, count in open_steps.items()
        if count
    ]
    warnings += [
        f"{name}: it ends {count} steps before the newest series, and all of its forecast lies in the past of that one"
        for name, count in ended.items()
    ]
    for warning in warnings[:MOST_LOGGED]:
        log.warning("%s", warning)
    if len(warnings) > MOST_LOGGED:
        log.warning("and %d more warnings like these", len(warnings) - MOST_LOGGED)
    return warnings


def _faults(series: Series) -> dict[str, Fault]:
    """Of rows whose newest window is not observed well enough, or whose covariates are not known over the horizon."""
    rule = f"have all known covariates over the horizon of {series.settings.horizon} steps"
    return {**{name: Fault(rule, what) for name, what in series.lacking.items()}, **series.newest_gaps()}


def main(arguments: list[str] | None = None) -> int:
    parser = plain_parser("forecast", __doc__)
    parser.add_argument("--run-id", metavar="ID", help="a finished run; with --input and --output")
    parser.add_argument("--input", metavar="FILE", help="CSV or Parquet with the columns of the run's own input")
    parser.add_argument("--output", metavar="FILE", help="CSV to write")
    options = parser.parse_args(arguments)
    given = [options.run_id, options.input, options.output]
    if any(value is not None for value in given) and None in given:
        parser.error("--run-id, --input and --output go together; without them the run in params.yaml is forecast")
    if options.output is not None:
        output = Path(options.output).resolve()
        if output.exists() and not output.is_file():
            parser.error(f"--output must be a file: {output}")
        if output == Path(options.input).resolve() or ROOT.resolve() in output.parents:
            parser.error(f"--output must be neither --input nor a file of {ROOT}/, which would be lost: {output}")
    return run(forecast, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
