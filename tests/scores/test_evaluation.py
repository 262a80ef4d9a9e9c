"""Scores count observed targets only, overall, by series and by step, beside the baselines'."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import symmetric_forecasts

from spline_lstm.scores.doubt import UNCLEAR, WORSE, verdict
from spline_lstm.scores.evaluation import evaluate_forecasts

NAMES = ("load", "oil")


def random_forecasts(seed, windows=7, horizon=3, missing_share=0.3):
    rng = np.random.default_rng(seed)
    y_true = rng.normal(size=(windows, horizon)) * 10 + 50
    y_true[rng.random(y_true.shape) < missing_share] = np.nan
    y_true[0, 0] = 42.0
    rows, y_pred = rng.integers(0, 2, windows), rng.normal(size=y_true.shape) * 10 + 50
    widths = rng.uniform(2, 20, y_true.shape)
    return symmetric_forecasts(rows, np.arange(windows), y_true, y_pred, widths, levels=(0.9, 0.99))


def observed_cells(forecasts):
    """Every scored cell as window, row, step, target."""
    for window, targets in enumerate(forecasts.y_true):
        for step, target in enumerate(targets):
            if not math.isnan(target):
                yield window, int(forecasts.rows[window]), step, target


def slow_scores(forecasts, prediction, cells):
    errors = [prediction[window, step] - target for window, _, step, target in cells]
    return {
        "mae": sum(map(abs, errors)) / len(errors),
        "mse": sum(error**2 for error in errors) / len(errors),
        "rmse": math.sqrt(sum(error**2 for error in errors) / len(errors)),
        "bias": sum(errors) / len(errors),
    }


def slow_mase(forecasts, prediction, cells, scales):
    """The mean over series of each series' mean error in units of its scale."""
    series = {row for _, row, _, _ in cells}
    means = []
    for row in series:
        errors = [abs(prediction[w, step] - target) / scales[row] for w, r, step, target in cells if r == row]
        means.append(sum(errors) / len(errors))
    return sum(means) / len(means)


def slow_relative_rmse(forecasts, prediction, baselines, cells):
    """The mean over series of the RMSE relative to that of the series' best baseline."""
    ratios = []
    for row in {row for _, row, _, _ in cells}:
        own = [cell for cell in cells if cell[1] == row]
        best = min(slow_scores(forecasts, baseline, own)["rmse"] for baseline in baselines.values())
        ratios.append(slow_scores(forecasts, prediction, own)["rmse"] / best)
    return sum(ratios) / len(ratios)


def slow_interval_scores(forecasts, cells):
    scores = {"observed": len(cells)}
    losses = [pinball(0.5, target, forecasts.y_pred[window, step]) for window, _, step, target in cells]
    for number, (level, suffix) in enumerate([(0.9, ""), (0.99, "_99")]):
        bounds = [
            (target, forecasts.lower[number, window, step], forecasts.upper[number, window, step])
            for window, _, step, target in cells
        ]
        outside = [max(lower - target, target - upper, 0) for target, lower, upper in bounds]
        widths = [upper - lower for _, lower, upper in bounds]
        scores[f"coverage{suffix}"] = sum(distance == 0 for distance in outside) / len(cells)
        scores[f"interval_width{suffix}"] = sum(widths) / len(cells)
        scores[f"winkler{suffix}"] = (sum(widths) + 2 / (1 - level) * sum(outside)) / len(cells)
        losses += [pinball((1 - level) / 2, target, lower) for target, lower, _ in bounds]
        losses += [pinball((1 + level) / 2, target, upper) for target, _, upper in bounds]
    scores["wql"] = 2 * sum(losses) / 5 / sum(abs(target) for *_, target in cells)
    return scores


def pinball(share, target, forecast):
    return (target - forecast) * (share if target >= forecast else share - 1)


def assert_holds(table, expected):
    assert {name: table[name] for name in expected} == pytest.approx(expected)


