"""What missing inputs cost: our filling against forward fill, linear and PCHIP in the same model.

Rows are removed from all splits, half of them at random and half in day-long blocks, by channel. Each
filling goes through the whole pipeline, the others in place of ours; all know only what was observed by
a forecast's origin. Scores are over all test targets of the complete file. Writes a section of
docs/benchmarks.md.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy.interpolate import PchipInterpolator

from benchmarks import long_horizon
from benchmarks.page import BENCHMARKS, machine, spread, table, write_section
from benchmarks.runs import Run, run_all
from spline_lstm.contract import RunPaths
from spline_lstm.gaps import FilledSeries, fill_gaps

HORIZON = 96
SHARES = (0.1, 0.25, 0.5)
BLOCK = 24  # steps
EPOCHS = 4  # at most, for all
OURS = "ours"
Interpolant = Callable[[np.ndarray], np.ndarray]


def main() -> int:
    options = long_horizon.parse(long_horizon.parser(__doc__))
    complete = pd.read_csv(options.data, nrows=sum(options.split))
    options.folder.mkdir(parents=True, exist_ok=True)
    runs = {}
    for seed in options.seeds:
        params = {
            **long_horizon.protocol_params(options, HORIZON, seed),
            "gaps.max_missing": 0.99,
            "gaps.longest": 480,
            "train.epochs": EPOCHS,
        }
        runs[0.0, OURS, seed] = Run(f"missing/0-{seed}", params)
        for share in SHARES:
            file = options.folder.resolve() / f"{options.data.stem}-{share}.csv"
            with_gaps(complete, share).to_csv(file, index=False)
            for name in (OURS, *RIVALS):
                prelude = "" if name == OURS else f"from benchmarks import missing\nmissing.use({name!r})"
                run = Run(f"missing/{share}-{name}-{seed}", {**params, "data.path": str(file)}, prelude)
                runs[share, name, seed] = run
    results = run_all(list(runs.values()), options.folder, partial(_score, complete, options.split[0]), options.jobs)

    def errors(share: float, name: str) -> list[float]:
        return [results[runs[share, name, seed].name]["mse"] for seed in options.seeds]

    if len({result["forecasts"] for result in results.values()}) > 1:
        raise RuntimeError("All runs must forecast the same windows. Received: different numbers of them.")
    whole = errors(0.0, OURS)
    rows = [["complete", spread(whole), *["" for _ in RIVALS]]]
    rows += [
        [
            f"{share:.0%} missing",
            *(
                f"{spread(errors(share, name))} ({np.mean(errors(share, name)) / np.mean(whole) - 1:+.1%})"
                for name in (OURS, *RIVALS)
            ),
        ]
        for share in SHARES
    ]
    write_section(
        BENCHMARKS,
        "missing",
        "\n\n".join(
            [
                f"`{options.data.name}`, horizon {HORIZON}, {EPOCHS} epochs at most; MSE of z-scores over all test "
                "targets of the complete file, mean ± standard deviation over seeds "
                f"{', '.join(map(str, options.seeds))}, and the loss against complete data.",
                table(["", OURS, *RIVALS], rows),
                f"{machine()}.",
            ]
        ),
    )
    return 0


def with_gaps(complete: pd.DataFrame, share: float) -> pd.DataFrame:
    """Remove a share of each column but the first, half of it at random, half in blocks; always the same."""
    random = np.random.default_rng(0)
    result = complete.copy()
    for column in complete.columns[1:]:
        gone = np.zeros(len(complete), bool)
        while gone.mean() < share / 2:
            start = random.integers(0, len(complete) - BLOCK)
            gone[start : start + BLOCK] = True
        kept = np.flatnonzero(~gone)
        gone[random.choice(kept, round(share * len(complete)) - gone.sum(), replace=False)] = True
        result.loc[gone, column] = np.nan
    return result


def _score(complete: pd.DataFrame, train: int, paths: RunPaths) -> dict[str, Any]:
    """Errors against the complete file, in units of its train rows."""
    table = pq.read_table(paths.predictions, columns=["series_id", "timestamp", "y_pred"]).to_pandas()
    truth = complete.set_index(pd.to_datetime(complete.iloc[:, 0], utc=True)).iloc[:, 1:]
    spreads = truth[:train].std(ddof=0)
    total, count = 0.0, 0
    for name, part in table.groupby("series_id", observed=True):
        stamps = pd.DatetimeIndex(part["timestamp"])
        stamps = stamps.tz_localize("UTC") if stamps.tz is None else stamps
        error = (part["y_pred"].to_numpy() - truth[name].loc[stamps].to_numpy()) / spreads[name]
        total, count = total + float(error @ error), count + len(error)
    return {"mse": total / count, "forecasts": count}


def use(name: str) -> None:
    """Put a rival in the place of our filling, in this process."""
    from spline_lstm import preprocessing

    preprocessing.fill_gaps = RIVALS[name]


def _with(between: Callable[..., Interpolant], scaled: np.ndarray, season: int) -> FilledSeries:
    """Fill closed gaps by `between(steps, values)`, a function of all steps; open ones hold the last value."""
    ours = fill_gaps(scaled, season)
    clock = np.arange(scaled.shape[1])
    settled, held = np.zeros_like(ours.settled), np.zeros_like(ours.held)
    for row, values in enumerate(scaled):
        seen = np.flatnonzero(~np.isnan(values))
        held[row] = pd.Series(values).ffill().fillna(0.0)
        inside = (clock >= seen[0]) & (clock <= seen[-1])
        settled[row] = np.where(inside, between(seen, values[seen])(clock), held[row])
    return dataclasses.replace(ours, settled=settled, held=held)


def _steps(steps: np.ndarray, values: np.ndarray) -> Interpolant:
    return lambda clock: values[np.searchsorted(steps, clock, "right") - 1]


def _lines(steps: np.ndarray, values: np.ndarray) -> Interpolant:
    return lambda clock: np.interp(clock, steps, values)


RIVALS = {
    "forward fill": partial(_with, _steps),
    "linear": partial(_with, _lines),
    "PCHIP": partial(_with, PchipInterpolator),
}


if __name__ == "__main__":
    sys.exit(main())
