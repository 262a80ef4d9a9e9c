"""The parts of the benchmarks that could make a number wrong without anyone noticing."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from sources import layout_of

from benchmarks import covariates, experts, long_horizon
from benchmarks.ablation import VARIANTS, after_tensorflow
from benchmarks.field_page import Found, section
from benchmarks.field_scores import COVERAGES, QUANTILES, allowed, columns, scores
from benchmarks.field_series import SERIES, present
from benchmarks.field_windows import LEAST, MOST, compared, independent
from benchmarks.missing import BLOCK, RIVALS, removed, score
from benchmarks.page import spread, write_section
from benchmarks.runs import Run, project_params, run_all
from benchmarks.unseen import STEPS, series
from spline_lstm.data.gaps import runs
from spline_lstm.data.windows import WindowIndex
from spline_lstm.run.contract import RunPaths
from spline_lstm.run.params import parse_params


def complete(steps=2000):
    clock = pd.date_range("2020-01-01", periods=steps, freq="h")
    waves = {name: np.sin(np.arange(steps) / (5 + number)) for number, name in enumerate("ab")}
    return pd.DataFrame({"date": clock, **waves})


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_the_wanted_share_is_removed_half_of_it_in_blocks(share):
    gone = removed((2, 2000), share)

    np.testing.assert_array_equal(gone, removed((2, 2000), share))
    for row in gone:
        assert row.mean() == pytest.approx(share, abs=1e-3)
        starts, ends = runs(row)
        long = ends - starts >= BLOCK
        assert (ends - starts)[long].sum() >= share / 2 * len(row)
    assert (gone[0] != gone[1]).any()


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_knows_nothing_after_the_origin(name):
    rng, origin = np.random.default_rng(0), 1200
    rows = [complete()["a"].to_numpy(), complete()["b"].to_numpy()[500:]]
    layout = layout_of(rows, [0, 500])
    values = np.concatenate(rows)
    values[rng.random(values.size) < 0.3] = np.nan
    changed = values.copy()
    for row, start in zip(layout.split(changed), layout.starts, strict=True):
        row[origin + 1 - start :] = 99.0

    before, after = RIVALS[name](values, layout, [24]), RIVALS[name](changed, layout, [24])

    for known, *held in zip(
        *map(layout.before, [values, held_at(before), held_at(after)], [origin + 1] * 3), strict=True
    ):
        np.testing.assert_array_equal(*held)
        np.testing.assert_array_equal(np.isnan(known), ~np.isnan(held[0]))
    settled = (layout.before(filled.settled, origin + 1) for filled in (before, after))
    for known, early, late in zip(layout.before(values, origin + 1), *settled, strict=True):
        seen = np.flatnonzero(~np.isnan(known))
        # PCHIP looks one observation further for its slopes: what it gains by that, its row in the table keeps.
        until = seen[-1] + 1 if name != "PCHIP" else seen[-1] - 5
        np.testing.assert_allclose(early[:until], late[:until], atol=1e-6)
        np.testing.assert_allclose(early[seen], known[seen], atol=1e-6)


def test_forecasts_are_scored_against_the_complete_file(tmp_path):
    truth, std = complete(20).set_index("date"), pd.Series({"a": 2.0, "b": 0.5})
    rng = np.random.default_rng(0)
    cells = [(name, step) for name in "ba" for origin in range(3) for step in range(origin, origin + 4)]
    rows = [(name, truth.index[step], rng.normal(), np.nan) for name, step in cells]  # nothing observed
    paths = RunPaths(tmp_path, "bench")
    paths.predictions.parent.mkdir(parents=True)
    pd.DataFrame(rows, columns=["series_id", "timestamp", "y_pred", "y_true"]).to_parquet(paths.predictions)

    found = score(truth, std, paths)

    errors = [((y_pred - truth[name][time]) / std[name]) ** 2 for name, time, y_pred, _ in rows]
    assert found == {"mse": pytest.approx(sum(errors) / len(errors)), "targets": 24}


def held_at(filled):
    """The held value of each missing step, at its place."""
    flat = np.full(filled.layout.size, np.nan, np.float32)
    flat[filled.missing] = filled.held
    return flat


def test_the_unseen_series_never_changes_and_has_gaps():
    pd.testing.assert_frame_equal(series(), series())
    assert 0.03 < 1 - len(series()) / STEPS < 0.2


def test_a_section_is_replaced_and_the_rest_of_the_page_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n")

    write_section(page, "a", "new")
    write_section(page, "a", "newer")

    assert page.read_text() == "before\n<!-- a -->\n\nnewer\n\n<!-- /a -->\nafter\n"
    with pytest.raises(ValueError, match="section"):
        write_section(page, "b", "new")


def test_a_fresh_clone_has_the_folder_that_runs_are_kept_in(tmp_path, monkeypatch):
    file, folder = write_csv(tmp_path), tmp_path / "kept" / "here"
    monkeypatch.setattr("sys.argv", ["bench", "--data", str(file), "--folder", str(folder)])

    options = long_horizon.parse(long_horizon.parser("Measure."))

    assert options.folder == folder
    assert folder.is_dir()


def test_each_choice_of_covariates_is_the_example_but_for_them():
    chosen = {
        title: parse_params(project_params({**covariates.example_params(), **variant}))
        for title, variant in covariates.VARIANTS.items()
    }

    assert [params.covariates.past == () for params in chosen.values()] == [True, False, False, False]
    assert [params.covariates.calendar for params in chosen.values()] == [False, False, True, None]
    for params in chosen.values():
        assert params.data.series_id == ("origin",)
        assert params.windows.horizon == 24


@pytest.mark.parametrize("name", ["accuracy", "ablation", "missing", "speed"])
def test_a_missing_file_is_one_clear_line(name):
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--data", "nowhere.csv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "nowhere.csv, which does not exist" in done.stderr.splitlines()[-1]
    assert "DATA=FILE" in done.stderr.splitlines()[-1]


def test_no_bench_target_needs_another_to_have_run():
    """The peers' environment is made where it is needed, and every target is listed and phony."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^(bench[a-z-]*):(.*?)##", makefile, re.MULTILINE)
    phony = makefile.partition(".PHONY:")[2].splitlines()[0].split()

    assert {name for name, _ in targets} == {name for name in phony if name.startswith("bench")}
    for name in ("bench-speed", "bench-field"):
        assert "$(PEERS)" in dict(targets)[name]
    for name, needs in targets:
        assert name == "bench-peers" or "$(INSTALLED)" in needs