@given(seed=st.integers(0, 2**32 - 1), missing_share=st.sampled_from([0.0, 0.3, 0.9]))
@settings(max_examples=50)
def test_tables_are_what_loops_over_observed_cells_give(seed, missing_share):
    forecasts = random_forecasts(seed, missing_share=missing_share)
    flat = np.full_like(forecasts.y_pred, 50.0)
    scales, baselines = np.array([2.0, 5.0]), {"flat": flat, "low": flat - 7}

    tables = evaluate_forecasts(forecasts, baselines, NAMES, scales, np.ones(2))

    cells = list(observed_cells(forecasts))
    for chosen, table in [
        (cells, tables["metrics"]),
        *(([c for c in cells if NAMES[c[1]] == name], table) for name, table in tables["per_series"].items()),
    ]:
        assert_holds(table, slow_scores(forecasts, forecasts.y_pred, chosen))
        assert_holds(table, slow_interval_scores(forecasts, chosen))
        relative = slow_relative_rmse(forecasts, forecasts.y_pred, baselines, chosen)
        mase = slow_mase(forecasts, forecasts.y_pred, chosen, scales)
        best = min(slow_relative_rmse(forecasts, each, baselines, chosen) for each in baselines.values())
        assert_holds(table, {"mase": mase, "relative_rmse": relative, "skill": 1 - relative / best})
    for name, prediction in baselines.items():
        relative = slow_relative_rmse(forecasts, prediction, baselines, cells)
        expected = {**slow_scores(forecasts, prediction, cells), "relative_rmse": relative}
        assert_holds(tables["baselines"][name], expected)
    assert set(tables["per_series"]) == {NAMES[row] for _, row, _, _ in cells}
    assert [table["step"] for table in tables["per_step"]] == sorted({step + 1 for _, _, step, _ in cells})
    for table in tables["per_step"]:
        chosen = [cell for cell in cells if cell[2] + 1 == table["step"]]
        scores = slow_scores(forecasts, forecasts.y_pred, chosen)
        assert_holds(table, {"mae": scores["mae"], "rmse": scores["rmse"]})
        intervals = slow_interval_scores(forecasts, chosen)
        assert_holds(table, {name: intervals[name] for name in ("coverage", "coverage_99")})
        assert_holds(table, {"flat_rmse": slow_scores(forecasts, flat, chosen)["rmse"]})


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_forecasts_of_missing_targets_do_not_count(seed):
    forecasts = random_forecasts(seed)
    flat = np.full_like(forecasts.y_pred, 50.0)
    wild = np.where(np.isnan(forecasts.y_true), 1e30, 0)

    sober = evaluate_forecasts(forecasts, {"flat": flat}, NAMES, np.ones(2), np.ones(2))
    other = replace(
        forecasts,
        y_pred=forecasts.y_pred + wild,
        lower=forecasts.lower + wild,
        upper=forecasts.upper + wild,
    )

    assert evaluate_forecasts(other, {"flat": flat + wild}, NAMES, np.ones(2), np.ones(2)) == sober


def test_skill_compares_with_the_best_baseline_of_each_series():
    forecasts = random_forecasts(0, missing_share=0)
    truth, of_second = forecasts.y_true, (forecasts.rows == 1)[:, None]
    baselines = {"far": truth + 100, "near": truth + 4.0, "partly": truth + np.where(of_second, 1.0, 50.0)}

    tables = evaluate_forecasts(forecasts, baselines, NAMES, np.ones(2), np.ones(2))

    assert [tables["per_series"][name]["best_baseline"] for name in NAMES] == ["near", "partly"]
    assert tables["per_series"]["oil"]["skill"] == pytest.approx(1 - tables["per_series"]["oil"]["rmse"])
    assert tables["best_baseline"] == "near"  # 1 and 4 times the best, on average less than 12.5 and 1


def test_the_unit_of_a_series_changes_no_headline():
    forecasts = random_forecasts(3)
    baselines = {"flat": np.full_like(forecasts.y_pred, 50.0)}
    size = np.where(forecasts.rows == 1, 1000.0, 1.0)[:, None]
    in_grams = forecasts.in_units(np.array([1, 0.001]))

    before = evaluate_forecasts(forecasts, baselines, NAMES, np.array([2.0, 3.0]), np.ones(2))["metrics"]
    after = evaluate_forecasts(
        in_grams, {"flat": baselines["flat"] * size}, NAMES, np.array([2.0, 3000.0]), np.ones(2)
    )["metrics"]

    for name in ("mase", "relative_rmse", "skill", "mape", "smape", "coverage"):
        assert after[name] == pytest.approx(before[name])
    assert after["rmse"] > 100 * before["rmse"]


