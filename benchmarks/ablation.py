"""What each part of the forecaster is worth: leave one out, or put another in its place.

Writes a section of docs/method.md. Choices were made on the validation column.
"""

from __future__ import annotations

import sys

from benchmarks import long_horizon
from benchmarks.page import METHOD, machine, spread, table, write_section
from benchmarks.runs import Run, read_scores, run_all

# For what no param changes: Python that runs once TensorFlow is there.
AVERAGE = "training.AVERAGE_MEMORY = 0.0"
SQUARES = "training.HUBER_DELTA = 1e9"
RESIDUAL = """
members = forecaster.SplineForecaster.member_forecasts
forecaster.SplineForecaster.member_forecasts = lambda self, windows, **options: [
    forecast + self.linear(self._linear_inputs(windows)) for forecast in members(self, windows, **options)
]
"""
VARIANTS: dict[str, tuple[dict[str, object], str]] = {
    "**as it is**": ({}, ""),
    "the recurrence alone": ({"model.linear": False}, ""),
    "recurrence on the ridge's residual": ({}, RESIDUAL),
    "raw values for spline coefficients": ({"spline.degree": 0, "spline.coefficients": 48, "spline.penalty": 0.0}, ""),
    "no augmentation": ({"train.augment": False}, ""),
    "last weights, not their average": ({}, AVERAGE),
    "no dropout": ({"model.dropout": 0.0}, ""),
    "squared loss for Huber's": ({}, SQUARES),
    "two members": ({"model.members": [480, 480]}, ""),
    "lookback 336": ({"windows.lookback": 336}, ""),
}
EPOCHS = 6  # at most, for all: a whole run takes a dozen, and the differences show before


def main() -> int:
    parser = long_horizon.parser(__doc__)
    parser.add_argument("--horizon", type=int, default=96, help="(%(default)s)")
    options = long_horizon.parse(parser)
    runs = {
        (title, seed): Run(
            f"ablation/{options.horizon}-{number}-{seed}",
            {**long_horizon.protocol_params(options, options.horizon, seed), "train.epochs": EPOCHS, **params},
            after_tensorflow(patch) if patch else "",
        )
        for seed in options.seeds
        for number, (title, (params, patch)) in enumerate(VARIANTS.items())
    }
    results = run_all(list(runs.values()), options.folder, read_scores, options.jobs)

    def line(title: str) -> list[str]:
        found = [results[runs[title, seed].name] for seed in options.seeds]
        return [
            title,
            *(spread([result["validation"]["mixed"][key] for result in found]) for key in ("mse", "mae")),
            spread([result["scores"]["model"]["mse"] for result in found]),
            spread([result["scores"]["model"]["mae"] for result in found]),
            f"{found[0]['parameters']:,}",
            spread([result["seconds"]["stages.train"] for result in found], 0),
        ]

    header = ["", "validation MSE", "validation MAE", "test MSE", "test MAE", "weights", "seconds to train"]
    write_section(
        METHOD,
        "ablation",
        "\n\n".join(
            [
                f"`{options.data.name}`, horizon {options.horizon}, z-scores, seeds "
                f"{', '.join(map(str, options.seeds))}, mean ± standard deviation; {EPOCHS} epochs at most, "
                f"{options.jobs} runs at a time.",
                table(header, [line(title) for title in VARIANTS]),
                f"{machine()}. `make bench-ablation` writes this table.",
            ]
        ),
    )
    return 0


def after_tensorflow(patch: str) -> str:
    """Python that has a patch executed as soon as a stage has imported TensorFlow."""
    return f"""
from stages import _run
load = _run.import_tensorflow
def import_tensorflow():
    load()
    import numpy as np
    from spline_lstm.model import combination, fitting, forecaster, start, training
    exec({patch!r}, {{**globals(), **locals()}})
_run.import_tensorflow = import_tensorflow
"""


if __name__ == "__main__":
    sys.exit(main())