def index_of(*origins):
    """The windows of series that have them at these origins."""
    rows = np.repeat(np.arange(len(origins), dtype=np.int32), [len(each) for each in origins])
    return WindowIndex.of(rows, np.concatenate(origins).astype(np.int32))


def test_compared_windows_share_no_target_and_begin_with_the_newest():
    windows, horizon = index_of(np.r_[100:900, 930:1500], np.r_[50:1500]), 24

    rows, origins = windows.at(compared(windows, horizon))

    assert len(rows) <= MOST
    for row in (0, 1):
        chosen = origins[rows == row]
        assert chosen[-1] == 1499
        assert np.diff(chosen).min() > horizon
        assert set(chosen % horizon) == set(range(horizon))  # not one time of the day only


def test_of_a_short_file_compared_windows_overlap_and_of_a_tiny_one_all_are_compared():
    short, tiny = index_of(np.arange(300)), index_of(np.arange(10))

    assert LEAST <= len(compared(short, 24)) < 2 * LEAST
    np.testing.assert_array_equal(compared(tiny, 12), np.arange(10))
    assert [independent(windows, 24) for windows in (short, tiny)] == [13, 1]


def test_many_series_are_all_compared_on_a_few_windows():
    windows = index_of(*[np.arange(start, 500) for start in range(28)])

    rows, origins = windows.at(compared(windows, 18))

    np.testing.assert_array_equal(np.bincount(rows), np.full(28, MOST // 28))
    assert set(origins[np.flatnonzero(np.diff(rows, append=28))]) == {499}


def quantile_forecasts(windows=5, horizon=3):
    rng = np.random.default_rng(0)
    y_true = rng.normal(10, 3, (windows, horizon))
    y_true[1, 2] = np.nan
    return y_true, np.sort(rng.normal(10, 3, (windows, horizon, len(QUANTILES))), axis=-1)


def test_intervals_are_read_from_their_columns_and_scored_by_their_ends():
    assert columns() == [*("y_lower_95", "y_lower", "y_lower_80", "y_pred", "y_upper_80", "y_upper", "y_upper_95")]
    y_true, forecasts = quantile_forecasts()
    observed = ~np.isnan(y_true)
    ends = {0.95: (0, 6), 0.9: (1, 5), 0.8: (2, 4)}

    found = scores(y_true, forecasts)

    assert sorted(COVERAGES) == sorted(ends)
    for coverage, (lower, upper) in ends.items():
        inside = (forecasts[..., lower] <= y_true) & (y_true <= forecasts[..., upper])
        assert found[str(coverage)] == inside[observed].mean()
    assert found["mae"] == pytest.approx(np.nanmean(np.abs(y_true - forecasts[..., 3])))
    assert (allowed(0.9, 1), allowed(0.9, 10**6)) == (pytest.approx(0.6), 0.03)


def test_a_series_without_its_file_is_left_out_and_the_section_says_why(tmp_path):
    (tmp_path / "airline.csv").touch()

    there, left_out = present(tmp_path)

    assert list(there) == ["airline", "CO2"]  # the project has the latter
    assert {*there, *left_out} == set(SERIES)
    one = {"rmse": 1.0, "mae": 1.0, "wql": 1.0, "seconds": 1.0, "0.8": 0.8, "0.9": 0.9, "0.95": 0.95}
    read = {"ridge": 0.9, "coverage": one, "independent": 9, "windows": 20, "compared": 10, "series": 1}
    read |= {"settings": {"seasons": [12.0], "lookback": 24}, "shares": {"members": 0.5}}
    failed = dict.fromkeys(("AutoETS", "AutoTheta", "LightGBM"), "more than 15 minutes")
    found = Found([read], [one], {"MSTL": {**one, "rmse": 2.0}}, failed, {})
    text = section([1], 2, there, dict.fromkeys(there, found), left_out)
    assert "Left out: sunspots, since sunspots.csv does not exist" in text
    assert "| AutoETS | more than 15 minutes |" in text
    assert "| airline | MSTL | 0.500 | 0.900 |  | 80.0 / 90.0 / 95.0 |" in text


@pytest.mark.parametrize("name", SERIES)
def test_params_of_the_field_are_defaults_but_for_columns_and_horizon(name, tmp_path):
    params = parse_params(project_params(SERIES[name].params(tmp_path)))
    defaults = parse_params(project_params({}))

    assert params.windows.horizon == SERIES[name].horizon
    assert {**params.__dict__, "data": None, "windows": None} == {**defaults.__dict__, "data": None, "windows": None}


PATCHED = {
    "last weights, not their average": "training.AVERAGE_MEMORY == 0",
    "squared loss for Huber's": "training.HUBER_DELTA > 1e6",
    # The members start from the linear forecast: without weights of their own they are it.
    "recurrence on the ridge's residual": "np.allclose(model.member_forecasts(windows)[0], values @ kernel)",
    "weights by least squares alone": "combination.DEPARTURE > 1e5",
    "weights of the prior": "combination.DEPARTURE < 1e-5",
    "no Holt-Winters": "'holt_winters' not in combination.EXPERTS",
    "no folded ridge": "'folded' not in combination.EXPERTS",
    "neither of them": "start.fit_folded(7, 7, 7) is None",
    "no correction of the folded ridge": "start.fit_folded.__name__ == 'uncorrected'",
    "learned from validation rows, too, as the final fit does": "fitting.train_forecaster.__name__ == 'again'",
}
PATCHES = {title: patch for title, (_, patch) in {**VARIANTS, **experts.VARIANTS}.items() if patch}


@pytest.mark.parametrize("title", PATCHES)
def test_a_variant_changes_the_library_as_it_is(title):
    patch = PATCHES[title]
    done = subprocess.run(
        [sys.executable, "-c", f"{after_tensorflow(patch)}\n{MODEL}\nassert {PATCHED[title]}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


MODEL = """
import numpy as np
_run.import_tensorflow()
from spline_lstm.data.windows import Windows
from spline_lstm.model import combination, fitting, forecaster, start, training
model = forecaster.SplineForecaster(
    lookback=6, horizon=2, rows=1, past=0, known=0, calendar=0, static=0, members=[6], segment=3, coefficients=2,
    degree=1, penalty=0.1, cell="gru", units=4, dropout=0.0, linear=True,
)
random = np.random.default_rng(0)
kernel, values = random.normal(size=(6, 2)).astype("float32"), random.normal(size=(3, 6)).astype("float32")
model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
model.linear.set_weights([kernel])
shapes = [(6,), (6, 0), (8, 0), (8, 0), (model.segment_starts.size, 0), (0,)]
nothing = (np.zeros((3, *shape), "float32") for shape in shapes)
longer = (np.zeros((3, *shape), "float32") for shape in [(0, 1), (0,), (0,)])
windows = Windows(values, *nothing, np.zeros(3, "int32"), *longer)
"""


def test_spread_is_mean_and_sample_deviation():
    assert spread([1.0, 2.0, 3.0], 2) == "2.00 ± 1.00"
    assert spread([1.5], 1) == "1.5"


def test_a_finished_run_is_not_repeated_and_a_failed_one_is_an_error(tmp_path):
    run = Run("one", {"seed": 3}, modules=("stages.preflight",))
    with pytest.raises(RuntimeError, match="preflight"):  # the folder has no data file
        run_all([run], tmp_path, lambda paths: {"runs": 1}, jobs=1)

    again = Run("one", {"data.path": str(write_csv(tmp_path))}, modules=("stages.preflight",))
    first = run_all([again], tmp_path, lambda paths: {"runs": 1}, jobs=1)
    assert run_all([again], tmp_path, lambda paths: {"runs": 2}, jobs=1) == first


def write_csv(folder):
    file = folder / "data.csv"
    complete(50).to_csv(file, index=False)
    return file
