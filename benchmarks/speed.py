"""Time of a training step, and time from reading the data to scored test windows, beside neuralforecast.

All in one run on one machine, one after the other, imports not counted. Peers live in an environment of
their own (`make bench-peers`). Writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import long_horizon
from benchmarks.page import BENCHMARKS, machine, table, write_section
from benchmarks.plain_lstm import plain_lstm
from benchmarks.runs import ROOT, project_params
from spline_lstm.data.prepared import Prepared
from spline_lstm.data.preprocessing import prepare
from spline_lstm.data.series import read_panel
from spline_lstm.data.windows import SPLITS
from spline_lstm.model.batches import MemberInputs, TrainBatches
from spline_lstm.model.fitting import train_forecaster
from spline_lstm.model.linear import Remainder
from spline_lstm.model.ridge import fit_ridge
from spline_lstm.model.start import new_forecaster
from spline_lstm.model.training import TrainStep, predict
from spline_lstm.run.params import Params, parse_params

LOOKBACK, HORIZON, UNITS, WINDOWS = 336, 96, 128, 224
PEERS = {"LSTM": 100, "NHITS": 500, "DLinear": 500, "PatchTST": 200}  # training steps
TIMED_STEPS = 30
RIDGE = "ridge underneath, alone"
SCORES = ("seconds", "mse", "mae")


@dataclass(frozen=True)
class Outcome:
    """Seconds from reading the data to scores, and the scores of all test windows, z-scaled."""

    seconds: float
    mse: float
    mae: float


def main() -> int:
    parser = long_horizon.parser(__doc__)
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers" / "bin" / "python", help="(%(default)s)")
    options = long_horizon.parse(parser)
    if not options.peers.exists():
        parser.error(
            f"--peers must name a Python with neuralforecast. Received: {options.peers}. Run `make bench-peers`."
        )
    ours: dict[str, Outcome] = {}
    for cell in ("lstm", "gru"):
        for epochs in (1, None):
            title = f"Spline-{cell.upper()}, {'1 epoch' if epochs else 'defaults'}"
            print(title, file=sys.stderr)
            ours |= _ours(_params(options, cell, epochs), title)
    steps = {f"Spline-{cell.upper()}": _step_of_ours(_params(options, cell, None)) for cell in ("lstm", "gru")}
    steps["plain Keras LSTM, `Model.fit`"] = _step_of_plain_lstm()
    peers = {}
    for name, count in PEERS.items():
        print(f"neuralforecast {name}, {count} steps", file=sys.stderr)
        peers[name] = _peer(options, name, count)
    steps |= {f"neuralforecast {name}": result["step"] for name, result in peers.items()}

    unit = steps["Spline-LSTM"]
    step_rows = [[name, f"{1000 * seconds:.0f}", f"{seconds / unit:.1f}"] for name, seconds in steps.items()]
    rows = [[title, *_cells(one), "", "", ""] for title, one in ours.items()]
    rows += [
        [f"neuralforecast {name}, {PEERS[name]} steps", *_cells(one), *_sooner(ours, one)]
        for name, one in ((name, Outcome(*(result[key] for key in SCORES))) for name, result in peers.items())
    ]
    write_section(
        BENCHMARKS,
        "speed",
        "\n\n".join(
            [
                f"Lookback {LOOKBACK}, horizon {HORIZON}, hidden size {UNITS}, {WINDOWS} windows of one channel a "
                "batch. A training step:",
                table(["", "milliseconds", "against Spline-LSTM"], step_rows),
                f"`{options.data.name}`, from reading the file to scores of every test window; seed 1:",
                table(["", "seconds", "MSE", "MAE", "ours at that MSE", "sooner by", "with a recurrence"], rows),
                f"{machine()}; neuralforecast {peers['LSTM']['version']} with PyTorch {peers['LSTM']['torch']}.",
            ]
        ),
    )
    return 0


def _cells(one: Outcome) -> list[str]:
    return [f"{one.seconds:.1f}", f"{one.mse:.4f}", f"{one.mae:.4f}"]


def _sooner(ours: dict[str, Outcome], rival: Outcome) -> list[str]:
    """Which of ours was first to be as good as a rival, how many times sooner, and the first with a recurrence."""
    as_good = sorted((one.seconds, title) for title, one in ours.items() if one.mse <= rival.mse)
    recurrent = [seconds for seconds, title in as_good if title != RIDGE]
    return [
        as_good[0][1] if as_good else "none",
        f"{rival.seconds / as_good[0][0]:.1f} times" if as_good else "",
        f"{rival.seconds / recurrent[0]:.1f} times" if recurrent else "",
    ]


def _params(options: argparse.Namespace, cell: str, epochs: int | None) -> Params:
    changes = {
        **long_horizon.protocol_params(options, HORIZON, 1),
        "windows.lookback": LOOKBACK,
        "model.cell": cell,
        "model.units": UNITS,
        "train.batch_size": WINDOWS,
        **({"train.epochs": epochs} if epochs else {}),
    }
    return parse_params(project_params(changes))


def _prepared(params: Params) -> Prepared:
    """As `stages.preprocess` leaves it."""
    path, horizon = Path(params.data.path), params.windows.horizon
    return prepare(read_panel(path, params.data, params.covariates, horizon, split=params.split), params)


def _ours(params: Params, title: str) -> dict[str, Outcome]:
    """Outcomes of the ridge that lies underneath, and of the whole model, whose seconds include the ridge's."""
    start = time.perf_counter()
    prepared = _prepared(params)
    train, validation, test = (prepared.windows(split) for split in SPLITS)
    ridge = fit_ridge(prepared.source, train, validation)
    alone = _outcome(start, prepared, ridge.predict(prepared.source, test.rows, test.origins))
    trained = train_forecaster(prepared.source, train, validation, params, prepared.traits)
    forecasts = predict(trained.model, trained.source, test.rows, test.origins)
    return {RIDGE: alone, title: _outcome(start, prepared, forecasts)}


