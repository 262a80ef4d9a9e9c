"""What covariates are worth: the New York weather of examples/, without them, with some, with all.

Writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import sys
from typing import Any

import yaml

from benchmarks.page import BENCHMARKS, machine, spread, table, write_section
from benchmarks.runs import ROOT, Run, parser, read_scores, run_all

EXAMPLE = ROOT / "examples" / "nyc-weather" / "params.yaml"
VARIANTS: dict[str, dict[str, object]] = {
    "none": {"covariates.past": [], "covariates.calendar": False},
    "past": {"covariates.calendar": False},
    "past, calendar": {"covariates.calendar": True},
    "past, calendar left to validation": {"covariates.calendar": None},
}
RIVALS = {"naive": "naive", "moving_average": "moving average", "seasonal_naive": "seasonal naive"}
EPOCHS = 6  # at most, for all


def example_params() -> dict[str, Any]:
    """The settings of the example, as `section.key`."""
    content = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    sections = {name: values for name, values in content.items() if isinstance(values, dict)}
    params = {f"{name}.{key}": value for name, values in sections.items() for key, value in values.items()}
    return {**params, "data.path": str(ROOT / params["data.path"]), "train.epochs": EPOCHS}


def main() -> int:
    options = parser(__doc__).parse_args()
    params = example_params()
    runs = {
        (title, seed): Run(f"covariates/{number}-{seed}", {**params, **variant, "seed": seed})
        for seed in options.seeds
        for number, (title, variant) in enumerate(VARIANTS.items())
    }
    results = run_all(list(runs.values()), options.folder, read_scores, options.jobs)

    def line(title: str) -> list[str]:
        found = [results[runs[title, seed].name] for seed in options.seeds]
        return [
            title,
            spread([result["validation"]["mixed"]["mse"] for result in found]),
            *(spread([result["scores"]["model"][key] for result in found], 3) for key in ("rmse", "mae")),
            spread([found[0]["scores"]["ridge"]["rmse"]], 3),  # it has no seed
            spread([result["shares"]["members"] for result in found], 2),
        ]

    scores = results[runs["none", options.seeds[0]].name]["scores"]
    rivals = [
        [title, "", *(f"{scores[name][key]:.3f}" for key in ("rmse", "mae")), "", ""] for name, title in RIVALS.items()
    ]
    header = ["covariates", "validation MSE", "test RMSE", "test MAE", "its ridge's RMSE", "share"]
    write_section(
        BENCHMARKS,
        "covariates",
        "\n\n".join(
            [
                f"Temperature at three airports, {params['windows.horizon']} hours ahead, °F (validation: z-scores); "
                f"`past`: {', '.join(params['covariates.past'])}. {EPOCHS} epochs at most; seeds "
                f"{', '.join(map(str, options.seeds))}, mean ± standard deviation.",
                table(header, [*map(line, VARIANTS), *rivals]),
                f"{machine()}.",
            ]
        ),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
