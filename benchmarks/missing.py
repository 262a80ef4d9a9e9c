"""What missing data cost: our filling against forward fill, linear and PCHIP in the same model.

Values are removed from the file by channel, half of them at random and half in day-long blocks, as users have
them: inputs and targets of all splits. Forecasts are scored against the complete file, so all by the same targets.
Each filling stands in the place of ours in the whole pipeline, and knows only what was observed by a forecast's
origin. Writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

from benchmarks import long_horizon
from benchmarks.page import BENCHMARKS, machine, spread, table, write_section
from benchmarks.runs import Run, run_all
from spline_lstm.data.gaps import FilledSeries, fill_gaps
from spline_lstm.data.layout import Layout
from spline_lstm.run.contract import RunPaths

HORIZON = 96
SHARES = (0.1, 0.25, 0.5)
BLOCK = 24  # steps
EPOCHS = 4  # at most, for all
OURS = "ours"
Interpolant = Callable[[np.ndarray], np.ndarray]


def main() -> int:
    options = long_horizon.parse(long_horizon.parser(__doc__))
    complete = pd.read_csv(options.data, nrows=sum(options.split), index_col=0, parse_dates=True)
    files = {share: options.folder.resolve() / f"{options.data.stem}-without-{share:.0%}.csv" for share in SHARES}
    for share, file in files.items():
        complete.mask(removed(complete.shape[::-1], share).T).to_csv(file)
    runs = {}
    for seed in options.seeds:
        params = {
            **long_horizon.protocol_params(options, HORIZON, seed),
            "gaps.max_missing": 0.99,  # no window is dropped
            "gaps.longest": 480,
            "train.epochs": EPOCHS,
        }
        runs[0.0, OURS, seed] = Run(f"missing/0-{seed}", params)
        for share, file in files.items():
            for name in (OURS, *RIVALS):
                prelude = "" if name == OURS else f"from benchmarks import missing\nmissing.fill_by({name!r})"
                given = {**params, "data.path": str(file)}
                runs[share, name, seed] = Run(f"missing/{share}-{name}-{seed}", given, prelude)
    read = partial(score, complete, complete[: options.split[0]].std(ddof=0))
    results = run_all(list(runs.values()), options.folder, read, options.jobs)
    if len({result["targets"] for result in results.values()}) > 1:
        raise RuntimeError(
            "All runs must be scored by the same targets. Received: other windows where data are missing."
        )
    _write(options, {key: results[run.name]["mse"] for key, run in runs.items()})
    return 0


def _write(options: argparse.Namespace, found: dict[tuple[float, str, int], float]) -> None:
    """The section, from the MSE of each share, filling and seed."""

    def errors(share: float, name: str) -> list[float]:
        return [found[share, name, seed] for seed in options.seeds]

    complete = errors(0.0, OURS)

    def cell(share: float, name: str) -> str:
        return f"{spread(errors(share, name))} ({np.mean(errors(share, name)) / np.mean(complete) - 1:+.1%})"

    rows = [["complete", spread(complete), *["" for _ in RIVALS]]]
    rows += [[f"{share:.0%} missing", *(cell(share, name) for name in (OURS, *RIVALS))] for share in SHARES]
    write_section(
        BENCHMARKS,
        "missing",
        "\n\n".join(
            [
                f"`{options.data.name}`, horizon {HORIZON}, {EPOCHS} epochs at most. Values are missing from inputs "
                "and targets of all splits, half of them in blocks of a day; forecasts are scored against the complete "
                f"file. MSE of z-scores, mean ± standard deviation over seeds {', '.join(map(str, options.seeds))}, "
                "and the loss against complete data.",
                table(["", OURS, *RIVALS], rows),
                f"{machine()}.",
            ]
        ),
    )


def score(complete: pd.DataFrame, std: pd.Series, paths: RunPaths) -> dict[str, float]:
    """MSE of z-scores of a run's test forecasts against the complete data, and by how many targets.

    Args:
        complete: A column for each series, indexed by time.
        std: Of each column.
        paths: Of the run.
    """
    predictions = pd.read_parquet(paths.predictions, columns=["series_id", "timestamp", "y_pred"])
    errors = [
        (part["y_pred"].to_numpy() - complete[name].loc[part["timestamp"]].to_numpy()) / std[name]
        for name, part in predictions.groupby("series_id", observed=True)
    ]
    error = np.concatenate(errors)
    error = error[~np.isnan(error)]
    return {"mse": float(np.mean(error**2)), "targets": int(error.size)}


def removed(shape: tuple[int, int], share: float) -> np.ndarray:
    """Which steps of each row are removed, half of them at random, half in blocks; always the same."""
    random = np.random.default_rng(0)
    gone = np.zeros(shape, bool)
    for row in gone:
        while row.mean() < share / 2:
            start = random.integers(0, len(row) - BLOCK)
            row[start : start + BLOCK] = True
        kept = np.flatnonzero(~row)
        row[random.choice(kept, round(share * len(row)) - row.sum(), replace=False)] = True
    return gone


def fill_by(name: str) -> None:
    """In this process, fill gaps as a rival does."""
    from spline_lstm.data import preprocessing

    preprocessing.fill_gaps = RIVALS[name]


def _with(
    between: Callable[..., Interpolant],
    values: np.ndarray,
    layout: Layout,
    seasons: Sequence[float] = (),
    decay: float | None = None,
) -> FilledSeries:
    """Fill closed gaps by `between(steps, values)`, a function of all steps; open ones hold the last value."""
    ours = fill_gaps(values, layout, seasons, decay)
    settled, held = ours.settled.copy(), np.zeros_like(values)
    rows = (layout.split(flat) for flat in (values, settled, held))
    for known, filled, last in zip(*rows, strict=True):
        seen, clock = np.flatnonzero(~np.isnan(known)), np.arange(len(known))
        last[:] = pd.Series(known).ffill().fillna(0.0)
        inside = (clock >= seen[0]) & (clock <= seen[-1])
        filled[:] = np.where(inside, between(seen, known[seen])(clock), last)
    return dataclasses.replace(ours, settled=settled, held=held[ours.missing].astype(np.float32))


def _steps(steps: np.ndarray, values: np.ndarray) -> Interpolant:
    return lambda clock: values[np.searchsorted(steps, clock, "right") - 1]


def _lines(steps: np.ndarray, values: np.ndarray) -> Interpolant:
    return lambda clock: np.interp(clock, steps, values)


RIVALS: dict[str, Callable[..., FilledSeries]] = {
    "forward fill": partial(_with, _steps),
    "linear": partial(_with, _lines),
    "PCHIP": partial(_with, PchipInterpolator),
}


if __name__ == "__main__":
    sys.exit(main())