def _outcome(start: float, prepared: Prepared, forecasts: np.ndarray) -> Outcome:
    test = prepared.windows("test")
    error = forecasts - prepared.source.outputs(test.rows, test.origins)
    mse, mae = float(np.nanmean(error**2, dtype=float)), float(np.nanmean(np.abs(error), dtype=float))
    return Outcome(time.perf_counter() - start, mse, mae)


def _step_of_ours(params: Params) -> float:
    """Median seconds of a training step, gathering its windows included."""
    prepared = _prepared(params)
    source, train = prepared.source.without_clock(), prepared.windows("train")
    ridge = fit_ridge(source, train, prepared.windows("validation"))
    model = new_forecaster(source, train, params, ridge)
    step = TrainStep.of(model, params.train.learning_rate)
    seen = MemberInputs(Remainder(source, ridge.effects), model.segment_starts)
    batches = TrainBatches(seen, train, WINDOWS, np.random.default_rng(0), True)
    return _median_seconds(lambda: float(step.run(*next(batches))))


def _step_of_plain_lstm() -> float:
    random = np.random.default_rng(0)
    model = plain_lstm(LOOKBACK, HORIZON, 1, UNITS)
    inputs, targets = random.normal(size=(WINDOWS, LOOKBACK, 1)), random.normal(size=(WINDOWS, HORIZON, 1))
    return _median_seconds(lambda: model.train_on_batch(inputs, targets))


def _median_seconds(work: Callable[[], object]) -> float:
    work()  # compiles
    seconds = []
    for _ in range(TIMED_STEPS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _peer(options: argparse.Namespace, name: str, steps: int) -> dict[str, Any]:
    numbers = (steps, options.data.resolve(), *options.split, LOOKBACK, HORIZON, UNITS, WINDOWS)
    done = subprocess.run(
        [options.peers, ROOT / "benchmarks" / "peers.py", name, *map(str, numbers)],
        cwd=options.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"neuralforecast's {name} must run. Received: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
