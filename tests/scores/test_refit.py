"""A fold is forecast as if it were today: its targets, its fit, and series that came too late."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spline_lstm.run.errors import InsufficientDataError
from spline_lstm.run.params import parse_params
from spline_lstm.scores import refit
from spline_lstm.scores.folds import train_part, walk_forward

STEPS, LATE, HORIZON, STEP = 160, 90, 4, 20


@pytest.fixture(scope="module")
def table():
    rng, clock = np.random.default_rng(0), np.arange(STEPS)
    parts = []
    for name, first in (("a", 0), ("b", LATE)):
        load = 10 + np.sin(clock * 2 * np.pi / 7) + 0.2 * rng.normal(size=STEPS)
        part = pd.DataFrame({"name": name, "when": pd.date_range("2024-01-01", periods=STEPS, freq="D"), "load": load})
        parts.append(part.iloc[first:])
    return pd.concat(parts, ignore_index=True)


def params_of(table, folder, **sections):
    table.to_csv(folder / "table.csv", index=False)
    return parse_params(
        {
            "run_id": "small",
            "data": {"path": str(folder / "table.csv"), "timestamp": "when", "target": "load", "series_id": "name"},
            "covariates": {"calendar": False},
            "windows": {"horizon": HORIZON, "lookback": 14},
            "gaps": {"seasons": 7},
            "model": {"units": 2},
            "train": {"epochs": 1},
            "backtest": {"windows": 3, "step": STEP},
            **sections,
        }
    )


def test_a_fit_forecasts_later_folds_and_what_began_since(table, tmp_path, monkeypatch):
    params, fits, train = params_of(table, tmp_path), [], refit.train_forecaster
    monkeypatch.setattr(refit, "train_forecaster", lambda *given: fits.append(given) or train(*given))
    clock = pd.DatetimeIndex(table["when"].unique())
    folds = walk_forward(clock, params, "UTC")

    scored = refit.score_folds(params, folds)

    assert len(fits) == 1
    assert [each.fitted for each in scored] == [1, 1, 1]
    assert [each.names for each in scored] == [("a",), ("a", "b"), ("a", "b")]
    assert "b" in scored[0].facts["dropped"]
    truth = table.set_index(["name", "when"])["load"]
    for each in scored:
        known = int(clock.searchsorted(each.fold.cutoff, side="right"))
        assert each.facts["train"] + each.facts["validation"] == known
        forecasts = each.forecasts
        assert sorted(set(forecasts.origins)) == list(range(known - 1, known + STEP - HORIZON))
        for row, origin, y_true in zip(forecasts.rows, forecasts.origins, forecasts.y_true, strict=True):
            targets = truth[each.names[row]].loc[each.timestamps[origin + 1 : origin + HORIZON + 1]]
            np.testing.assert_allclose(y_true, targets)
    assert (scored[2].forecasts.upper > scored[2].forecasts.lower).all()


@pytest.fixture
def fit_of(monkeypatch):
    """What is learned for a fold but its model, of which no preparation knows."""
    monkeypatch.setattr(refit, "train_forecaster", lambda *_: None)
    return refit._fit


def test_rows_that_come_more_often_after_a_cutoff_leave_the_grid_as_it_is(table, tmp_path, fit_of):
    alone = table[table["name"] == "a"]
    params = params_of(alone, tmp_path)
    fold = walk_forward(pd.DatetimeIndex(alone["when"]), params, "UTC")[0]
    before = fit_of(params, fold)
    often = alone.set_index("when").resample("h").ffill().reset_index()
    pd.concat([alone[alone["when"] <= fold.cutoff], often[often["when"] > fold.cutoff]]).to_csv(params.data.path)

    after = fit_of(params, fold)

    assert (after.data, after.anchor) == (before.data, before.anchor)
    assert after.prepared.settings == before.prepared.settings


def test_a_later_fold_begins_as_its_fit_and_scales_what_is_new_by_rows_before_its_cutoff(table, tmp_path, fit_of):
    backtest = {"windows": 3, "step": STEP, "input": 60, "refit": False}
    params = params_of(table, tmp_path, backtest=backtest)
    first, second, _ = walk_forward(pd.DatetimeIndex(table["when"].unique()), params, "UTC")
    assert second.since > first.since
    prepared = []
    for factor in (1, 3):
        load = table["load"].where(table["when"] <= second.cutoff, factor * table["load"])
        table.assign(load=load).to_csv(params.data.path, index=False)
        fit = fit_of(params, first)
        prepared.append(refit._prepared_later(params, fit, second))

    one, other = prepared
    assert fit.prepared.names == ("a",)
    assert one.names == ("a", "b")
    assert one.timestamps[0] == fit.prepared.timestamps[0]
    for name, statistic in vars(one.scaler).items():
        np.testing.assert_array_equal(getattr(other.scaler, name), statistic)


@pytest.mark.parametrize(("outage", "left"), [(1, [2, 3]), (2, [1, 3])])
def test_a_fold_in_an_outage_is_passed_over(outage, left, table, tmp_path):
    alone = table[table["name"] == "a"]
    params = params_of(alone, tmp_path)
    folds = walk_forward(pd.DatetimeIndex(alone["when"]), params, "UTC")
    fold = folds[outage - 1]
    lost = (alone["when"] > fold.cutoff) & (alone["when"] <= fold.until)
    alone[~lost].to_csv(params.data.path, index=False)

    scored = refit.score_folds(params, folds)

    assert [each.fold.number for each in scored] == left
    assert [each.fitted for each in scored] == [1, 1]  # whatever can be scored


def test_neither_a_text_nor_a_number_for_a_missing_one_after_a_cutoff_has_a_part_in_its_fit(table, tmp_path):
    params = params_of(table, tmp_path)
    folds = walk_forward(pd.DatetimeIndex(table["when"].unique()), params, "UTC")[:1]
    clean = refit.score_folds(params, folds)[0]
    late = table["when"] == folds[0].cutoff + pd.Timedelta("5D")
    data = params.data.model_copy(update={"on_bad_series": "drop"})

    for cell in ("much", 9.9e36):
        spoiled = table.astype({"load": object})
        spoiled.loc[late & (table["name"] == "a"), "load"] = cell
        spoiled.to_csv(params.data.path, index=False)
        (scored,) = refit.score_folds(params.model_copy(update={"data": data}), folds)
        assert scored.names == clean.names
        first = clean.forecasts.origins == clean.forecasts.origins.min()
        assert scored.forecasts.y_pred[scored.forecasts.origins == clean.forecasts.origins.min()].tobytes() == (
            clean.forecasts.y_pred[first].tobytes()
        )
        assert np.isnan(scored.forecasts.y_true).any()


def test_a_train_value_far_from_all_others_counts_in_no_fold_of_a_fit(table, tmp_path):
    alone = table[table["name"] == "a"].reset_index(drop=True)
    scored = []
    for value in (np.nan, 99_999.0):
        alone.loc[20, "load"] = value
        params = params_of(alone, tmp_path, backtest={"windows": 3, "step": STEP, "refit": False})
        scored.append(refit.score_folds(params, walk_forward(pd.DatetimeIndex(alone["when"]), params, "UTC")))

    for missing, far in zip(*scored, strict=True):
        np.testing.assert_array_equal(far.mase_scales, missing.mase_scales)
        np.testing.assert_array_equal(far.forecasts.y_pred, missing.forecasts.y_pred)
        for name, forecast in missing.baselines.items():
            np.testing.assert_array_equal(far.baselines[name], forecast)


def test_a_fold_with_nothing_to_learn_from_leaves_the_fit_to_the_next(table, tmp_path):
    alone = table[table["name"] == "a"].reset_index(drop=True)
    params = params_of(alone, tmp_path)
    folds = walk_forward(pd.DatetimeIndex(alone["when"]), params, "UTC")
    column = params.data.target[0]
    still = alone["when"] <= folds[0].cutoff - 0.1 * (folds[0].cutoff - alone["when"][0])
    alone.assign(**{column: alone[column].where(~still, 7.0)}).to_csv(params.data.path, index=False)

    scored = refit.score_folds(params, folds)

    learned = [fold.number for fold in folds if train_rows_vary(fold, alone["when"], still)]
    assert 0 < len(learned) < len(folds)
    assert [each.fold.number for each in scored] == learned
    assert {each.fitted for each in scored} == {learned[0]}


def train_rows_vary(fold, clock, still):
    known = int((clock <= fold.cutoff).sum())
    return not still[: train_part(known, fold.share, HORIZON)].all()


def test_a_fold_after_an_outage_without_a_window_to_choose_by_leaves_the_fit_to_the_next(table, tmp_path):
    params = params_of(table[table["name"] == "a"], tmp_path, gaps={"seasons": 7, "longest": 1})
    folds = walk_forward(pd.DatetimeIndex(table["when"].unique()), params, "UTC")
    begin = folds[0].cutoff - pd.Timedelta("17D")  # in which its validation part lies
    lost = table[(table["name"] == "a") & ~table["when"].between(begin, folds[0].cutoff)]
    lost.to_csv(params.data.path, index=False)

    scored = refit.score_folds(params, folds)

    assert [each.fold.number for each in scored][:1] != [1]
    assert scored
    assert {each.fitted for each in scored} == {scored[0].fold.number}


def test_a_fold_that_cannot_be_read_is_named(table, tmp_path):
    params = params_of(table[table["name"] == "a"], tmp_path)
    folds = walk_forward(pd.DatetimeIndex(table["when"].unique()), params, "UTC")
    table[table["when"] > folds[0].cutoff].to_csv(params.data.path, index=False)

    with pytest.raises(InsufficientDataError, match=f"Fold 1, after {folds[0].cutoff}: "):
        refit.score_folds(params, folds[:1])
