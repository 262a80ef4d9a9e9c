"""The real pipeline under the real dvc: what a person sees, and what a run leaves."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, Project, outcome

from spline_lstm.audit.health import check_run
from spline_lstm.run.contract import PICTURES
from spline_lstm.run.errors import UnhealthyRunError
from spline_lstm.run.files import sha256, write_json, write_pickle
from spline_lstm.scores.doubt import BETTER, UNCLEAR, WORSE
from spline_lstm.scores.metrics import mae, rmse

RAN = re.compile(r"Running stage '(\w+)'")


def test_a_run_leaves_every_artifact_and_a_clean_status(finished_once):
    files = [file for group in finished_once.paths("first").artifacts().values() for file in group]

    assert all(file.stat().st_size > 0 for file in files)
    assert "up to date" in finished_once.ok("dvc", "status")
    assert not RAN.findall(finished_once.ok("dvc", "repro"))


def test_forced_repetitions_elsewhere_and_at_once_leave_the_lock_file_as_it_was(finished, tmp_path):
    """In two folders with one cache, both without anything that the first run left in another one."""
    before = (finished.path / "dvc.lock").read_bytes()
    finished.ok("git", "commit", "--quiet", "--allow-empty", "--message", "A later commit")
    finished.paths("first").made.unlink()  # as in a fresh clone
    shutil.rmtree(finished.path / ".dvc" / "cache")
    finished.ok("dvc", "cache", "dir", "--local", str(tmp_path / "cache"))
    threads = {"OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "3", "TF_NUM_INTRAOP_THREADS": "2"}
    anew = {"TF_XLA_FLAGS": ""}  # what was compiled for the first run is not taken
    place = {"LC_ALL": "C", "TZ": "Asia/Seoul", "PYTHONHASHSEED": "7"}
    other = finished.copy(tmp_path / "other")

    with ThreadPoolExecutor() as pool:
        strict = ("bash", "-c", "umask 077; exec dvc repro --force")
        runs = [
            pool.submit(finished.ok, "dvc", "repro", "--force", **threads, **anew, **place),
            pool.submit(other.ok, *strict, LC_ALL="ko_KR.UTF-8"),
        ]

    for project, run in zip((finished, other), runs, strict=True):
        ran = RAN.findall(run.result())
        ran.remove("backtest")  # it may run at any time before the report
        assert ran == ["preflight", "preprocess", "train", "evaluate", "forecast", "report", "check"]
        assert (project.path / "dvc.lock").read_bytes() == before


def test_a_processor_without_its_newest_instructions_scores_the_same_but_for_rounding(finished):
    paths = finished.paths("first")
    arrays = paths.processed.read_bytes()
    scores = [json.loads(paths.metrics.read_text(encoding="utf-8"))["metrics"]]
    checkpoint = paths.best_checkpoint.read_bytes()
    older = {"OPENBLAS_CORETYPE": "Nehalem", "ONEDNN_MAX_CPU_ISA": "SSE41", "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2"}

    for stage in ("preprocess", "train", "evaluate"):
        finished.ok("python", "-m", f"stages.{stage}", **older, TF_XLA_FLAGS="")

    assert paths.processed.read_bytes() == arrays
    assert paths.best_checkpoint.read_bytes() != checkpoint
    scores.append(json.loads(paths.metrics.read_text(encoding="utf-8"))["metrics"])
    one, other = ([table[key] for key in ("mae", "rmse", "winkler", "wql")] for table in scores)
    np.testing.assert_allclose(other, one, rtol=1e-3)  # measured: 1e-5


def test_an_evaluation_parameter_does_not_retrain(finished):
    finished.set(evaluate__coverage=[0.5, 0.9], evaluate__quantiles=[0.05, 0.5])
    paths = finished.paths("first")

    ran = RAN.findall(finished.ok("dvc", "repro"))

    ran.remove("backtest")
    assert ran[1:] == ["evaluate", "forecast", "report", "check"]
    scores = json.loads(paths.metrics.read_text(encoding="utf-8"))["metrics"]
    assert scores["coverage"] < 0.8 < scores["coverage_90"]
    assert "| 90% | " in paths.report.read_text(encoding="utf-8")
    for table in (pd.read_parquet(paths.predictions), pd.read_csv(paths.forecast)):
        assert list(table.columns[-7:]) == ["y_pred", "y_lower", "y_upper", "y_lower_90", "y_upper_90", "q0.05", "q0.5"]
        assert (table["y_lower_90"] < table["y_lower"]).all()
        np.testing.assert_array_equal(table[["q0.05", "q0.5"]], table[["y_lower_90", "y_pred"]])


def test_an_edit_of_a_page_writes_the_report_again_and_nothing_else(finished):
    report = finished.path / "spline_lstm" / "pages" / "report.py"
    report.write_text(report.read_text(encoding="utf-8").replace("# Forecast report", "# A report"), encoding="utf-8")

    assert RAN.findall(finished.ok("dvc", "repro")) == ["report", "check"]

    assert finished.paths("first").report.read_text(encoding="utf-8").startswith("# A report: first")


def test_experiments_are_compared_and_an_earlier_run_is_restored(compared_once, tmp_path):
    finished = compared_once.copy(tmp_path / "project")
    assert outcome(finished.stage("check", "--run-id", "b"))["healthy"]

    difference = finished.ok("dvc", "metrics", "diff")
    rows = [line.split() for line in difference.splitlines() if line.startswith("artifacts/latest/metrics.json")]
    by_metric = {row[1]: row[2:] for row in rows}
    assert {"mae", "mse", "rmse", "r2", "skill"} <= set(by_metric)
    assert all(len(values) == 3 for values in by_metric.values())
    assert len(by_metric) == len(rows)

    changes = finished.ok("dvc", "params", "diff")
    assert re.search(r"model\.cell\s+lstm\s+gru", changes)
    shown = finished.ok("dvc", "exp", "show", "--no-pager", "--csv")
    assert "rmse" in shown.splitlines()[0]
    assert "gru" in shown
    assert "rmse" in finished.ok("dvc", "metrics", "show")
    for command in ("show", "diff"):
        finished.ok("dvc", "plots", command)
        page = (finished.path / "dvc_plots" / "index.html").read_text(encoding="utf-8")
        for title in (
            "Train loss by epoch",
            "Validation error by epoch",
            "Forecast against actual",
            "Error by horizon",
            "Residuals",
        ):
            assert title in page

    first = finished.run("git", "show", "HEAD:params.yaml").stdout
    (finished.path / "params.yaml").write_text(first, encoding="utf-8")
    assert not RAN.findall(finished.ok("dvc", "repro"))
    assert outcome(finished.stage("check", "--run-id", "first"))["ok"]


def test_metrics_follow_from_the_predictions(finished_once):
    paths = finished_once.paths("first")
    scored = pd.read_parquet(paths.predictions).dropna(subset="y_true")
    metrics = json.loads(paths.metrics.read_text(encoding="utf-8"))

    truth, forecast = scored["y_true"].to_numpy(), scored["y_pred"].to_numpy()
    assert metrics["metrics"]["observed"] == len(scored)
    np.testing.assert_allclose(metrics["metrics"]["mae"], mae(truth, forecast))
    np.testing.assert_allclose(metrics["metrics"]["rmse"], rmse(truth, forecast))
    inside = scored["y_true"].between(scored["y_lower"], scored["y_upper"]).mean()
    np.testing.assert_allclose(metrics["metrics"]["coverage"], inside)
    best = min(table["rmse"] for table in metrics["baselines"].values())
    np.testing.assert_allclose(metrics["metrics"]["skill"], 1 - metrics["metrics"]["rmse"] / best)


def test_of_several_targets_errors_are_standardized_and_winners_are_told(project):
    rng, clock = np.random.default_rng(0), pd.date_range("2024-01-01", periods=300, freq="D")
    load = np.sin(np.arange(300) * 2 * np.pi / 7) + rng.normal(scale=0.3, size=300)
    table = pd.DataFrame({"when": clock, "load": load, "oil": 1e6 * np.cumsum(rng.normal(size=300))})
    table.to_csv(project.path / "two.csv", index=False)
    project.set(
        data={"path": "two.csv", "timestamp": "when", "target": ["load", "oil"]},
        covariates={"calendar": False},
        windows={"horizon": 3, "lookback": 14},
        train__epochs=1,
    )

    for stage in ("preflight", "preprocess", "train", "evaluate"):
        assert project.stage(stage).returncode == 0

    paths = project.paths("co2-weekly")
    scores = json.loads(paths.metrics.read_text(encoding="utf-8"))
    assert scores["scale"] == "standardized"
    assert scores["metrics"]["rmse"] < 10
    by_series = pd.read_csv(paths.series_scores).set_index("series_id")
    assert list(by_series.index) == ["load", "oil"]
    clear = by_series["skill"].abs() > by_series["skill_margin"]
    sign = np.where(by_series["skill"] > 0, BETTER, WORSE)
    assert (by_series["verdict"] == np.where(clear, sign, UNCLEAR)).all()
    relative = by_series["rmse"] / by_series["best_baseline_rmse"]
    assert scores["metrics"]["relative_rmse"] == pytest.approx(relative.mean())
    assert scores["metrics"]["mase"] == pytest.approx(by_series["mase"].mean())


def test_the_report_opens_with_a_verdict_and_shows_its_pictures(finished_once):
    paths = finished_once.paths("first")
    page = paths.report.read_text(encoding="utf-8")
    metrics = json.loads(paths.metrics.read_text(encoding="utf-8"))
    ridge = json.loads(paths.training.read_text(encoding="utf-8"))["model"]["shares"]["linear"] == 1

    verdict = page.split("\n\n")[1]
    assert ("is its ridge" in verdict) == ridge
    found = [each["skill"] > each["skill_margin"] for each in metrics["baselines"].values()]
    assert ("beats every baseline" in verdict) == (all(found) and not ridge)
    links = re.findall(r"\]\((.+?)\)", page)
    assert len([link for link in links if link.endswith(".png")]) == len(PICTURES) - 1  # there is no backtest
    for link in links:
        assert (paths.report.parent / link).is_file()
        assert not link.endswith(".png") or (paths.report.parent / link).read_bytes().startswith(b"\x89PNG")


def test_the_report_shows_the_forecast_as_it_is_in_its_file(finished_once):
    paths = finished_once.paths("first")
    page = paths.report.read_text(encoding="utf-8")

    for row in pd.read_csv(paths.forecast).iloc[[0, -1]].itertuples():
        assert f"| {row.timestamp} | {row.step} | {row.y_pred:.3f} | {row.y_lower:.3f} | {row.y_upper:.3f} |" in page


def test_a_finished_run_forecasts_a_new_file(finished):
    paths = finished.paths("first")
    table = pd.read_csv(finished.path / "data/raw/co2_weekly.csv")
    table.to_csv(finished.path / "same.csv", index=False)
    table.iloc[:-10].to_parquet(finished.path / "new.parquet")
    arguments = ("--run-id", "first", "--input")

    assert finished.stage("forecast", *arguments, "same.csv", "--output", "same_out.csv").returncode == 0
    assert finished.stage("forecast", *arguments, "new.parquet", "--output", "out/new.csv").returncode == 0

    assert (finished.path / "same_out.csv").read_bytes() == paths.forecast.read_bytes()
    new = pd.read_csv(finished.path / "out/new.csv", parse_dates=["origin", "timestamp"])
    assert new["origin"].iloc[0] == pd.Timestamp(table["date"].iloc[-11])
    assert (new["timestamp"].diff().dropna() == pd.Timedelta(weeks=1)).all()
    assert (new["y_lower"] < new["y_pred"]).all()
    assert (new["y_pred"] < new["y_upper"]).all()
    for bad, code in (("nowhere.csv", 21), ("params.yaml", 25)):
        assert finished.stage("forecast", *arguments, bad, "--output", "bad.csv").returncode == code
        assert not (finished.path / "bad.csv").exists()
    table.tail(20).to_csv(finished.path / "short.csv", index=False)
    assert finished.stage("forecast", *arguments, "short.csv", "--output", "bad.csv").returncode == 26


def test_a_wrong_newest_value_of_a_new_file_is_told_of_and_counts_as_missing(finished):
    table = pd.read_csv(finished.path / "data" / "raw" / "co2_weekly.csv")
    forecasts, said = [], []
    for value in (None, 99_999):
        table.loc[table.index[-1], "co2"] = value
        table.to_csv(finished.path / "new.csv", index=False)
        done = finished.stage("forecast", "--run-id", "first", "--input", "new.csv", "--output", "next.csv")
        forecasts.append((finished.path / "next.csv").read_bytes())
        said.append(outcome(done)["warnings"])

    missing, wrong = said
    assert forecasts[0] == forecasts[1]
    (more,) = set(wrong).difference(missing)
    assert re.search(r"values far from all that training saw count as missing: 1, the last 99999 in the step of", more)


def test_what_forecasts_has_learned_from_all_rows_unless_params_say_otherwise(finished):
    paths = finished.paths("first")
    best, forecast = paths.best_checkpoint.read_bytes(), pd.read_csv(paths.forecast)
    assert paths.final_checkpoint.read_bytes() != best
    assert "from the rows of all splits, by 1 more epoch" in paths.report.read_text(encoding="utf-8")
    finished.set(train__final=False)

    finished.ok("dvc", "repro", "report")

    assert paths.best_checkpoint.read_bytes() == paths.final_checkpoint.read_bytes() == best
    other = pd.read_csv(paths.forecast)
    assert (other["y_pred"] != forecast["y_pred"]).all()
    assert (other["y_pred"] - forecast["y_pred"]).abs().max() < forecast["y_upper"].sub(forecast["y_lower"]).max()
    assert "rows of all splits" not in paths.report.read_text(encoding="utf-8")


def test_a_file_unlike_all_that_the_run_has_seen_gets_wider_intervals_and_a_warning(finished):
    table = pd.read_csv(finished.path / "data/raw/co2_weekly.csv")
    late = table.assign(co2=table["co2"].where(table.index < len(table) - 6))
    ahead = pd.concat([late, pd.DataFrame({"date": ["2002-01-05"], "co2": [np.nan]})])
    shifted = table.assign(co2=table["co2"] + 300)
    friday = table.assign(date=(pd.to_datetime(table["date"]) - pd.Timedelta("1D")).dt.strftime("%Y-%m-%d"))
    widths, warnings = {}, {}
    for name, changed in {"usual": table, "late": ahead, "shifted": shifted, "friday": friday}.items():
        changed.to_csv(finished.path / "new.csv", index=False)
        arguments = ("--run-id", "first", "--input", "new.csv", "--output", "out.csv")
        done = finished.stage("forecast", *arguments)
        assert done.returncode == 0, done.stderr
        forecast = pd.read_csv(finished.path / "out.csv")
        widths[name] = (forecast["y_upper"] - forecast["y_lower"]).to_numpy()
        warnings[name] = outcome(done)["warnings"]
        assert all(warning in done.stderr for warning in warnings[name])

    assert warnings["usual"] == []
    assert warnings["late"] == ["co2: its newest 7 steps are missing; intervals are as wide as those of later steps"]
    assert len(warnings["shifted"]) == len(warnings["friday"]) == 1
    assert warnings["friday"][0].startswith("rows stand 1 days 00:00:00 before the labels of their steps")
    assert re.match(r"co2: its level lies \d\.\d ranges outside of all values that", warnings["shifted"][0])
    assert widths["late"][0] > 1.1 * widths["usual"][0]
    assert (widths["late"] > 0.99 * widths["usual"]).all()  # a step that is surer than a later one is as unsure as that
    assert (widths["shifted"] > 2 * widths["usual"]).all()


@pytest.mark.parametrize(
    ("artifact", "reader"),
    [(artifact, "train") for artifact in ("meta", "split_contract", "preprocessor")]
    + [("metrics", "forecast"), ("metadata", "check")],
)
def test_a_tampered_run_id_exits_27(finished, artifact, reader):
    file = getattr(finished.paths("first"), artifact)
    if file.suffix == ".pkl":
        write_pickle(file, {**pickle.loads(file.read_bytes()), "run_id": "other"})
    else:
        write_json(file, {**json.loads(file.read_text(encoding="utf-8")), "run_id": "other"})

    assert finished.stage("check").returncode == 27
    assert finished.stage("check", "--run-id", "first").returncode == 27
    done = finished.stage(reader)
    assert done.returncode == 27
    assert outcome(done)["error"]["code"] == "RunIdMismatchError"


def test_a_copied_folder_exits_27(finished):
    root = finished.path / "artifacts"
    shutil.copytree(root / "processed" / "first", root / "processed" / "copy")
    finished.set(run_id="copy")

    assert finished.stage("train").returncode == 27


def test_runs_that_are_not_there_or_are_not_what_they_say_are_not_compared(finished):
    alone, gone = finished.stage("compare"), finished.stage("compare", "first", "gone")
    edited = json.loads(finished.paths("first").metrics.read_text(encoding="utf-8"))
    write_json(finished.paths("copy").metrics, edited)
    shutil.copy(finished.paths("first").predictions, finished.paths("copy").predictions)

    assert (alone.returncode, gone.returncode) == (21, 21)
    assert "Received: first." in outcome(alone)["error"]["message"]
    assert "gone.parquet" in outcome(gone)["error"]["message"]
    assert finished.stage("compare").returncode == 27
    (finished.path / "artifacts" / "predictions" / "begun.parquet").touch()
    assert "left out: Run 'begun'" in finished.stage("compare").stderr
    table = pd.read_parquet(finished.paths("first").predictions)
    table["y_pred"] += 1
    table.to_parquet(finished.paths("first").predictions)
    changed = finished.stage("compare", "first", "copy")
    assert changed.returncode == 22
    assert "first.parquet" in outcome(changed)["error"]["message"]
    assert not (finished.path / "artifacts" / "comparison.md").exists()


def test_every_deleted_artifact_exits_30(finished):
    for group in finished.paths("first").artifacts().values():
        for file in group:
            content = file.read_bytes()
            file.unlink()

            with pytest.raises(UnhealthyRunError, match=re.escape(file.name)):
                check_run(finished.paths("first"))
            file.write_bytes(content)
    assert check_run(finished.paths("first")) == 25

    finished.paths("first").report.unlink()
    done = finished.stage("check", "--run-id", "first")
    assert done.returncode == 30
    assert outcome(done)["error"]["code"] == "UnhealthyRunError"


def test_a_broken_contract_exits_22(finished):
    paths = finished.paths("first")
    arrays = dict(np.load(paths.processed))
    split = json.loads(paths.split_contract.read_text(encoding="utf-8"))
    originals = {file: file.read_bytes() for file in (paths.processed, paths.split_contract, paths.best_checkpoint)}

    def damage_npz() -> None:
        np.savez(paths.processed, **{key: value for key, value in arrays.items() if key != "target_indices"})

    damages = {
        damage_npz: "target_indices",
        lambda: write_json(paths.split_contract, {**split, "schema_version": "v0"}): "schema_version",
        lambda: paths.best_checkpoint.write_bytes(b"PK"): "best.keras",
        lambda: paths.processed.write_bytes(b"\x00" * 100): "processed.npz",
    }
    for damage, word in damages.items():
        damage()
        stage = "evaluate" if word == "best.keras" else "train"
        for done in (finished.stage("check", "--run-id", "first"), finished.stage(stage)):
            assert done.returncode == 22, done.stderr
            assert word in done.stderr
            assert "Traceback" not in done.stderr
        for file, content in originals.items():
            file.write_bytes(content)


def test_params_that_are_edited_after_the_run_exit_22(finished):
    file = finished.paths("first").metadata
    content = json.loads(file.read_text(encoding="utf-8"))
    write_json(file, {**content, "params": {**content["params"], "seed": 9}})

    done = finished.stage("check")

    assert done.returncode == 22
    assert "`artifacts/metadata/first.json` must have the sha256 recorded" in done.stderr
    assert finished.stage("report").returncode == 0
    assert finished.stage("check", "--record").returncode == 0
    assert finished.stage("check").returncode == 0


@pytest.mark.parametrize("changes", [None, {}, {"pooled": None}, {"power": "high"}])
def test_intervals_that_no_evaluation_leaves_are_refused_before_the_forecast(finished, changes):
    file = finished.paths("first").metrics
    content = json.loads(file.read_text(encoding="utf-8"))
    write_json(file, {**content, "intervals": changes and {**content["intervals"], **changes}})

    done = finished.stage("forecast")

    assert done.returncode == 22, done.stderr
    assert "`artifacts/metrics/first.json` must hold the intervals" in done.stderr


def test_a_missing_metric_or_an_undefined_rmse_exits_30(finished):
    file = finished.paths("first").metrics
    content = json.loads(file.read_text(encoding="utf-8"))
    for name in ("mae", "mse", "rmse", "mape", "r2"):
        scores = {key: score for key, score in content["metrics"].items() if key != name}
        write_json(file, {**content, "metrics": scores})
        with pytest.raises(UnhealthyRunError, match=f"no metrics.{name}"):
            check_run(finished.paths("first"))
    write_json(file, {**content, "metrics": {**content["metrics"], "rmse": None}})

    assert finished.stage("check").returncode == 30


def test_a_hostile_preprocessor_runs_nothing(finished):
    class Payload:
        def __reduce__(self):
            return (Path.touch, (finished.path / "owned",))

    finished.paths("first").preprocessor.write_bytes(pickle.dumps(Payload()))

    for stage in ("check", "train", "evaluate", "forecast", "report"):
        assert finished.stage(stage).returncode == 22
    assert not (finished.path / "owned").exists()


def test_a_killed_stage_leaves_a_finished_run_as_it_was(finished):
    paths = finished.paths("first")
    before = {file: sha256(file) for file in paths.artifacts()["train"]}
    with finished.start("python", "-m", "stages.train") as started:
        assert any(line.startswith("epoch 1/2") for line in started.stderr)
        started.kill()

    assert {file: sha256(file) for file in paths.artifacts()["train"]} == before
    assert finished.stage("check").returncode == 0


def test_a_killed_training_goes_on_after_its_last_epoch_and_ends_in_the_same_bytes(finished):
    lock, latest = (finished.path / name for name in ("dvc.lock", "artifacts/latest/history.csv"))
    before, history = lock.read_bytes(), latest.read_text(encoding="utf-8").splitlines()
    with finished.start("dvc", "repro", "--force") as started:
        assert any(line.startswith("epoch 1/2") for line in started.stderr)
        while len(latest.read_text(encoding="utf-8").splitlines()) < 2:
            time.sleep(0.01)
        os.killpg(started.pid, signal.SIGKILL)

    assert latest.read_text(encoding="utf-8").splitlines() == history[:2]
    assert not finished.paths("first").best_checkpoint.exists()
    assert "going on after epoch 1" in finished.ok("dvc", "repro", "--force")  # a plain one takes it from the cache
    assert lock.read_bytes() == before
    assert not list((finished.path / "artifacts").rglob("*.tmp"))  # which a kill amid a write leaves for a while
    assert not finished.paths("first").unfinished_training.exists()


@pytest.mark.parametrize(
    "hurt", ["empty lock", "lock of half a stage", "lock of half a word", "run cache", "users of files"]
)
def test_where_dvc_was_killed_amid_its_own_files_the_runbook_mends_it(hurt, finished):
    lock = finished.path / "dvc.lock"
    whole = lock.read_bytes()
    half = {"stage": whole.index(b" path: ") + 6, "word": whole.index(b"deps") + 2}
    ends = {"empty lock": 0, **{f"lock of half a {what}": end for what, end in half.items()}}
    if hurt in ends:
        lock.write_bytes(whole[: ends[hurt]])
    elif hurt == "users of files":
        (finished.path / ".dvc" / "tmp" / "rwlock").write_text("", encoding="utf-8")
    else:
        stages = yaml.safe_load(whole)
        del stages["stages"]["backtest"]
        lock.write_text(yaml.safe_dump(stages), encoding="utf-8")
        runs = (finished.path / ".dvc" / "cache" / "runs").glob("*/*/*")
        (entry,) = [run for run in runs if "stages.backtest" in run.read_text(encoding="utf-8")]
        entry.unlink()
    failed = finished.run("dvc", "repro")
    assert failed.returncode == 255
    table = re.findall(r"^\| (.*) \(255\) \| (.*) \|$", (ROOT / "docs/runbook.md").read_text("utf-8"), re.MULTILINE)
    (advice,) = [
        advice for messages, advice in table if any(each in failed.stderr for each in re.findall("`(.*?)`", messages))
    ]

    for command in re.findall(r"`((?:rm|dvc) .*?)`", advice):
        finished.ok(*command.split())

    assert yaml.safe_load(lock.read_bytes()) == yaml.safe_load(whole)
    assert "Running stage" not in finished.ok("dvc", "repro")


def test_of_two_runs_in_one_folder_the_second_is_refused_before_it_writes_anything(finished):
    params, forecast = finished.path / "params.yaml", finished.paths("first").forecast.read_bytes()
    script = ["bash", "scripts/run_e2e.sh"]
    with finished.start(*script, RUN_ID="one") as one:
        assert any(line.startswith("compiling") for line in one.stderr)
        before = params.read_bytes()

        second = finished.run(*script, RUN_ID="two")
        by_dvc = finished.run("dvc", "repro")
        arguments = ("--run-id", "first", "--input", "data/raw/co2_weekly.csv", "--output", "out.csv")
        undisturbed = finished.stage("forecast", *arguments)

        assert second.returncode == 28
        assert f"`bash scripts/run_e2e.sh`, process {one.pid}, is at work there" in second.stderr
        assert by_dvc.returncode == 255
        assert "is busy" in by_dvc.stderr
        assert params.read_bytes() == before
        assert undisturbed.returncode == 0, undisturbed.stderr
        assert (finished.path / "out.csv").read_bytes() == forecast
        one.communicate()
    assert one.returncode == 0
    assert outcome(finished.stage("check"))["run_id"] == "one"


def test_params_that_change_during_a_run_fail_it_and_the_next_run_is_of_the_new_ones(finished):
    with finished.start("dvc", "repro", "--force") as started:
        assert any(line.startswith("epoch 1/2") for line in started.stderr)
        finished.set(model__units=4)
        said = started.communicate()[1]

    assert started.returncode != 0
    assert "error 10: `params.yaml` must stay as it is while" in said
    finished.ok("dvc", "repro")
    assert json.loads(finished.paths("first").training.read_bytes())["model"]["units"] == 4


def test_the_one_click_run_passes_on_the_code_of_the_stage_that_failed(project: Project):
    flat = project.path.parent / "flat.csv"
    days = pd.date_range("2020-01-01", periods=300).strftime("%Y-%m-%d")
    flat.write_text("date,co2\n" + "".join(f"{day},1\n" for day in days), encoding="utf-8")

    failed = project.run("bash", "scripts/run_e2e.sh", RUN_ID="flat", INPUT_PATH=str(flat))
    assert failed.returncode == 25, failed.stderr
    assert project.run("bash", "scripts/run_e2e.sh", INPUT_PATH="nowhere.csv").returncode == 21
    assert project.run("bash", "scripts/run_e2e.sh", EPOCHS="many").returncode == 10
    assert "# Every setting of a run" in (project.path / "params.yaml").read_text(encoding="utf-8")


def test_intervals_of_a_new_file_are_narrow_by_night_where_nights_were_sure(small):
    rng, clock = np.random.default_rng(0), pd.date_range("2024-01-01", periods=24 * 150, freq="h")
    by_day = (clock.hour >= 8) & (clock.hour < 20)
    load = 100 + 5 * np.sin(2 * np.pi * clock.hour / 24) + np.where(by_day, 2.0, 0.2) * rng.normal(size=len(clock))
    table = pd.DataFrame({"when": clock.astype(str), "load": load})
    table.to_csv(small.path / "load.csv", index=False)
    small.set(data__path="load.csv", data__timestamp="when", data__target="load", windows__horizon=24)
    for stage in ("preprocess", "train", "evaluate", "forecast"):
        small.ok("python", "-m", f"stages.{stage}")
    paths = small.paths("co2-weekly")
    scored = pd.read_parquet(paths.predictions)
    table.iloc[: -24 * 10 - 7].to_csv(small.path / "new.csv", index=False)
    small.ok("python", "-m", "stages.forecast", "--run-id", "co2-weekly", "--input", "new.csv", "--output", "out.csv")

    for forecast in (scored, pd.read_csv(paths.forecast), pd.read_csv(small.path / "out.csv")):
        hour = pd.to_datetime(forecast["timestamp"]).dt.hour
        day, width = (hour >= 8) & (hour < 20), forecast["y_upper"] - forecast["y_lower"]
        assert sorted(set(hour)) == list(range(24))
        assert width[day].mean() > 2 * width[~day].mean()
    inside = scored["y_true"].between(scored["y_lower"], scored["y_upper"])
    hour = scored["timestamp"].dt.hour
    assert inside[(hour >= 8) & (hour < 20)].mean() > 0.8
    small.ok("python", "-m", "stages.backtest")
    small.ok("python", "-m", "stages.report")
    told = paths.report.read_text(encoding="utf-8")
    assert re.search(r"by the hour of the day \(UTC\)\. Intervals are narrowest", told)
