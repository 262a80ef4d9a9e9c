"""Who follows the advice of an error, word for word, is rid of it."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import outcome
from test_stages import MARS, parquet

from spline_lstm.audit.health import check_run
from spline_lstm.data.preprocessing import prepare
from spline_lstm.data.series import read_panel
from spline_lstm.data.windows import SPLITS
from spline_lstm.run.contract import RunPaths
from spline_lstm.run.errors import (
    ArtifactError,
    DataError,
    InsufficientDataError,
    ParamsError,
    PipelineError,
    RunIdMismatchError,
    UnhealthyRunError,
)
from spline_lstm.run.files import write_json
from spline_lstm.run.params import parse_params

STEPS = 200


@dataclass
class Given:
    """A table, or the bytes of a file, and params."""

    table: pd.DataFrame | bytes
    params: dict[str, Any]
    file: str = "table.csv"

    def set(self, **values: Any) -> None:
        """`data__path` is `data.path`; None leaves a param to its default."""
        for name, value in values.items():
            section, _, key = name.partition("__")
            if key:
                self.params.setdefault(section, {})[key] = value
            else:
                self.params[section] = value

    def hold(self, table: pd.DataFrame | bytes, file: str = "table.csv") -> None:
        self.table, self.file = table, file

    def cell(self, column: str, row: int, value: object) -> None:
        self.table = self.table.astype({column: object})
        self.table.loc[row, column] = value

    def column(self, name: str, values: object) -> None:
        self.table = self.table.assign(**{name: values})

    def preprocess(self, folder: Path) -> None:
        path = folder / self.file
        if isinstance(self.table, bytes):
            path.write_bytes(self.table)
        else:
            self.table.to_csv(path, index=False)
        params = parse_params(self.params)
        panel = read_panel(path, params.data, params.covariates, params.windows.horizon, split=params.split)
        prepared = prepare(panel, params)
        for split in SPLITS:
            prepared.windows(split)


def given() -> Given:
    clock = pd.date_range("2024-01-01", periods=STEPS, freq="h")
    load = 10 + np.sin(np.arange(STEPS) * np.pi / 12) + np.random.default_rng(0).normal(scale=0.1, size=STEPS)
    params = {"data": {"path": "table.csv", "timestamp": "when", "target": "load"}, "run_id": "advice"}
    windows = {"windows": {"horizon": 4, "lookback": 24}, "covariates": {"calendar": False}}
    return Given(pd.DataFrame({"when": clock.astype(str), "load": load}), {**params, **windows})


def whole() -> pd.DataFrame:
    return given().table


def twice() -> pd.DataFrame:
    return pd.concat([whole(), whole().iloc[[3]]])


def sites() -> pd.DataFrame:
    return pd.concat([whole().assign(site=name) for name in ("north", "south")])


def late() -> pd.DataFrame:
    """Of two series the second has no values for four fifths of the time."""
    table = sites().reset_index(drop=True)
    return table.assign(load=table["load"].where((table["site"] == "north") | (table.index % STEPS >= 160)))


def hours_of_march(tz: str | None = None) -> pd.Index:
    return pd.date_range("2024-03-30", periods=STEPS, freq="h", tz=tz).astype(str)


QUARTERS = pd.period_range("1974Q1", periods=STEPS, freq="Q")
Change = Callable[[Given], Any]
# What is wrong, the error, its advice, and what doing it is.
CASES: dict[str, tuple[Change, type[PipelineError], str, Change]] = {
    "a step that does not divide a day": (
        lambda it: (it.set(data__closed=["18:00-06:00"]), it.set(data__frequency="7h", windows__lookback=8)),
        ParamsError, "Set data.closed to null", lambda it: it.set(data__closed=None),
    ),
    "hours that leave nothing open": (
        lambda it: it.set(data__closed=["Mon-Sat", "Sun"]), ParamsError, "Shorten the hours",
        lambda it: it.set(data__closed=[]),
    ),
    "no rows": (
        lambda it: it.hold(b"when,load\n"), DataError, "Give it data", lambda it: it.hold(whole()),
    ),
    "an empty file": (
        lambda it: it.hold(b""), DataError, "Give it data", lambda it: it.hold(whole()),
    ),
    "no UTF-8": (
        lambda it: it.hold("when,load,ö\n2024-01-01,1,2\n".encode("latin-1")), DataError, "Convert it",
        lambda it: it.hold(whole().assign(ö=1).to_csv(index=False).encode()),
    ),
    "binary": (
        lambda it: it.hold(bytes(range(256)) * 9), DataError, "Convert it",
        lambda it: it.hold(parquet(whole()), file="table.parquet"),
    ),
    "cells that no column has": (
        lambda it: it.hold(b"when,load\n2024-01-01,1,2,3\n2024-01-02,1,2,3,4\n"), DataError, "Mend the file",
        lambda it: it.hold(whole()),
    ),
    "lists": (
        lambda it: it.hold(parquet(whole(), load=[[1.0]] * STEPS), file="table.parquet"),
        DataError, "Convert it", lambda it: it.hold(parquet(whole()), file="table.parquet"),
    ),
    "a zone that is not known": (
        lambda it: it.hold(parquet(whole(), when=MARS[:STEPS]), file="table.parquet"),
        DataError, "Write times in UTC",
        lambda it: it.hold(parquet(whole(), when=pd.to_datetime(whole()["when"], utc=True)), file="table.parquet"),
    ),
    "thousands of columns": (
        lambda it: it.hold(("when,load" + ",x" * 20_000 + "\n" + "1," * 20_001 + "1\n").encode()),
        DataError, "Leave columns out", lambda it: it.hold(whole()),
    ),
    "a column twice": (
        lambda it: it.hold(whole().assign(other=1.0).to_csv(index=False).replace("other", "load").encode()),
        DataError, "Rename the others", lambda it: it.hold(whole().assign(other=1.0)),
    ),
    "a name that is misspelt": (
        lambda it: it.set(data__target="laod"),
        DataError, "Did you mean 'load'? Call it 'laod', or name it in data or covariates",
        lambda it: it.set(data__target="load"),
    ),
    "a moment far away": (
        lambda it: it.cell("when", STEPS - 1, "2219-01-01 00:00:00"), DataError, "a wrong timestamp",
        lambda it: it.hold(whole()),
    ),
    "a step much too short": (
        lambda it: it.set(data__frequency="s"), DataError, "mend data.frequency",
        lambda it: it.set(data__frequency="h"),
    ),
    "two timestamps": (
        lambda it: it.hold(whole()[:2]), DataError, "Give more rows", lambda it: it.hold(whole()),
    ),
    "no offset of pandas": (
        lambda it: it.set(data__frequency="hourly"), ParamsError, "such as h,", lambda it: it.set(data__frequency="h"),
    ),
    "too short for its horizon": (
        lambda it: it.set(windows={"horizon": 90}), InsufficientDataError, "shorten windows.horizon",
        lambda it: it.set(windows__horizon=10),
    ),
    "too short for its lookback": (
        lambda it: it.set(windows={"horizon": 4, "lookback": 190}), InsufficientDataError, "shorten windows.horizon or",
        lambda it: it.set(windows__lookback=24),
    ),
    "logarithms of what is below zero": (
        lambda it: (it.column("load", whole()["load"] - 10), it.set(data__log=True)), DataError, "leave data.log null",
        lambda it: it.set(data__log=None),
    ),
    "a static covariate that varies": (
        lambda it: (it.column("size", range(STEPS)), it.set(covariates__static="size")),
        DataError, "name it in covariates.past", lambda it: it.set(covariates={"past": "size", "calendar": False}),
    ),
    "a moment twice": (
        lambda it: it.hold(twice()), DataError, "set data.duplicates to mean",
        lambda it: it.set(data__duplicates="mean"),
    ),
    "two series in one": (
        lambda it: it.hold(sites()), DataError, "set data.series_id to it", lambda it: it.set(data__series_id="site"),
    ),
    "numbers for timestamps": (
        lambda it: it.hold(parquet(whole(), when=range(STEPS)), file="table.parquet"),
        DataError, "Convert the numbers", lambda it: it.hold(parquet(whole()), file="table.parquet"),
    ),
    "dates of another order": (
        lambda it: it.column("when", pd.date_range("2024-01-01", periods=STEPS, freq="D").strftime("%d.%m.%Y")),
        DataError, "give data.timestamp_format", lambda it: it.set(data__timestamp_format="%d.%m.%Y"),
    ),
    "quarters": (
        lambda it: it.column("when", QUARTERS.astype(str)), DataError, "such as its last one, 1990-03-31",
        lambda it: it.column("when", QUARTERS.to_timestamp(how="end").date),
    ),
    "midnight of the day before": (
        lambda it: it.cell("when", 24, "2024-01-01 24:00"), DataError, "Write midnight as 00:00 of the next day",
        lambda it: it.cell("when", 24, "2024-01-02 00:00"),
    ),
    "a pattern that is none": (
        lambda it: it.set(data__timestamp_format="%Q"), ParamsError, "such as %d",
        lambda it: it.set(data__timestamp_format="%Y-%m-%d %H:%M:%S"),
    ),
    "a zone that is none": (
        lambda it: it.set(data__timezone="Mars/Olympus"), ParamsError, "Europe/Berlin",
        lambda it: it.set(data__timezone="Europe/Berlin"),
    ),
    "an hour that a change of clocks skips": (
        lambda it: (it.column("when", hours_of_march()), it.set(data__timezone="Europe/Berlin")),
        DataError, "with their UTC offset",
        lambda it: it.column("when", hours_of_march(tz="UTC")),
    ),
    "offsets in some": (
        lambda it: it.cell("when", 3, "2024-01-01 03:00:00+00:00"), DataError, "Write them all alike",
        lambda it: it.column("when", whole()["when"] + "+00:00"),
    ),
    "text among numbers": (
        lambda it: it.cell("load", 3, "much"), DataError, "Mend", lambda it: it.cell("load", 3, None),
    ),
    "a mark for nothing": (
        lambda it: (it.cell("load", 3, "?"), it.set(data__missing=-999)), DataError,
        "set data.missing to [-999, '?'] if it stands for nothing", lambda it: it.set(data__missing=[-999, "?"]),
    ),
    "borders in another order": (
        lambda it: it.set(split={"train": "2024-01-08", "validation": "2024-01-04"}), ParamsError, "Mend split",
        lambda it: it.set(split={"train": "2024-01-04", "validation": "2024-01-07"}),
    ),
    "a border with an offset": (
        lambda it: it.set(split__train="2024-01-04T00:00+01:00"), ParamsError, "a date without offset",
        lambda it: it.set(split__train="2024-01-04T00:00"),
    ),
    "a series that had not begun": (
        lambda it: (it.hold(late().fillna(0)), it.set(data__series_id="site")), DataError,
        "Remove the rows in which it had not begun", lambda it: it.hold(late().dropna()),
    ),
    "no target to score": (
        lambda it: it.column("load", whole()["load"].where(whole().index < 170)), InsufficientDataError,
        "give more data", lambda it: it.hold(whole()),
    ),
    "a file that is not there": (
        lambda it: it.set(data__path=""), PipelineError, "data.path", lambda it: it.set(data__path="table.csv"),
    ),
    "a param that is misspelt": (
        lambda it: it.set(modle={}), ParamsError, "Did you mean `model`", lambda it: it.params.pop("modle"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_advice_on_data_and_params_mends_them(case, tmp_path):
    fault, error, advice, mend = CASES[case]
    it = given()
    fault(it)

    with pytest.raises(error) as raised:
        it.preprocess(tmp_path)

    assert advice in str(raised.value)
    mend(it)
    it.preprocess(tmp_path)


def rewrite(file: Path, **changes: object) -> None:
    write_json(file, {**json.loads(file.read_text(encoding="utf-8")), **changes})


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


FAULTS: dict[str, tuple[Callable[[RunPaths], Any], type[PipelineError]]] = {
    "an artifact is gone": (lambda paths: paths.report.unlink(), UnhealthyRunError),
    "a checkpoint is gone": (lambda paths: paths.best_checkpoint.unlink(), UnhealthyRunError),
    "a score is gone": (lambda paths: rewrite(paths.metrics, metrics={}), UnhealthyRunError),
    "arrays have another bit": (lambda paths: flip(paths.processed), ArtifactError),
    "a picture has another bit": (lambda paths: flip(paths.picture("residuals")), ArtifactError),
    "recorded params are others": (lambda paths: rewrite(paths.metadata, params={}), ArtifactError),
    "metrics are those of another run": (lambda paths: rewrite(paths.metrics, run_id="other"), RunIdMismatchError),
}


def commands(message: str) -> list[str]:
    return re.findall(r"`((?:dvc|python) [^`]+)`", message.replace("--run-id ID", "--run-id first"))


@pytest.mark.parametrize("case", FAULTS)
def test_each_command_that_an_error_names_mends_the_run(case, finished):
    fault, error = FAULTS[case]
    paths = finished.paths("first")
    fault(paths)
    with pytest.raises(error) as raised:
        check_run(paths)

    advised = commands(str(raised.value))

    assert advised
    for number, command in enumerate(advised):
        if number:
            fault(paths)
        finished.ok(*shlex.split(command))
        check_run(paths)


def test_what_the_cache_lost_is_pulled_and_what_it_holds_wrong_is_made_again(finished, tmp_path):
    finished.ok("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    finished.ok("dvc", "push")
    report = finished.paths("first").report
    cache = finished.path / ".dvc" / "cache" / "files" / "md5"
    shutil.rmtree(cache)
    report.unlink()

    lost = finished.stage("restore", "--run-id", "first")
    assert lost.returncode == 21
    assert commands(lost.stderr) == ["dvc pull"]
    finished.ok("dvc", "pull")
    content = report.read_bytes()
    md5 = hashlib.md5(content).hexdigest()
    assert finished.stage("restore", "--run-id", "first").returncode == 0

    kept = cache / md5[:2] / md5[2:]
    kept.chmod(0o644)
    flip(kept)
    report.unlink()
    wrong = finished.stage("restore", "--run-id", "first")
    assert wrong.returncode == 22
    (named,) = re.findall(r"`([^`]*cache[^`]*)`", outcome(wrong)["error"]["message"])
    Path(finished.path, named).unlink()
    finished.ok("dvc", "repro")
    assert report.read_bytes() == content
