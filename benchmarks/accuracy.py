"""Long-horizon accuracy of the pipeline beside ridge, seasonal naive, a plain LSTM and published numbers.

Writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from benchmarks import long_horizon
from benchmarks.page import BENCHMARKS, machine, spread, table, write_section
from benchmarks.plain_lstm import RESULT
from benchmarks.runs import Run, read_scores, run_all
from spline_lstm.run.contract import RunPaths

# MSE, MAE by horizon. Sources: result tables of the repositories of SegRNN (IoT-J version) and DUET.
PUBLISHED = {
    "plain GRU": ((1.135, 0.844), (1.123, 0.814), (1.080, 0.807), (1.089, 0.822)),
    "DLinear": ((0.379, 0.403), (0.408, 0.419), (0.440, 0.440), (0.471, 0.493)),
    "PatchTST": ((0.377, 0.397), (0.409, 0.425), (0.431, 0.444), (0.457, 0.477)),
    "SegRNN (best recurrent)": ((0.351, 0.392), (0.392, 0.414), (0.423, 0.433), (0.466, 0.472)),
    "DUET": ((0.352, 0.384), (0.398, 0.409), (0.414, 0.426), (0.429, 0.455)),
}
OURS = {"lstm": "**Spline-LSTM**", "gru": "**Spline-GRU**"}

EXPERTS = {"linear": "ridge", "folded": "folded ridge", "holt_winters": "Holt-Winters", "members": "recurrence"}
PARTS = {**EXPERTS, "mixed": "mixture"}


def main() -> int:
    parser = long_horizon.parser(__doc__)
    parser.add_argument("--horizons", type=int, nargs="+", default=long_horizon.HORIZONS, help="(%(default)s)")
    options = long_horizon.parse(parser)
    start = time.perf_counter()
    ours = {
        (cell, horizon, seed): Run(
            f"{options.data.stem}/{cell}-{horizon}-{seed}",
            {**long_horizon.protocol_params(options, horizon, seed), "model.cell": cell},
        )
        for seed in options.seeds
        for cell in OURS
        for horizon in options.horizons
    }
    plain = {
        (horizon, seed): Run(
            f"{options.data.stem}/plain-{horizon}-{seed}",
            long_horizon.protocol_params(options, horizon, seed),
            modules=("stages.preprocess", "benchmarks.plain_lstm"),
        )
        for seed in options.seeds
        for horizon in options.horizons
    }
    results = run_all(list(ours.values()), options.folder, read_scores, options.jobs)
    plain_results = run_all(list(plain.values()), options.folder, _read_plain, options.jobs)

    def scores(method: str, horizon: int, measure: str) -> list[float]:
        if method == "plain":
            return [plain_results[plain[horizon, seed].name][measure] for seed in options.seeds]
        name = "model" if method in OURS else method
        cell = method if method in OURS else "lstm"
        seeds = options.seeds if method in OURS else options.seeds[:1]  # closed forms have no seed
        return [results[ours[cell, horizon, seed].name]["scores"][name][measure] for seed in seeds]

    def line(title: str, method: str) -> list[str]:
        by_measure = []
        for measure in ("mse", "mae"):
            by_horizon = [scores(method, horizon, measure) for horizon in options.horizons]
            by_measure.append([*(spread(values) for values in by_horizon), spread(np.mean(by_horizon, axis=0))])
        return [title, *(f"{mse} / {mae}" for mse, mae in zip(*by_measure, strict=True))]

    rows = [line(title, method) for method, title in OURS.items()]
    rows += [
        line("ridge", "ridge"),
        line("seasonal naive", "seasonal_naive"),
        line("plain Keras LSTM, 96 raw steps", "plain"),
    ]
    if options.data.stem == "ETTh1" and tuple(options.horizons) == long_horizon.HORIZONS:
        rows += [_published(name, numbers) for name, numbers in PUBLISHED.items()]
    chosen = [
        [
            f"{OURS[cell].strip('*')}, {horizon}",
            *(spread([run["shares"].get(name, 0.0) for run in runs], 2) for name in EXPERTS),
            spread([run["best_epoch"] for run in runs], 1),
            *(
                spread([run["validation"][part]["mse"] for run in runs]) if part in runs[0]["validation"] else ""
                for part in PARTS
            ),
            spread([_seconds(run) for run in runs], 0),
        ]
        for cell in OURS
        for horizon in options.horizons
        for runs in [[results[ours[cell, horizon, seed].name] for seed in options.seeds]]
    ]
    settings = results[ours["lstm", options.horizons[0], options.seeds[0]].name]["settings"]
    total = sum(_seconds(result) for result in (*results.values(), *plain_results.values())) / options.jobs
    write_section(
        BENCHMARKS,
        "accuracy",
        "\n\n".join(
            [
                f"`{options.data.name}`, {', '.join(map(str, options.split))} rows to train, validate and test; every "
                "test window of all channels; MSE / MAE of z-scores; seeds "
                f"{', '.join(map(str, options.seeds))}, mean ± standard deviation. One configuration, the defaults: "
                f"lookback {settings['lookback']} and seasons {settings['seasons']} are derived from train rows. Rows "
                "without ± have no seed, those below the plain LSTM are published.",
                table(["MSE / MAE", *map(str, options.horizons), "mean"], rows),
                "What validation chose (shares of the experts, epoch), its MSE of each of them "
                f"and of the mixture, and how long a run took without its final fit, {options.jobs} at a time:",
                table(
                    ["", *(f"share: {name}" for name in EXPERTS.values()), "best epoch", *PARTS.values(), "seconds"],
                    chosen,
                ),
                f"{machine()}. All runs together: {total / 60:.0f} minutes.",
            ]
        ),
    )
    print(f"{BENCHMARKS}: written after {(time.perf_counter() - start) / 60:.0f} minutes", file=sys.stderr)
    return 0


def _read_plain(paths: RunPaths) -> dict[str, Any]:
    return json.loads((paths.root.parent / RESULT).read_text(encoding="utf-8"))


def _seconds(result: dict[str, Any]) -> float:
    return sum(result["seconds"].values())


def _published(name: str, numbers: tuple[tuple[float, float], ...]) -> list[str]:
    mean = tuple(np.mean(numbers, axis=0))
    return [name, *(f"{mse:.3f} / {mae:.3f}" for mse, mae in (*numbers, mean))]


if __name__ == "__main__":
    sys.exit(main())
