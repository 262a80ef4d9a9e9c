"""What folds come to, by the same sums done plainly."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sources import symmetric_forecasts

from spline_lstm.scores.backtest import MODEL, FoldScores, backtest_content, fold_predictions, scores_table
from spline_lstm.scores.doubt import WORSE
from spline_lstm.scores.evaluation import evaluate_forecasts
from spline_lstm.scores.folds import Fold

HORIZON = 4
DAYS = pd.date_range("2024-01-01", periods=60, freq="D")


def fold_scores(number: int, model: float, names: tuple[str, ...] = ("a", "b")) -> FoldScores:
    """A fold whose model errs by `model` times noise and whose baseline by twice the noise, first target missing."""
    rng, cutoff = np.random.default_rng(number), 20 + HORIZON * number
    shape = len(names), HORIZON
    noise, y_true = rng.normal(size=shape), rng.normal(50, 5, size=shape)
    rows, origins = np.arange(len(names)), np.full(len(names), cutoff)
    y_pred, baselines = y_true + model * noise, {"naive": y_true + 2 * noise}
    y_true[0, 0] = np.nan
    forecasts = symmetric_forecasts(rows, origins, y_true, y_pred, 2.0)
    units, scales = np.ones(len(names)), np.full(len(names), 3.0)
    fold = Fold(number, None, DAYS[cutoff], DAYS[cutoff + HORIZON], HORIZON, 0.8)
    scored = evaluate_forecasts(forecasts, baselines, names, scales, scales)
    facts = {"train": 16, "validation": 4, "series": len(names)}
    return FoldScores(fold, number, facts, names, DAYS, forecasts, baselines, units, scales, scales, scored)


def test_folds_with_an_exact_baseline_are_counted_by_errors():
    fold = fold_scores(1, 1.0)
    exact = {**fold.baselines, "exact": fold.forecasts.y_true + 1e-12}
    scored = evaluate_forecasts(fold.forecasts, exact, fold.names, fold.mase_scales, fold.spreads)

    content = backtest_content([replace(fold, baselines=exact, scored=scored)], "original")

    assert content["better"] == {"naive": 1, "exact": 0}
    assert content["pooled"]["verdict"] == WORSE


def test_means_and_deviations_are_those_over_folds():
    folds = [fold_scores(number, size) for number, size in ((1, 1.0), (2, 3.0), (3, 0.5), (4, 2.0))]

    content = backtest_content(folds, "original")

    for name in ("mae", "rmse", "mase", "coverage"):
        values = [each.scored["metrics"][name] for each in folds]
        found = content["summary"][MODEL][name]
        assert found["mean"] == pytest.approx(np.mean(values))
        assert found["std"] == pytest.approx(np.std(values, ddof=1))
    assert content["better"] == {"naive": 2}  # errors as large as those of a baseline are no better
    assert [fold["fold"] for fold in content["folds"]] == [1, 2, 3, 4]
    assert content["folds"][0]["cutoff"] == str(DAYS[24])
    json.dumps(content, allow_nan=False)


def test_pooled_scores_are_of_all_targets_together_whichever_series_a_fold_has():
    folds = [fold_scores(1, 1.0, ("b",)), fold_scores(2, 1.0, ("a", "b")), fold_scores(3, 1.0, ("a", "b"))]

    pooled = backtest_content(folds, "original")["pooled"]

    errors = np.concatenate([(each.forecasts.y_true - each.forecasts.y_pred).ravel() for each in folds])
    errors = errors[~np.isnan(errors)]
    assert pooled["metrics"]["observed"] == len(errors)
    assert pooled["metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert pooled["metrics"]["skill"] == pytest.approx(0.5)
    assert len(pooled["per_step"]) == HORIZON
    assert pooled["verdict"] == "better"  # half the error in every stretch leaves no doubt


def test_pooled_scores_are_in_the_units_of_series():
    plain, units = [fold_scores(number, 1.0) for number in (1, 2, 3)], np.array([2.0, 500.0])
    scaled = [
        replace(
            each,
            units=units,
            forecasts=each.forecasts.in_units(1 / units),
            baselines={name: table * units[each.forecasts.rows, None] for name, table in each.baselines.items()},
            mase_scales=each.mase_scales * units,
        )
        for each in plain
    ]

    one, other = (backtest_content(folds, "standardized")["pooled"] for folds in (plain, scaled))

    for name in ("rmse", "skill", "skill_margin", "mase"):
        assert other["metrics"][name] == pytest.approx(one["metrics"][name])
    assert other["baselines"]["naive"]["rmse"] == pytest.approx(one["baselines"]["naive"]["rmse"])


def test_pooled_mase_is_by_the_first_fold_that_has_the_series():
    folds = [fold_scores(1, 1.0, ("b",)), fold_scores(2, 1.0), fold_scores(3, 1.0)]
    grown = [
        folds[0],
        replace(folds[1], mase_scales=np.array([3.0, 30.0])),
        replace(folds[2], mase_scales=np.array([30.0, 30.0])),
    ]

    one, other = (backtest_content(each, "original")["pooled"]["metrics"]["mase"] for each in (folds, grown))

    assert one == pytest.approx(other)


def test_labels_of_folds_that_differ_by_jitter_leave_the_margin_as_it_is():
    folds = [fold_scores(number, 1.0 + 0.1 * number) for number in range(1, 9)]
    jittered = [
        replace(each, timestamps=each.timestamps + pd.Timedelta(seconds=int(late)))
        for each, late in zip(folds, np.random.default_rng(0).integers(0, 90, len(folds)), strict=True)
    ]

    margins = [backtest_content(each, "original")["pooled"]["metrics"]["skill_margin"] for each in (folds, jittered)]

    assert margins[0] == pytest.approx(margins[1], rel=1e-9)


def test_one_fold_has_no_deviation_and_leaves_everything_in_doubt():
    content = backtest_content([fold_scores(1, 1.0)], "original")

    assert content["summary"][MODEL]["rmse"]["std"] is None
    assert content["pooled"]["metrics"]["skill_margin"] is None
    assert content["pooled"]["verdict"] == "no clear difference"


def test_folds_that_were_left_out_are_named():
    folds = [fold_scores(number, 1.0) for number in (1, 2, 3)]

    content = backtest_content([folds[0], folds[2]], "original", [folds[1].fold])

    assert content["left_out"] == [{"fold": 2, "cutoff": str(DAYS[28])}]
    assert [fold["fold"] for fold in content["folds"]] == [1, 3]
    assert scores_table(content)["fold"].unique().tolist() == [1, 3]


def test_tables_have_every_fold_method_and_target():
    folds = [fold_scores(1, 1.0), fold_scores(2, 2.0)]

    table, predictions = scores_table(backtest_content(folds, "original")), fold_predictions(folds)

    assert list(zip(table["fold"], table["method"], strict=True)) == [
        (fold, method) for fold in (1, 2) for method in ("model", "naive")
    ]
    for fold, part in predictions.groupby("fold"):
        seen = part.dropna(subset="y_true")
        for method, column in (("model", "y_pred"), ("naive", "naive")):
            (rmse,) = table.loc[(table["fold"] == fold) & (table["method"] == method), "rmse"]
            assert rmse == pytest.approx(np.sqrt(np.mean((seen["y_true"] - seen[column]) ** 2)))
        assert (part["timestamp"] == part["origin"] + pd.to_timedelta(part["step"], unit="D")).all()


def test_tables_without_folds_have_the_columns_and_types_of_those_with_folds():
    some, none = (fold_predictions(folds) for folds in ([fold_scores(1, 1.0)], []))
    wide, empty = (scores_table(backtest_content(folds, "original")) for folds in ([fold_scores(1, 1.0)], []))
    shared = [pa.Table.from_pandas(table[list(none)], preserve_index=False).schema for table in (some, none)]

    assert len(none) == len(empty) == 0
    assert shared[0].remove_metadata() == shared[1].remove_metadata()
    assert list(empty) == list(wide)[: len(list(empty))]
