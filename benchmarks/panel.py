"""Time and memory of each stage on panels of many series, beside pandas reading the same file.

Each stage runs in a process of its own, one after the other. Writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml

from benchmarks.page import BENCHMARKS, machine, table, write_section
from benchmarks.runs import ROOT, RUN_ID, project_params
from spline_lstm.run.contract import RunPaths

STAGES = ("preprocess", "train", "evaluate", "forecast", "report")
STEPS, HORIZON, EPOCHS, UNITS = 2000, 24, 2, 128
FEW = 10  # series, whose training needs what TensorFlow needs and next to nothing for data
PANDAS = "reading with pandas"
MEGABYTE = 1 << 20
FLOAT32 = 4


@dataclass(frozen=True)
class Cost:
    """Wall and processor seconds of a process, imports and all, and the peak of its resident memory in bytes."""

    seconds: float
    processor: float
    peak: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=(100, 1000, 10_000), help="series (%(default)s)")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="where runs are kept (%(default)s)")
    options = parser.parse_args()
    folder = options.folder.resolve() / "panel"
    costs = {count: _costs(count, folder / str(count)) for count in (FEW, *options.sizes)}
    text = [
        f"Hourly series of {STEPS:,} steps with two seasons, 1 % of the steps missing, in one Parquet file; horizon "
        f"{HORIZON}, {EPOCHS} epochs, {UNITS} units, all else as derived. Wall seconds of a process with its imports, "
        "and its peak memory:",
        table(
            ["series", PANDAS, *STAGES],
            [[f"{count:,}", *(_shown(costs[count][name]) for name in (PANDAS, *STAGES))] for count in options.sizes],
        ),
        f"Peak memory of train above that of the same training on {FEW} series, which is TensorFlow's own, and the "
        "size of all values in float32:",
        table(
            ["series", "train, above its own", "values", "times"],
            [_memory_row(count, costs[count]["train"], costs[FEW]["train"]) for count in options.sizes],
        ),
    ]
    if len(options.sizes) > 1:
        text += [
            "Seconds and bytes beyond those of the smallest panel, for each further thousand series:",
            table(["series", *STAGES], [_growth_row(count, costs, options.sizes[0]) for count in options.sizes[1:]]),
            "Times the seconds of the next smaller panel; as many times as it has series would be linear growth:",
            table(
                ["series", "times the series", *STAGES],
                [_ratio_row(*pair, costs) for pair in pairwise(options.sizes)],
            ),
        ]
    section = "\n\n".join([*text, f"{machine()}."])
    print(section)
    write_section(BENCHMARKS, "panel", section)
    return 0


def _shown(cost: Cost) -> str:
    return f"{cost.seconds:.1f} s, {cost.peak / MEGABYTE:,.0f} MB"


def _memory_row(count: int, cost: Cost, own: Cost) -> list[str]:
    values, above = count * STEPS * FLOAT32, cost.peak - own.peak
    return [f"{count:,}", *(f"{size / MEGABYTE:,.0f} MB" for size in (above, values)), f"{above / values:.1f}"]


def _growth_row(count: int, costs: Mapping[int, Mapping[str, Cost]], least: int) -> list[str]:
    thousands, row = (count - least) / 1000, [f"{least:,} to {count:,}"]
    for name in STAGES:
        more, less = costs[count][name], costs[least][name]
        seconds, size = more.seconds - less.seconds, (more.peak - less.peak) / MEGABYTE
        row.append(f"{seconds / thousands:.2f} s, {size / thousands:,.0f} MB")
    return row


def _ratio_row(least: int, count: int, costs: Mapping[int, Mapping[str, Cost]]) -> list[str]:
    times = [costs[count][name].seconds / costs[least][name].seconds for name in STAGES]
    return [f"{least:,} to {count:,}", *(f"{ratio:.1f}" for ratio in (count / least, *times))]


def _costs(count: int, folder: Path) -> dict[str, Cost]:
    """What pandas and each stage cost on a panel; kept in the folder only until the next panel."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "panel.parquet"
    _measure(folder, f"from benchmarks.panel_data import write_panel; write_panel({str(file)!r}, {count}, {STEPS})")
    params = {
        "run_id": RUN_ID,
        "data.path": str(file),
        "data.timestamp": "time",
        "data.target": "value",
        "data.series_id": "series",
        "windows.horizon": HORIZON,
        "model.units": UNITS,
        "train.epochs": EPOCHS,
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(project_params(params)), encoding="utf-8")
    costs = {PANDAS: _measure(folder, f"import pandas; pandas.read_parquet({str(file)!r})")}
    for stage in STAGES:
        print(f"{count} series: {stage}", file=sys.stderr)
        costs[stage] = _measure(folder, f"import sys; from stages.{stage} import main; sys.exit(main([]))")
    paths = RunPaths(folder / "artifacts", RUN_ID)
    for large in (file, paths.processed, paths.predictions):
        large.unlink()
    return costs


def _measure(folder: Path, code: str) -> Cost:
    """Run Python code in a process of its own.

    The peak of a process counts from that of its parent on: this one must stay small.

    Raises:
        RuntimeError: It failed.
    """
    log = folder / "panel.log"
    start = time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{code} must succeed in {folder}. Received: exit code {process.returncode}. See {log}.")
    return Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


if __name__ == "__main__":
    sys.exit(main())
