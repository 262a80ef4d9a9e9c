"""What missing inputs cost: our filling against forward fill, linear and PCHIP in the same model.

Inputs of all splits are removed by channel, half of them at random and half in day-long blocks; targets
stay, so that all are learned from and scored alike. Each filling stands in the place of ours in the
whole pipeline, and knows only what was observed by a forecast's origin. One more row is of a file with
such gaps, as users have them: its targets are missing, too. Writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

from benchmarks import long_horizon
from benchmarks.page import BENCHMARKS, machine, spread, table, write_section
from benchmarks.runs import Run, read_scores, run_all
from spline_lstm.data.gaps import FilledSeries, fill_gaps
from spline_lstm.data.layout import Layout

HORIZON = 96
SHARES = (0.1, 0.25, 0.5)
SHARE_OF_FILE = 0.25  # missing in the file with gaps
BLOCK = 24  # steps
EPOCHS = 4  # at most, for all
OURS, FILE = "ours", "file"
Interpolant = Callable[[np.ndarray], np.ndarray]


def main() -> int:
    options = long_horizon.parse(long_horizon.parser(__doc__))
    file = options.folder.resolve() / f"{options.data.stem}-with-gaps.csv"
    whole = pd.read_csv(options.data, nrows=sum(options.split))
    values = whole.iloc[:, 1:].to_numpy(float).T
    whole.iloc[:, 1:] = np.where(removed(values.shape, SHARE_OF_FILE), np.nan, values).T
    whole.to_csv(file, index=False)
    runs = {}
    for seed in options.seeds:
        params = {
            **long_horizon.protocol_params(options, HORIZON, seed),
            "gaps.max_missing": 0.99,  # no window is dropped
            "gaps.longest": 480,
            "train.epochs": EPOCHS,
        }
        runs[0.0, OURS, seed] = Run(f"missing/0-{seed}", params)
        runs[SHARE_OF_FILE, FILE, seed] = Run(f"missing/file-{seed}", {**params, "data.path": str(file)})
        for share in SHARES:
            for name in (OURS, *RIVALS):
                prelude = f"from benchmarks import missing\nmissing.remove_inputs({share}, {name!r})"
                runs[share, name, seed] = Run(f"missing/{share}-{name}-{seed}", params, prelude)
    results = run_all(list(runs.values()), options.folder, read_scores, options.jobs)

    def errors(share: float, name: str) -> list[float]:
        return [results[runs[share, name, seed].name]["scores"]["model"]["mse"] for seed in options.seeds]

    complete = errors(0.0, OURS)

    def cell(share: float, name: str) -> str:
        found = errors(share, name)
        return f"{spread(found)} ({np.mean(found) / np.mean(complete) - 1:+.1%})"

    rows = [["complete", spread(complete), *["" for _ in RIVALS]]]
    rows += [[f"{share:.0%} missing", *(cell(share, name) for name in (OURS, *RIVALS))] for share in SHARES]
    rows += [[f"{SHARE_OF_FILE:.0%} missing, targets too", cell(SHARE_OF_FILE, FILE), *["" for _ in RIVALS]]]
    write_section(
        BENCHMARKS,
        "missing",
        "\n\n".join(
            [
                f"`{options.data.name}`, horizon {HORIZON}, {EPOCHS} epochs at most; MSE of z-scores over observed "
                f"test targets, mean ± standard deviation over seeds {', '.join(map(str, options.seeds))}, and the "
                "loss against complete data. Half of what is missing lies in blocks of a day.",
                table(["", OURS, *RIVALS], rows),
                f"{machine()}.",
            ]
        ),
    )
    return 0


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


def remove_inputs(share: float, name: str) -> None:
    """In this process, fill as `name` does what is left when a share of the inputs is gone."""
    from spline_lstm.data import preprocessing

    fill = RIVALS.get(name, fill_gaps)

    def without_inputs(
        values: np.ndarray, layout: Layout, seasons: Sequence[float] = (), decay: float | None = None
    ) -> FilledSeries:
        gone = removed((len(layout), int(layout.lengths[0])), share).ravel()
        return fill(np.where(gone, np.nan, values), layout, seasons, decay)

    preprocessing.fill_gaps = without_inputs


def _with(between: Callable[..., Interpolant], values: np.ndarray, layout: Layout, *resolved: Any) -> FilledSeries:
    """Fill closed gaps by `between(steps, values)`, a function of all steps; open ones hold the last value."""
    ours = fill_gaps(values, layout, *resolved)
    settled, held = [], []
    for known in layout.split(values):
        clock, seen = np.arange(len(known)), np.flatnonzero(~np.isnan(known))
        last = pd.Series(known).ffill().fillna(0.0).to_numpy()
        inside = (clock >= seen[0]) & (clock <= seen[-1])
        settled.append(np.where(inside, between(seen, known[seen])(clock), last))
        held.append(last[np.isnan(known)])
    return dataclasses.replace(
        ours, settled=np.concatenate(settled).astype(np.float32), held=np.concatenate(held).astype(np.float32)
    )


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
