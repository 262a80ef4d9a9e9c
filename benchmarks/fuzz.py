"""Artifacts and inputs of a real run, mutated at random: is every reader's answer a documented one?

A mutated file either does no harm or is refused with a documented exit code, in bounded time and memory, and starts no
process. Half of the time every recorded hash is made to fit what was mutated. Ends with 1 where a reader ends
otherwise, and keeps the file.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import importlib
import io
import json
import logging
import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.runs import ROOT
from spline_lstm.run.contract import RunPaths
from spline_lstm.run.files import CORRUPT, sha256
from spline_lstm.run.params import load_params

KEPT = ROOT / ".bench" / "fuzz"
FEWEST = 20  # files, however slow the machine is
SECONDS, BYTES = 60, 4 << 30  # that one reader may take, and by which memory may grow
DOCUMENTED = {0, 10, 21, 22, 23, 25, 26, 27, 30}
STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "socket.connect"}
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**31, 2**63, 10**40, 1e308, -0.5, "", "x" * 70, "../../x", "2024-13-45", "\0"),
    *([], {}, [[]], {"": None}, [1, "a", None]),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help=f"how long (%(default)s); {FEWEST} files at least")
    parser.add_argument("--seed", type=int, default=1, help="of what is mutated, and how (%(default)s)")
    parser.add_argument("--project", type=Path, help="with a finished run; without it, one is made in a clone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "project")
        if options.project:
            shutil.copytree(options.project, project)
        else:
            _finish(project)
        os.chdir(project)
        counts = _fuzz(random.Random(options.seed), options.seconds)
    print(", ".join(f"{name}: {count}" for name, count in sorted(counts.items())), file=sys.stderr)
    cases = sum(counts.values())
    if counts["otherwise"]:
        print(f"{counts['otherwise']} of {cases} mutated files ended otherwise than documented: see {KEPT}")
        return 1
    print(f"each of {cases} mutated files was harmless, or refused with a documented exit code")
    return 0


def _finish(project: Path) -> None:
    small = [f"--set={value}" for value in ("train.epochs=1", "model.units=4", "windows.horizon=8")]
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
    for command in ([sys.executable, "-m", "stages.preflight", *small], [sys.executable, "-m", "dvc", "repro"]):
        subprocess.run(command, cwd=project, check=True, capture_output=True)


def _fuzz(dice: random.Random, seconds: float) -> collections.Counter[str]:
    logging.disable()
    started: set[str] = set()
    sys.addaudithook(lambda event, given: started.add(f"{event} {given[0]}") if event in STARTS else None)
    params = load_params()
    paths, inputs = RunPaths(Path("artifacts"), params.run_id), _inputs(Path(params.data.path))
    words = {"run": params.run_id, "table": params.data.path}
    artifacts = [file for group in paths.artifacts().values() for file in group if file.suffix not in (".png", ".md")]
    whole = {file: file.read_bytes() for file in (*artifacts, paths.health, *inputs)}
    for reader in (*READERS, *READERS_OF_INPUTS):
        code, fault = _answer(reader[0], [word.format(**words, file=inputs[-1]) for word in reader[1:]])
        if code:
            raise RuntimeError(f"{reader} ended with {code}, nothing mutated: {fault}")
    usual = {*started, "subprocess.Popen git"}  # of the metadata; others are what TensorFlow asks the system
    counts, begin = collections.Counter[str](), time.monotonic()
    with tqdm(unit="file", disable=None) as progress:
        while time.monotonic() - begin < seconds or counts.total() < FEWEST:
            file = dice.choice(list(whole))
            mutated = dice.choice(MUTATIONS)(dice, file, whole[file])
            sealed = file not in inputs and dice.random() < 0.5
            file.write_bytes(mutated)
            if sealed:
                _seal(paths)
            reader = dice.choice(READERS_OF_INPUTS if file in inputs else READERS)
            arguments = [word.format(**words, file=file) for word in reader[1:]]
            started.clear()
            code, fault = _answer(reader[0], arguments)
            fault = fault or ", ".join(sorted(started - usual))
            counts["otherwise" if fault else "refused" if code else "harmless"] += 1
            if fault:
                _keep(f"{counts.total()}-{file.name}", mutated, f"{reader[0]} {arguments}, sealed: {sealed}\n{fault}\n")
            for each, content in whole.items():
                each.parent.mkdir(parents=True, exist_ok=True)
                each.write_bytes(content)
            progress.update()
    return counts


def _inputs(table: Path) -> list[Path]:
    """The input, and the same as Parquet, packed in several ways."""
    files = [table]
    for packing in ("snappy", "gzip"):
        files.append(table.with_name(f"{packing}.parquet"))
        pd.read_csv(table).to_parquet(files[-1], compression=packing)
    return files


def _answer(stage: str, arguments: list[str]) -> tuple[int, str]:
    """The exit code of a stage, and what is wrong with its answer, if anything is."""
    module = importlib.import_module(f"stages.{stage}")
    said, before = io.StringIO(), _memory()
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = int(module.main(arguments))
    except TimeoutError:
        return 1, f"it took more than {SECONDS} seconds"
    finally:
        signal.alarm(0)
    if code not in DOCUMENTED:
        return code, said.getvalue()
    if (more := _memory() - before) > BYTES:
        return code, f"it took {more:,} bytes"
    return code, ""


def _too_long(*_: object) -> NoReturn:
    raise TimeoutError


def _memory() -> int:
    """The most that this process has had, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _seal(paths: RunPaths) -> None:
    """Make every recorded hash fit what is there, as far as the records can still be read."""
    for record, files in (
        (paths.meta, (paths.processed, paths.split_contract, paths.preprocessor)),
        (paths.training, tuple(file for file in paths.artifacts()["train"] if file != paths.training)),
        (paths.backtest, (paths.backtest_table, paths.backtest_predictions)),
    ):
        _update(record, "sha256", {file.name: sha256(file) for file in files})
    files = tuple(file for group in paths.artifacts().values() for file in group if file != paths.metadata)
    _update(paths.metadata, "artifacts", {file.relative_to(paths.root).as_posix(): sha256(file) for file in files})
    _update(paths.health, "metadata", sha256(paths.metadata))


