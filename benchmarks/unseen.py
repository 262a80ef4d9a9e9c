"""A series never used while developing, run with the defaults.

Hourly, a day whose amplitude wanders, a week, a trend with breaks, autocorrelated noise,
outages. Writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from benchmarks.page import BENCHMARKS, machine, spread, table, write_section
from benchmarks.runs import Run, parser, read_scores, run_all

STEPS, HORIZON = 6000, 48
METHODS = {
    "model": "**Spline-LSTM**",
    "ridge": "ridge",
    "seasonal_naive": "seasonal naive",
    "moving_average": "moving average",
    "naive": "naive",
}


def series() -> pd.DataFrame:
    """`time, load`; rows of outages are not there."""
    random = np.random.default_rng(20260101)
    clock = np.arange(STEPS)
    breaks = np.interp(clock, [0, 1500, 2600, 4200, STEPS], [100, 130, 118, 150, 141])
    amplitude = 1 + np.cumsum(random.normal(0, 0.004, STEPS))
    day = 12 * amplitude * (np.sin(2 * np.pi * clock / 24) + 0.4 * np.sin(4 * np.pi * clock / 24 + 1))
    week = 6 * np.where(clock // 24 % 7 < 5, 1.0, -2.0)
    noise = np.zeros(STEPS)
    for step, shock in enumerate(random.standard_t(5, STEPS)):
        noise[step] = 0.8 * noise[step - 1] + 1.5 * shock
    frame = pd.DataFrame(
        {"time": pd.date_range("2024-01-01", periods=STEPS, freq="h"), "load": breaks + day + week + noise}
    )
    gone = random.random(STEPS) < 0.03
    for start in random.integers(0, STEPS - 30, 25):
        gone[start : start + random.integers(2, 30)] = True
    return frame[~gone].round(2)


def main() -> int:
    options = parser(__doc__).parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder.resolve() / "unseen.csv"
    frame = series()
    frame.to_csv(file, index=False)
    params = {"data.path": str(file), "data.timestamp": "time", "data.target": "load", "windows.horizon": HORIZON}
    runs = [Run(f"unseen/{seed}", {**params, "seed": seed}) for seed in options.seeds]
    results = list(run_all(runs, options.folder, read_scores, options.jobs).values())
    rows = [
        [title, *(spread([result["scores"][name][key] for result in chosen], 3) for key in ("rmse", "mae"))]
        for name, title in METHODS.items()
        for chosen in [results if name == "model" else results[:1]]  # the others have no seed
    ]
    settings = results[0]["settings"]
    write_section(
        BENCHMARKS,
        "unseen",
        "\n\n".join(
            [
                f"{STEPS:,} hours with {1 - len(frame) / STEPS:.0%} of the rows missing, horizon {HORIZON}, no other "
                f"param given; seeds {', '.join(map(str, options.seeds))}, mean ± standard deviation, original units. "
                f"Derived: seasons {settings['seasons']}, lookback {settings['lookback']}. "
                f"Share of the recurrence: {spread([result['shares']['members'] for result in results], 2)}.",
                table(["", "RMSE", "MAE"], rows),
                f"{machine()}.",
            ]
        ),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
