"""Stages as an operator meets them: bad input gets one clear error, its exit code, and no artifact."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Project, outcome

HOSTILE_RUN_IDS = ["../x", "a/b", "x; touch y", "$(id)", "", "a" * 200, ".", "-x", "x\n", "..", 1e5, None]
ENTRY_POINTS = ["preflight", "preprocess", "train", "evaluate", "forecast", "backtest", "report"]


def series(steps: int = 400) -> pd.DataFrame:
    clock = pd.date_range("2020-01-01", periods=steps, freq="h")
    noise = np.random.default_rng(0).normal(scale=0.1, size=steps)
    return pd.DataFrame({"when": clock.astype(str), "load": np.sin(np.arange(steps) * np.pi / 12) + noise})


def changed(column: str, row: int, value: object) -> str:
    table = series().astype(object)
    table.loc[row, column] = value
    return table.to_csv(index=False)


def parquet(table: pd.DataFrame, **columns: object) -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({**table.to_dict("list"), **columns}), buffer)
    return buffer.getvalue().to_pybytes()


MARS = pa.array(range(400)).cast(pa.timestamp("s", tz="Mars/Olympus"))
BAD_INPUTS = {
    "empty file": ("", 25, ["empty"]),
    "blank lines": ("\n\n\n", 25, ["empty"]),
    "header only": ("when,load\n", 25, ["rows"]),
    "no such column": (series().rename(columns={"load": "laod"}).to_csv(index=False), 25, ["'load'", "'laod'"]),
    "an index without a name": (series().drop(columns="load").to_csv(), 25, ["'load'", "Unnamed: 0, when"]),
    "a column called NA": (series().rename(columns={"load": "NA"}).to_csv(index=False), 25, ["'load'", "when, NA"]),
    "unparsable timestamp": (changed("when", 6, "yesterday"), 25, ["'when'", "row 7", "yesterday"]),
    "empty timestamp": (changed("when", 6, ""), 25, ["'when'", "row 7"]),
    "duplicate timestamp": (changed("when", 9, "2020-01-01 03:00:00"), 25, ["2020-01-01 03:00:00", "row 10"]),
    "infinity": (changed("load", 4, "inf"), 25, ["'load'", "row 5"]),
    "text": (changed("load", 4, "broken"), 25, ["'load'", "row 5", "broken"]),
    "constant": (series().assign(load=3.5).to_csv(index=False), 25, ["'load'", "3.5"]),
    "all missing": (series().assign(load=np.nan).to_csv(index=False), 25, ["'load'"]),
    "no train observations": (
        series().assign(load=lambda table: table["load"].where(table.index > 300)).to_csv(index=False), 25, ["'load'"],
    ),
    "too large to square": (changed("load", 4, "1e308"), 25, ["'load'"]),
    "too short": (series(30).to_csv(index=False), 26, ["30", "24"]),
    "a timestamp far away": (changed("when", 399, "2219-01-01 00:00:00"), 25, ["2219"]),
    "too many gaps": (
        series().assign(load=lambda t: t["load"].where(t.index % 50 == 0)).to_csv(index=False), 26, ["gaps"],
    ),
    "binary garbage": (bytes(range(256)) * 64, 25, ["binary"]),
    "not UTF-8": ("when,load\n2020-01-01,\xe9\n".encode("latin-1"), 25, ["UTF-8"]),
    "a truncated Parquet file": (b"PAR1garbage", 25, ["input.parquet"]),
    "lists in a Parquet file": (parquet(series(), load=[[1.0], []] * 200), 25, ["'load'", "list<"]),
    "an unknown zone in a Parquet file": (parquet(series(), when=MARS), 25, ["input.parquet", "Mars/Olympus"]),
    "more cells than columns": ("when,load\n2020-01-01,1\n2020-01-02,2,3,4\n", 25, ["line 3"]),
    "a decimal comma": ("when,load\n" + "".join(f"2020-01-{day:02},{day},5\n" for day in range(1, 30)), 25, ["input"]),
    "an open quote": ('when,load\n"2020-01-01,1\n', 25, ["input"]),
}  # fmt: skip


def point_at(project: Project, content: str | bytes, suffix: str = ".csv", **params: object) -> Path:
    file = project.path.parent / f"input{suffix}"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    settings = {"windows__horizon": 24, "data__path": str(file), "data__timestamp": "when", "data__target": "load"}
    project.set(**{**settings, **params})
    return file


def artifacts(project: Project) -> set[str]:
    root = project.path / "artifacts"
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def assert_clear_failure(done, exit_code: int, *words: str) -> None:
    assert done.returncode == exit_code, done.stderr
    found = outcome(done)
    assert (found["ok"], found["exit_code"]) == (False, exit_code)
    for text in (found["error"]["message"], done.stderr):
        assert all(word in text for word in words), text
    assert "Traceback" not in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("error")] == [done.stderr.splitlines()[-1]]


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_names_its_fault_and_leaves_nothing(project, case):
    content, exit_code, words = BAD_INPUTS[case]
    point_at(project, content, ".parquet" if "Parquet" in case else ".csv")
    before = artifacts(project)

    done = project.stage("preprocess")

    assert_clear_failure(done, exit_code, *words)
    assert artifacts(project) == before


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (0, "load: no step missing"),
        (5, "in 1 gaps, longest 5; all filled point in time"),
        (30, "in 1 gaps, longest 30; those over 6 steps are not filled"),
    ],
)
def test_the_log_says_of_gaps_what_was_done(project, missing, said):
    table = series().drop(index=range(60, 60 + missing))
    point_at(project, table.to_csv(index=False), gaps__longest=6)

    done = project.stage("preprocess")

    assert done.returncode == 0, done.stderr
    assert said in done.stderr
    assert ("all filled" in done.stderr) == (missing == 5)


def test_the_log_says_which_covariates_were_read_and_what_is_unknown(project):
    table = series()
    table["kind"] = ["wet"] * (len(table) - 5) + ["windy"] * 5
    point_at(project, table.to_csv(index=False), covariates__past=["kind"])

    done = project.stage("preprocess")

    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert "covariates: kind (past, 1 categories)" in lines
    assert "categories of which train rows hold none or few, counted as unknown: kind: windy" in lines
    assert "constant in train rows, from which nothing can be learned of them: kind" in lines
    meta = json.loads(project.paths("co2-weekly").meta.read_text())
    assert meta["findings"]["covariates"]["kind"] == {
        "role": "past",
        "categories": 1,
        "unknown": ["windy"],
        "constant": True,
        "missing_share": 0.0,
    }


def test_a_missing_input_is_found_first(project):
    project.set(data__path="nowhere.csv")

    assert_clear_failure(project.stage("preflight"), 21, "nowhere.csv")
    assert_clear_failure(project.stage("preprocess"), 21, "nowhere.csv")
    project.set(data__path="a" * 5000)
    assert_clear_failure(project.stage("preflight"), 21, "aaaa")


def test_one_line_of_a_gigabyte_is_refused_without_reading_it_into_memory(project):
    file = point_at(project, "")
    with file.open("wb") as long_line:
        long_line.write(b"when,load\n2020-01-01,")
        for _ in range(1024):
            long_line.write(b"1" * (1 << 20))

    done = project.run("bash", "-c", "ulimit -v 2500000; python -m stages.preprocess")
    file.unlink()

    assert_clear_failure(done, 25, "input.csv", "longer")


@pytest.mark.parametrize(("run_id", "stage"), list(zip(HOSTILE_RUN_IDS, cycle(ENTRY_POINTS), strict=False)), ids=repr)
def test_a_hostile_run_id_is_refused_before_anything_happens(project, run_id, stage):
    project.set(run_id=run_id)
    before = {path: path.stat().st_mtime_ns for path in project.path.parent.rglob("*")}

    assert_clear_failure(project.stage(stage), 10, "run_id")
    if isinstance(run_id, str):
        assert_clear_failure(project.stage("check", f"--run-id={run_id}"), 10, "run_id")
        environment = {"RUN_ID": run_id, "PYTHONDONTWRITEBYTECODE": "1"}
        assert project.run("bash", "scripts/run_e2e.sh", **environment).returncode == 10

    after = {path: path.stat().st_mtime_ns for path in project.path.parent.rglob("*")}
    assert {path for path in after if "__pycache__" not in str(path)} == set(before)


def test_dvc_with_a_hostile_run_id_runs_and_deletes_nothing(finished):
    keep = finished.path.parent / "x"
    keep.mkdir()
    (keep / "processed.npz").write_text("mine", encoding="utf-8")
    before = artifacts(finished)
    for run_id in ("../../../x", "first/../../..", "x; touch y", "$(touch y)"):
        finished.set(run_id=run_id)

        done = finished.run("dvc", "repro")

        assert done.returncode != 0
        assert artifacts(finished) - {"preflight.json"} == before - {"preflight.json"}
        assert (keep / "processed.npz").read_text(encoding="utf-8") == "mine"
        assert not (finished.path / "y").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train__epochs": 0, "train__epoch": 3}, ["train.epochs", "Received: 0", "Did you mean `train.epochs`"]),
        ({"model__cell": "rnn", "windows__horizon": "a"}, ["model.cell", "'lstm' or ", "windows.horizon"]),
        (
            {"data__timezone": "Mars/Olympus", "data__timestamp_format": "%Q"},
            ["data.timezone", "data.timestamp_format"],
        ),
        ({"modle": {}}, ["Did you mean `model`"]),
    ],
)
def test_every_mistake_in_params_is_listed(project, changes, words):
    project.set(**changes)

    assert_clear_failure(project.stage("preflight"), 10, *words)


@pytest.mark.parametrize("frequency", ["fortnightly", f"{10**20}D"])
def test_a_frequency_that_is_no_step_is_a_params_error(project, frequency):
    project.set(data__frequency=frequency)

    assert_clear_failure(project.stage("preprocess"), 10, "data.frequency")


def test_closed_hours_are_inferred_recorded_and_told(project):
    clock = pd.date_range("2024-01-01", periods=24 * 7 * 20, freq="h")
    clock = clock[(clock.dayofweek < 5) & (clock.hour >= 9) & (clock.hour < 17)]
    load = np.random.default_rng(0).normal(size=len(clock))
    point_at(project, pd.DataFrame({"when": clock.astype(str), "load": load}).to_csv(index=False))

    done = project.stage("preprocess")

    assert outcome(done)["ok"] is True, done.stderr
    assert "closed hours Sat-Sun, 16:00-09:00" in done.stderr
    meta = json.loads(project.paths("co2-weekly").meta.read_text(encoding="utf-8"))
    assert meta["settings"]["closed"] == meta["findings"]["closed"]["hours"] == ["Sat-Sun", "16:00-09:00"]
    assert meta["shape"]["time"] == len(clock)


def test_a_wrong_command_line_exits_2(project):
    assert project.stage("train", "--epochs", "3").returncode == 2
    assert project.stage("forecast", "--run-id", "first").returncode == 2
    source = "data/raw/co2_weekly.csv"
    for lost in (source, f"./stages/../{source}", "artifacts/forecasts/first.csv"):
        done = project.stage("forecast", "--run-id", "first", "--input", source, "--output", lost)
        assert done.returncode == 2
        assert "would be lost" in done.stderr
    os.mkfifo(project.path / "pipe")
    assert project.stage("forecast", "--run-id", "first", "--input", source, "--output", "pipe").returncode == 2
    assert (project.path / "pipe").is_fifo()


def test_an_artifact_that_is_no_file_is_refused(project):
    metrics = project.paths("co2-weekly").metrics
    metrics.parent.mkdir(parents=True)
    os.mkfifo(metrics)  # from which nothing would ever come

    assert_clear_failure(project.stage("check", "--run-id", "co2-weekly"), 22, "must be a file", "Delete it")


def test_an_input_that_dvc_keeps_is_got_from_there(project):
    shutil.move(project.path / "data/raw/co2_weekly.csv", project.path / "my data.csv")
    project.ok("dvc", "add", "my data.csv")
    (project.path / "my data.csv").unlink()
    project.set(data__path="my data.csv")

    done = project.stage("preflight")

    assert_clear_failure(done, 21, "`dvc checkout 'my data.csv.dvc'`")
    project.ok("bash", "-c", re.findall("`(dvc checkout .*?)`", done.stderr)[0])
    assert project.stage("preflight").returncode == 0


def test_a_stage_before_its_input_exists_says_what_to_run(project):
    for stage in ("train", "evaluate", "forecast", "report"):
        assert_clear_failure(project.stage(stage), 21, "dvc repro")
    assert_clear_failure(project.stage("check"), 30, "dvc repro")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="a full disk needs the right to mount one")
def test_a_full_disk_leaves_nothing_half_written(project):
    disk = project.path / "artifacts" / "processed"
    disk.mkdir(parents=True)
    if project.run("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)).returncode != 0:
        pytest.skip("this machine does not let us mount a disk")
    try:
        assert_clear_failure(project.stage("preprocess"), 22, "No space left", "Free space")
        assert not [path for path in disk.rglob("*") if path.is_file()]
    finally:
        project.ok("umount", str(disk))


@pytest.mark.parametrize(("sent", "exit_code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stage_that_is_stopped_says_so_without_a_traceback(project, sent, exit_code):
    code = "import signal; from stages import preflight; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += f"preflight.load_params = lambda: signal.raise_signal(signal.{sent}); raise SystemExit(preflight.main([]))"

    done = project.run("python", "-c", code)

    assert_clear_failure(done, exit_code, "interrupted")


def test_a_stage_that_is_interrupted_while_it_imports_shows_no_traceback(project):
    waits = "import sys, time; print('importing', file=sys.stderr, flush=True); time.sleep(60)"
    (project.path / "pandas.py").write_text(waits, encoding="utf-8")
    # A shell ignores SIGINT for what it starts in the background, as these tests may be.
    code = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    started = project.start("python", "-c", code + "os.execvp('python', ['python', '-m', 'stages.preprocess'])")
    assert started.stderr
    assert started.stderr.readline() == "importing\n"

    started.send_signal(signal.SIGINT)

    assert started.communicate(timeout=60)[1] == ""
    assert started.returncode == -signal.SIGINT


def test_a_stage_without_a_stderr_still_says_how_it_went(project):
    done = project.run("bash", "-c", "python -m stages.check --run-id nobody 2>&-")

    assert outcome(done)["exit_code"] == done.returncode == 30
    assert len(done.stdout.splitlines()) == 1


def test_a_stage_whose_stderr_nobody_reads_still_says_how_it_went(project):
    done = project.run("bash", "-c", "python -m stages.check --run-id nobody 2>&1 >out | true; echo ${PIPESTATUS[0]}")

    assert done.stdout == "30\n"
    assert json.loads((project.path / "out").read_text(encoding="utf-8"))["exit_code"] == 30


def test_bounds_that_the_data_does_not_keep_are_told_of(project):
    point_at(project, series().to_csv(index=False), data__minimum=-0.5, data__maximum=9)

    done = project.stage("preprocess")

    below = int((series()["load"] < -0.5).sum())
    assert f"observed values beyond data.minimum, -0.5, which no forecast will pass: {below}" in done.stderr
    assert "data.maximum" not in done.stderr


def test_later_values_beyond_a_bound_that_train_rows_show_are_told_of(project):
    table = series().assign(load=lambda table: (90 + 10 * table["load"]).clip(5, 100))
    table.loc[table.index[-3:], "load"] = 104.0
    point_at(project, table.to_csv(index=False))

    done = project.stage("preprocess")

    told = "observed values beyond the maximum that train rows show, which later forecasts may pass, too"
    assert f"{told}: 3 of load beyond 100; mend the data, or set data.maximum" in done.stderr


def test_values_far_from_all_others_are_told_of(project):
    table = series()
    table.loc[[40, 380], "load"] = [1e4, -2e4]  # of train and of test rows
    point_at(project, table.to_csv(index=False))

    done = project.stage("preprocess")

    (said,) = [line for line in done.stderr.splitlines() if "far from all others" in line]
    assert "others: 2, first 10000 in the step of 2020-01-02 16:00:00; values that count as missing: 2; if" in said
    assert json.loads(project.paths("co2-weekly").meta.read_text("utf-8"))["findings"]["doubted"] == {"load": 2}


def test_numbers_that_seem_to_stand_for_nothing_are_told_of_until_params_name_them(project):
    table = series()
    table.loc[::9, "load"] = -999
    point_at(project, table.assign(wind=table["load"].replace(-999, 1e20)).to_csv(index=False), covariates__past="wind")

    done = project.stage("preprocess")

    assert f"load: -999 stands in {len(table[::9])} rows, far from all other numbers" in done.stderr
    assert "wind: 1e+20 stands" in done.stderr
    (advice,) = set(re.findall(r"set data\.missing to (.*)", done.stderr))
    assert advice == "[-999, 1e+20]"
    findings = json.loads(project.paths("co2-weekly").meta.read_text("utf-8"))["findings"]
    assert findings["marks"] == {"load": -999, "wind": 1e20}
    project.ok("python", "-m", "stages.preflight", "--set", f"data.missing={advice}")
    mended = project.ok("python", "-m", "stages.preprocess")
    assert "stands" not in mended
    assert f"load: {len(table[::9])} steps missing" in mended


def test_rows_at_the_end_without_a_target_are_told_of_before_a_training(project):
    table = series()
    table.loc[380:, "load"] = np.nan
    file = point_at(project, table.to_csv(index=False))

    done = project.stage("preprocess")

    assert done.returncode == 0, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("no forecast of load beyond the data")]
    assert said.endswith("a gap of 20 steps. Remove its last rows, which hold no value.")
    table[:380].to_csv(file, index=False)
    assert "no forecast" not in project.stage("preprocess").stderr


def test_a_message_names_a_column_as_it_is_written(project):
    point_at(project, series().rename(columns={"load": "load  kW"}).to_csv(index=False), data__target="load kW")

    assert_clear_failure(project.stage("preprocess"), 25, "'load  kW'")


def test_a_season_that_no_window_holds_is_kept_and_said_to_be_of_no_use(project):
    point_at(project, series().to_csv(index=False), windows__lookback=30, gaps__seasons=[168, 24])

    done = project.stage("preprocess")

    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if "168" in line and "longer than the lookback of 30" in line]
    assert not [line for line in done.stderr.splitlines() if "season of 24" in line]
    found = json.loads(project.paths("co2-weekly").meta.read_text(encoding="utf-8"))["settings"]
    assert (found["seasons"], found["season"]) == ([24, 168], 24)