def test_telling_series_apart_is_no_merit():
    rows = np.repeat([0, 1], 50)
    truth = np.random.default_rng(0).normal(size=(100, 1)) + 1000.0 * rows[:, None]
    forecasts = symmetric_forecasts(rows, np.arange(100), truth, np.full_like(truth, 0.0) + 1000.0 * rows[:, None])

    tables = evaluate_forecasts(forecasts, {"flat": truth + 1}, NAMES, np.ones(2), np.ones(2))

    assert abs(tables["metrics"]["r2"]) < 0.1


def test_an_error_as_large_as_the_scale_has_a_mase_of_one_in_every_series():
    scales = np.array([2.0, 500.0])
    forecasts = random_forecasts(0)
    late = replace(forecasts, y_pred=forecasts.y_true + scales[forecasts.rows][:, None])

    tables = evaluate_forecasts(late, {"flat": late.y_pred}, NAMES, scales, np.ones(2))

    assert tables["metrics"]["mase"] == pytest.approx(1)
    assert all(table["mase"] == pytest.approx(1) for table in tables["per_series"].values())


def test_rounding_of_a_target_that_stands_still_is_no_score():
    level = 1e6 + 0.1
    y_true = np.full((4, 3), level)
    forecasts = symmetric_forecasts(np.zeros(4, int), np.arange(4), y_true, y_true + 0.5, np.ones((4, 3)))

    scores = evaluate_forecasts(forecasts, {"naive": y_true + 1e-9}, ("load",), np.array([0.3]), np.ones(1))

    assert scores["metrics"]["skill"] is None
    assert scores["metrics"]["r2"] is None
    assert scores["metrics"]["rmse"] == pytest.approx(0.5)
    assert scores["best_baseline"] == "naive"


@pytest.mark.parametrize(("missed", "said"), [(0.1, WORSE), (1e-8, UNCLEAR)])
def test_of_a_series_that_repeats_itself_exactly_nothing_is_a_share(missed, said):
    y_true = np.random.default_rng(0).normal(size=(40, 3))
    rows = np.repeat([0, 1], 20)
    y_pred = y_true + np.where(rows == 0, 1.0, missed)[:, None]
    baselines = {"naive": y_true + 2, "seasonal": y_true + np.where(rows == 0, 2, 1e-8)[:, None]}
    forecasts = symmetric_forecasts(rows, np.tile(np.arange(20), 2), y_true, y_pred)

    both = evaluate_forecasts(forecasts, baselines, NAMES, np.array([1.0, np.nan]), np.ones(2))
    exact = evaluate_forecasts(
        forecasts.of(rows == 1), {name: table[rows == 1] for name, table in baselines.items()}, NAMES,
        np.array([1.0, np.nan]), np.ones(2),
    )  # fmt: skip

    assert both["metrics"]["relative_rmse"] == pytest.approx(0.5)
    assert both["metrics"]["skill"] == pytest.approx(0.5)
    assert verdict(both["per_series"][NAMES[1]]) == verdict(exact["metrics"]) == said
    assert verdict(exact["baselines"]["seasonal"]) == said
    assert verdict(exact["baselines"]["naive"]) == UNCLEAR
    assert exact["metrics"]["skill"] is None


def test_undefined_scores_are_null_in_json():
    zeros = np.zeros((2, 1))
    forecasts = symmetric_forecasts(np.zeros(2, int), np.arange(2), zeros, zeros)

    tables = evaluate_forecasts(forecasts, {"perfect": zeros}, ("load",), np.array([np.nan]), np.ones(1))

    for name in ("mape", "wape", "r2", "mase", "skill"):
        assert tables["metrics"][name] is None
    assert json.loads(json.dumps(tables, allow_nan=False)) == tables
