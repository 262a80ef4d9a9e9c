"""Put the input series on its grid, fill gaps point in time, scale and split."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from spline_lstm.data.faults import NAMED, far_out
from spline_lstm.data.prepared import Prepared, Settings, arrays, preprocessor_content
from spline_lstm.data.preprocessing import prepare
from spline_lstm.data.scaling import NEVER
from spline_lstm.data.series import Panel, read_panel
from spline_lstm.data.windows import SPLITS
from spline_lstm.run.contract import PREPROCESSOR_SCHEMA, SPLIT_SCHEMA
from spline_lstm.run.files import sha256, write_json, write_npz, write_pickle
from spline_lstm.run.params import DataParams
from stages._run import current_run, plain_parser, run

log = logging.getLogger(__name__)

MOST_LOGGED = 10  # series; of more, those that miss most


def preprocess(_: argparse.Namespace) -> Mapping[str, Any]:
    params, paths = current_run()
    path = Path(params.data.path)
    panel = read_panel(path, params.data, params.covariates, params.windows.horizon, split=params.split)
    prepared = prepare(panel, params)
    windows = {split: _window_counts(prepared, split) for split in SPLITS}
    covariates = prepared.encoding.findings(panel)
    findings = {**panel.findings, "doubted": _doubted(panel, prepared), "covariates": covariates}
    _log_findings(findings, prepared.settings.longest_gap, windows)
    _log_covariates(findings["covariates"])
    _log_seasons(prepared.settings)
    _log_lacking(prepared.lacking, params.windows.horizon)
    _log_newest_gaps(prepared)
    _log_bounds(prepared, params.data)
    _log_far(panel, findings["doubted"])

    write_npz(paths.processed, arrays(prepared))
    write_json(
        paths.split_contract,
        {"schema_version": SPLIT_SCHEMA, "run_id": params.run_id, "splits": _borders(prepared)},
    )
    write_pickle(
        paths.preprocessor,
        {
            "schema_version": PREPROCESSOR_SCHEMA,
            "run_id": params.run_id,
            **preprocessor_content(prepared, params.data, params.covariates),
        },
    )
    write_json(
        paths.meta,
        {
            "run_id": params.run_id,
            "shape": {"rows": len(prepared.names), "time": len(prepared.timestamps), "steps": len(prepared.values)},
            "frequency": panel.frequency,
            "settings": asdict(prepared.settings),
            "findings": findings,
            "dropped": dict(prepared.dropped),
            "lacking": dict(prepared.lacking),
            "windows": windows,
            "input": {"path": params.data.path, "sha256": sha256(path)},
            "sha256": {file.name: sha256(file) for file in (paths.processed, paths.split_contract, paths.preprocessor)},
        },
    )
    return {"run_id": params.run_id, "windows": windows}


def _borders(prepared: Prepared) -> dict[str, dict[str, Any]]:
    borders = {}
    for split in SPLITS:
        start, end = prepared.splits.bounds(split)
        borders[split] = {
            "start": start,
            "end": end,
            "first": str(prepared.timestamps[start]),
            "last": str(prepared.timestamps[end - 1]),
        }
    return borders


def _window_counts(prepared: Prepared, split: str) -> dict[str, int]:
    windows = prepared.windows(split)
    return {"used": len(windows), "dropped": windows.dropped}


def _doubted(panel: Panel, prepared: Prepared) -> dict[str, int]:
    """How many values of rows, by their names, lie so far from all others that they count as missing."""
    kept = np.isin(panel.names, prepared.names)
    values, _ = panel.layout.keep(panel.values, kept)
    past, _ = prepared.encoding.past_rows(panel, np.isin(np.arange(len(panel.ids)), panel.series[kept]))
    doubted = ~np.isnan(np.concatenate([values, past])) & ~prepared.source.filled.observed
    rows = zip(prepared.channels, prepared.layout.split(doubted), strict=True)
    return {name: count for name, row in rows if (count := int(row.sum()))}


def _log_findings(findings: Mapping[str, Any], limit: int, windows: Mapping[str, Mapping[str, int]]) -> None:
    log.info(
        "%d rows from %s to %s, step %s: %d steps, %d repeated timestamps",
        *(findings[key] for key in ("rows", "first", "last", "frequency", "steps", "duplicates")),
    )
    closed = findings["closed"]
    if closed["hours"]:
        log.info(
            "closed hours %s: %d steps left out; %d rows in them count for the next step",
            *(", ".join(closed["hours"]), closed["steps"], closed["rows"]),
        )
    channels = findings["channels"]
    if len(channels) > MOST_LOGGED:
        log.info("%d series; the %d that miss most:", len(channels), MOST_LOGGED)
    for name in sorted(channels, key=lambda name: -channels[name]["missing_share"])[:MOST_LOGGED]:
        channel = channels[name]
        if not channel["missing"]:
            log.info("%s: no step missing", name)
            continue
        all_filled = channel["longest_gap"] <= limit
        log.info(
            "%s: %d steps missing (%.1f %%) in %d gaps, longest %d; %s",
            name,
            channel["missing"],
            100 * channel["missing_share"],
            channel["gaps"],
            channel["longest_gap"],
            "all filled point in time" if all_filled else f"those over {limit} steps are not filled, others are",
        )
    for split, counts in windows.items():
        log.info("%s: %d windows, %d dropped for gaps", split, counts["used"], counts["dropped"])


def _log_covariates(covariates: Mapping[str, Mapping[str, Any]]) -> None:
    if not covariates:
        return
    columns = [
        f"{name} ({found['role']}{f', {count} categories' if (count := found['categories']) else ''})"
        for name, found in covariates.items()
    ]
    log.info("covariates: %s", ", ".join(columns))
    if constant := [name for name, found in covariates.items() if found["constant"]]:
        log.warning("constant in train rows, from which nothing can be learned of them: %s", ", ".join(constant))
    unknown = [f"{name}: {', '.join(found['unknown']):.200}" for name, found in covariates.items() if found["unknown"]]
    if unknown:
        log.warning("categories of which train rows hold none or few, counted as unknown: %s", "; ".join(unknown))


def _log_seasons(settings: Settings) -> None:
    found = " and ".join(f"{season:.6g} steps" for season in settings.seasons)
    log.info("seasons: %s; lookback: %d steps", found or "none", settings.lookback)
    for season in settings.seasons:
        if season not in settings.used_seasons:
            log.warning(
                "the season of %.6g steps is longer than the lookback of %d: neither filling nor the model uses it; "
                "give a longer windows.lookback, or a coarser data.frequency",
                season,
                settings.lookback,
            )


def _log_lacking(lacking: Mapping[str, str], horizon: int) -> None:
    if lacking:
        name, what = next(iter(lacking.items()))
        log.warning(
            "covariates.future must be known over the %d steps beyond the data for a forecast of them: %s has %s%s; "
            "give rows with them and an empty target, or name them in covariates.past",
            *(horizon, name, what, f", and {len(lacking) - 1} others lack some" if len(lacking) > 1 else ""),
        )


def _log_newest_gaps(prepared: Prepared) -> None:
    """Tell before a training what would end the run after it."""
    if faults := prepared.newest_gaps():
        name, fault = next(iter(faults.items()))
        log.warning(
            "no forecast of %s beyond the data: it %s; received: %s%s. %s",
            *(name, f"must {fault.rule}", fault.received),
            *(f". So it is with {len(faults) - 1} more" if len(faults) > 1 else "", fault.advice),
        )


def _log_far(panel: Panel, doubted: Mapping[str, int]) -> None:
    """Name a few values that lie far from all others, as a wrong unit or a mark for nothing would."""
    found, layout = [], panel.layout
    for name, row, start in zip(panel.names, layout.split(panel.values), layout.starts, strict=True):
        if (far := far_out(row, NAMED)).size:
            found.append((name, len(far), row[far[0]], panel.timestamps[start + far[0]], doubted.get(name, 0)))
    for each in found[:MOST_LOGGED]:
        log.warning(
            "%s: values far from all others: %d, first %g in the step of %s; values that count as missing: %d; "
            "if they are wrong, empty their cells",
            *each,
        )
    if len(found) > MOST_LOGGED:
        log.warning("and of %d more series", len(found) - MOST_LOGGED)
    if others := sorted(set(doubted).difference(name for name, *_ in found)):
        log.warning(
            "values far from all train values count as missing: %s%s; if they are wrong, empty their cells",
            ", ".join(f"{name} ({doubted[name]})" for name in others[:MOST_LOGGED]),
            f" and {len(others) - MOST_LOGGED} more" * (len(others) > MOST_LOGGED),
        )


def _log_bounds(prepared: Prepared, data: DataParams) -> None:
    """Tell of bounds that the data does not keep; what was found and is passed by a little holds, and is not told."""
    scaler, rows = prepared.scaler, list(prepared.layout.split(prepared.values))
    sides = ("minimum", scaler.minimum, np.less), ("maximum", scaler.maximum, np.greater)
    for (side, bounds, beyond), given, until in zip(sides, data.bounds_given, prepared.bound_until, strict=True):
        of_targets = zip(prepared.names, bounds, rows, until, strict=False)  # behind them stand covariates
        counts = [
            (name, bound, int(beyond(row, bound).sum())) for name, bound, row, end in of_targets if given or end < NEVER
        ]
        passed = [each for each in counts if each[2]]
        if passed and given:
            log.warning(
                "observed values beyond data.%s, %g, which no forecast will pass: %d; mend the data or the bound",
                *(side, bounds[0], sum(count for *_, count in passed)),
            )
        elif passed:
            log.warning(
                "observed values beyond the %s that train rows show, which later forecasts may pass, too: %s%s; "
                "mend the data, or set data.%s",
                side,
                ", ".join(f"{count} of {name} beyond {bound:g}" for name, bound, count in passed[:MOST_LOGGED]),
                f" and those of {len(passed) - MOST_LOGGED} more series" * (len(passed) > MOST_LOGGED),
                side,
            )


def main(arguments: list[str] | None = None) -> int:
    return run(preprocess, plain_parser("preprocess", __doc__), arguments)


if __name__ == "__main__":
    sys.exit(main())
