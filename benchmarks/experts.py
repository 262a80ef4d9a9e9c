"""What the experts, their weights, logarithms, members and the final fit are worth, on several series.

The newest 15 % of each file of the field are cut off and never seen; the test part of the rest is scored. Writes a
section of docs/method.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import runs
from benchmarks.ablation import after_tensorflow
from benchmarks.field_series import FIELD, Series, present
from benchmarks.page import METHOD, machine, table, write_section
from benchmarks.runs import Run, project_params, read_scores, run_all

KEPT = 0.85  # of the time that a file spans
FINAL = """
train = fitting.train_forecaster
def again(source, windows, validation, *given):
    trained = train(source, windows, validation, *given)
    known = [np.concatenate([getattr(each, name) for each in (windows, validation)]) for name in ("rows", "origins")]
    fitting.fit_again(trained, type(windows).of(*known), given[0].seed)
    trained.fit.best[:] = trained.model.get_weights()
    return trained
fitting.train_forecaster = again
"""
UNCORRECTED = """
from dataclasses import replace
fit = start.fit_folded
def uncorrected(*given):
    folded = fit(*given)
    return folded and replace(folded, correction=0 * folded.correction)
start.fit_folded = uncorrected
"""
VARIANTS: dict[str, tuple[dict[str, object], str]] = {
    "**as it is**": ({}, ""),
    "weights by least squares alone": ({}, "combination.DEPARTURE = 1e6"),
    "weights of the prior": ({}, "combination.DEPARTURE = 1e-6"),
    "no Holt-Winters": ({}, "combination.EXPERTS = 'linear', 'folded', 'members'"),
    "no folded ridge": ({}, "combination.EXPERTS = 'linear', 'holt_winters', 'members'"),
    "neither of them": ({}, "start.fit_folded = lambda *_: None"),
    "no correction of the folded ridge": ({}, UNCORRECTED),
    "never logarithms": ({"data.log": False}, ""),
    "two members": ({"model.members": [10**6, 10**6]}, ""),
    "learned from validation rows, too, as the final fit does": ({}, FINAL),
}


def main() -> int:
    parser = runs.parser(__doc__)
    parser.add_argument("--data", type=Path, default=FIELD, help="folder of the files (%(default)s)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    series, left_out = present(options.data)
    cut = {name: _cut(one, options.data, options.folder.resolve()) for name, one in series.items()}
    made = {
        (title, name, seed): Run(
            f"experts/{name.replace(' ', '-')}-{number}-{seed}",
            {**given, **params, "seed": seed},
            after_tensorflow(patch) if patch else "",
        )
        for seed in options.seeds
        for number, (title, (params, patch)) in enumerate(VARIANTS.items())
        for name, given in cut.items()
    }
    results = run_all(list(made.values()), options.folder, read_scores, options.jobs)
    errors = {key: results[run.name]["scores"]["model"]["rmse"] for key, run in made.items()}
    missing = f" Left out: {'; '.join(f'{name}, as {why}' for name, why in left_out.items())}." if left_out else ""
    write_section(
        METHOD,
        "experts",
        "\n\n".join(
            [
                "RMSE relative to that of the first row, geometric mean over seeds "
                f"{', '.join(map(str, options.seeds))}; the newest {1 - KEPT:.0%} of each file cut off, the test part "
                f"of the rest scored.{missing}",
                table(["", *cut, "all"], [_line(title, list(cut), options.seeds, errors) for title in VARIANTS]),
                f"{machine()}. `make bench-experts` writes this table.",
            ]
        ),
    )
    return 0


def _line(title: str, names: list[str], seeds: list[int], errors: Mapping[tuple[str, str, int], float]) -> list[str]:
    first = next(iter(VARIANTS))
    ratios = np.array([[errors[title, name, seed] / errors[first, name, seed] for seed in seeds] for name in names])
    of_series = np.exp(np.log(ratios).mean(axis=1))
    return [title, *(f"{ratio:.3f}" for ratio in of_series), f"{np.exp(np.log(of_series).mean()):.3f}"]


def _cut(series: Series, folder: Path, target: Path) -> dict[str, Any]:
    """Params of the same file without its newest rows."""
    given = {"data.timestamp": project_params({})["data"]["timestamp"], **series.params(folder)}
    frame = pd.read_csv(given["data.path"])
    clock = pd.to_datetime(frame[given["data.timestamp"]])
    file = target / f"cut-{series.file.stem}.csv"
    frame[clock <= clock.min() + KEPT * (clock.max() - clock.min())].to_csv(file, index=False)
    return {**given, "data.path": str(file)}


if __name__ == "__main__":
    sys.exit(main())