def _update(record: Path, key: str, value: Any) -> None:
    with contextlib.suppress(*CORRUPT):
        content = json.loads(record.read_bytes())
        content[key] = value
        record.write_text(json.dumps(content), encoding="utf-8")


def _keep(name: str, mutated: bytes, said: str) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / name).write_bytes(mutated)
    (KEPT / f"{name}.txt").write_text(said, encoding="utf-8")


def _bits(dice: random.Random, _: Path, content: bytes) -> bytes:
    changed = bytearray(content)
    for _each in range(2 ** dice.randrange(6)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _cut(dice: random.Random, _: Path, content: bytes) -> bytes:
    return content[: dice.randrange(len(content))]


def _stretch(dice: random.Random, _: Path, content: bytes) -> bytes:
    """A part of the file in place of another, or once more, or gone."""
    begin, end = sorted(dice.choices(range(len(content)), k=2))
    place = dice.randrange(len(content))
    part = dice.choice([content[begin:end], content[begin:end] * 2, b"", b"\xff" * (end - begin)])
    return content[:place] + part + content[dice.choice([place, min(place + len(part), len(content))]) :]


def _numbers(dice: random.Random, _: Path, content: bytes) -> bytes:
    """Sizes and counts in a binary file, at the ends of what they can be."""
    changed, place = bytearray(content), dice.randrange(max(1, len(content) - 8))
    width = dice.choice([2, 4, 8])
    changed[place : place + width] = dice.choice([b"\xff" * width, b"\0" * width, b"\xff" * (width - 1) + b"\x7f"])
    return bytes(changed)


def _meaning(dice: random.Random, file: Path, content: bytes) -> bytes:
    """Another value where a format has one; bits, where this knows no such place."""
    if file.suffix == ".json":
        return json.dumps(_grafted(dice, json.loads(content))).encode()
    if file.suffix == ".pkl":
        return pickle.dumps(_grafted(dice, pickle.loads(content)), protocol=4)
    if file.suffix == ".npz":
        arrays = dict(np.load(io.BytesIO(content)))
        name = dice.choice(list(arrays))
        arrays[name] = dice.choice(ARRAYS)(arrays[name])
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()
    if file.suffix == ".csv":
        rows = [line.split(",") for line in content.decode().splitlines()]
        row = dice.choice([rows[0], dice.choice(rows)])
        row[dice.randrange(len(row))] = str(dice.choice(ODD))
        return "\n".join(map(",".join, rows)).encode("utf-8", "surrogatepass")
    if file.suffix == ".parquet":
        table = pd.read_parquet(io.BytesIO(content))
        if len(table):
            name = dice.choice(list(table.columns))
            values = table[name].astype(object)
            values.iloc[dice.randrange(len(values))] = dice.choice(ODD)
            table[name] = values.astype(str) if dice.random() < 0.5 else pd.to_numeric(values, errors="coerce")
        return bytes(table.to_parquet())
    return _bits(dice, file, content)


def _grafted(dice: random.Random, tree: Any) -> Any:
    """A tree in which one place has another value, or is gone."""
    root: dict[Any, Any] = {"": tree}
    parent: Any = root
    key: Any = ""
    while isinstance(parent[key], dict | list) and parent[key] and dice.random() < 0.85:
        parent = parent[key]
        key = dice.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    if dice.random() < 0.3 and parent is not root:
        del parent[key]
    else:
        parent[key] = dice.choice(ODD)
    return root[""]


ARRAYS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda array: array[:0],
    lambda array: array[: len(array) // 2],
    lambda array: array[..., None],
    lambda array: np.full(array.shape, np.nan),
    lambda array: np.full(array.shape, 2**62),
    lambda array: -np.ones_like(array) if array.dtype.kind in "if" else array,
    lambda array: array.astype(str),
    lambda array: np.repeat(array, 3, axis=0),
)
MUTATIONS = (_bits, _cut, _stretch, _numbers, _meaning, _meaning, _meaning)
READERS = (
    *(("check",), ("evaluate",), ("forecast",), ("report",)),
    ("forecast", "--run-id", "{run}", "--input", "{table}", "--output", "out.csv"),
)
READERS_OF_INPUTS = (("preprocess",), ("forecast", "--run-id", "{run}", "--input", "{file}", "--output", "out.csv"))

if __name__ == "__main__":
    sys.exit(main())
