"""Six series as they are in the field: the defaults beside statsforecast and LightGBM, on the same test windows.

Nothing was, or may be, chosen by the test parts of these series. Peers live in an environment of their own
(`make bench-peers`). Writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import runs
from benchmarks.field_page import LIMIT, PEERS, Found, section
from benchmarks.field_scores import COVERAGES, scores
from benchmarks.field_series import FIELD, Series, present
from benchmarks.field_windows import compared_file, peers_file, read
from benchmarks.page import BENCHMARKS, write_section
from benchmarks.runs import ROOT, RUN_ID, Run, run_all
from spline_lstm.run.contract import RunPaths

SCRIPT = ROOT / "benchmarks" / "field_peers.py"


def main() -> int:
    options = _options()
    series, left_out = present(options.data)
    found = {name: _measured(options, name, one) for name, one in series.items()}
    write_section(BENCHMARKS, "field", section(options.seeds, options.jobs, series, found, left_out))
    return 0


def _options() -> argparse.Namespace:
    parser = runs.parser(__doc__)
    parser.add_argument("--data", type=Path, default=FIELD, help="folder of the files (%(default)s)")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers" / "bin" / "python", help="(%(default)s)")
    options = parser.parse_args()
    if not options.peers.exists():
        parser.error(
            "--peers must name a Python with statsforecast and lightgbm. "
            f"Received: {options.peers}. Run `make bench-peers`."
        )
    return options


def _measured(options: argparse.Namespace, name: str, series: Series) -> Found:
    """Our runs, a few at a time, and then peers, one after the other."""
    print(name, file=sys.stderr)
    params = {**series.params(options.data), "evaluate.coverage": list(COVERAGES)}
    made = [Run(f"field/{name.replace(' ', '-')}-{seed}", {**params, "seed": seed}) for seed in options.seeds]
    results = run_all(made, options.folder, partial(read, series.seasons), options.jobs)
    kept = [RunPaths(options.folder / run.name / "artifacts", RUN_ID) for run in made]
    seconds = [sum(results[run.name]["seconds"].values()) for run in made]
    ours = [_scored(paths, None) | {"seconds": took} for paths, took in zip(kept, seconds, strict=True)]
    answers = {peer: _peer(options.peers, peer, peers_file(kept[0])) for peer in PEERS}
    ended = {peer: answer for peer, answer in answers.items() if "failed" not in answer}
    if not ended:
        raise RuntimeError(f"A peer at least must forecast {name}. Received: {answers}")
    return Found(
        list(results.values()),
        ours,
        {
            peer: _scored(kept[0], answer["forecasts"]) | {"seconds": answer["seconds"]}
            for peer, answer in ended.items()
        },
        {peer: answer["failed"] for peer, answer in answers.items() if peer not in ended},
        {answer["package"]: answer["version"] for answer in ended.values()},
    )


def _scored(paths: RunPaths, forecasts: Sequence[Any] | None) -> dict[str, float]:
    """Scores of forecasts, or of the run's own, on the windows that it left to compare, in the units that it left."""
    with np.load(compared_file(paths)) as left:
        unit = left["unit"][:, None]
        given = left["forecasts"] if forecasts is None else np.array(forecasts)
        return scores(left["y_true"] / unit, given / unit[..., None])


def _peer(python: Path, peer: str, known: Path) -> dict[str, Any]:
    """What the script of the peers answers; asked once for the same file and the same script."""
    asked = hashlib.sha256(known.read_bytes() + SCRIPT.read_bytes()).hexdigest()
    done = known.with_name(f"{peer}.json")
    if done.exists() and (earlier := json.loads(done.read_text(encoding="utf-8")))["asked"] == asked:
        return earlier["answer"]
    print(f"  {peer}", file=sys.stderr)
    answer = _ask(python, peer, known)
    if "failed" not in answer:
        done.write_text(json.dumps({"asked": asked, "answer": answer}), encoding="utf-8")
    return answer


def _ask(python: Path, peer: str, known: Path) -> dict[str, Any]:
    command = [str(word) for word in (python, SCRIPT, peer, known.resolve())]
    try:
        process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {"failed": f"more than {LIMIT // 60} minutes"}
    if process.returncode:
        return {"failed": process.stderr.strip().splitlines()[-1][:120]}
    return json.loads(process.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
