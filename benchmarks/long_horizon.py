"""The standard long-horizon protocol: fixed row counts, z-scores by train, every test window, all channels."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from benchmarks import runs
from benchmarks.runs import ROOT

ETTH1 = ROOT.parent / "shared" / "data" / "ETTh1.csv"
HORIZONS = (96, 192, 336, 720)
SPLIT = (8640, 2880, 2880)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options that all benchmarks on such a file share."""
    result = runs.parser(description)
    result.add_argument(
        "--data",
        type=Path,
        default=ETTH1,
        help="CSV whose first column is the timestamp, all others targets (%(default)s)",
    )
    result.add_argument(
        "--split", type=int, nargs=3, default=SPLIT, metavar="ROWS", help="of train, validation and test (%(default)s)"
    )
    return result


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options, if their file is there, and the folder of the runs."""
    options = parser.parse_args()
    if not options.data.is_file():
        parser.error(
            f"--data must name a CSV file. Received: {options.data}, which does not exist. "
            "The project does not ship ETTh1: fetch it, or try another file with DATA=FILE."
        )
    options.folder.mkdir(parents=True, exist_ok=True)
    return options


def protocol_params(options: argparse.Namespace, horizon: int, seed: int) -> dict[str, Any]:
    """Params of the product that make it follow the protocol; all others keep their defaults."""
    with options.data.open(encoding="utf-8") as file:
        timestamp, *targets = next(csv.reader(file))
    train, validation, test = options.split
    return {
        "data.path": str(options.data.resolve()),
        "data.timestamp": timestamp,
        "data.target": targets,
        "split.train": train,
        "split.validation": validation,
        "split.test": test,
        "windows.horizon": horizon,
        "evaluate.scale": "standardized",
        "train.final": False,  # it changes no score
        "seed": seed,
    }
