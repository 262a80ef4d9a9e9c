"""Runs are compared on the targets that all of them forecast, or not at all."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.run.errors import ArtifactError, ShapeError
from spline_lstm.scores.compare import compare_runs

START = pd.Timestamp("2024-01-01")


def truth(series):
    return np.random.default_rng(series).normal(size=100).cumsum()


def predictions(error, horizon=3, origins=range(10, 40), series=(0, 1), seed=0, missing=()):
    """A run whose forecasts are the truth and an error of such a size."""
    rng = np.random.default_rng(seed)
    rows = [
        (
            f"s{number}",
            START + pd.Timedelta(hours=origin),
            START + pd.Timedelta(hours=origin + step),
            step,
            np.nan if origin + step in missing else truth(number)[origin + step],
            truth(number)[origin + step] + error * rng.normal(),
        )
        for number in series
        for origin in origins
        for step in range(1, horizon + 1)
    ]
    table = pd.DataFrame(rows, columns=["series_id", "origin", "timestamp", "step", "y_true", "y_pred"])
    return table.assign(y_lower=table["y_pred"] - error, y_upper=table["y_pred"] + error)


def slower(table):
    """Twice as long ahead."""
    return table.assign(timestamp=table["origin"] + 2 * (table["timestamp"] - table["origin"]))


def rmse(table):
    return np.sqrt(((table["y_true"] - table["y_pred"]) ** 2).mean())


@given(
    horizons=st.tuples(st.integers(1, 4), st.integers(1, 4)), begins=st.tuples(st.integers(10, 20), st.integers(10, 20))
)
@settings(max_examples=20, deadline=None)
def test_scores_are_of_the_windows_and_steps_that_all_runs_have(horizons, begins):
    runs = {
        name: predictions(error, horizon, range(begin, 40), seed=number, missing={25})
        for number, (name, error, horizon, begin) in enumerate(zip("ab", (1.0, 2.0), horizons, begins, strict=True))
    }

    found = compare_runs(runs)

    first = START + pd.Timedelta(hours=max(begins))
    common = {
        name: table[(table["origin"] >= first) & (table["step"] <= min(horizons))].dropna()
        for name, table in runs.items()
    }
    assert found.windows == 2 * (40 - max(begins))
    assert found.targets == len(common["a"])
    assert (found.first, found.last) == (common["a"]["timestamp"].min(), common["a"]["timestamp"].max())
    errors = {name: table.groupby("series_id").apply(rmse, include_groups=False) for name, table in common.items()}
    least = np.minimum(errors["a"], errors["b"])
    for each in found.runs:
        table = common[each.run_id]
        inside = (table["y_lower"] <= table["y_true"]) & (table["y_true"] <= table["y_upper"])
        assert each.rmse == pytest.approx(rmse(table))
        assert each.mae == pytest.approx((table["y_true"] - table["y_pred"]).abs().mean())
        assert each.coverage == pytest.approx(inside.mean())
        assert each.relative_rmse == pytest.approx((errors[each.run_id] / least).mean())
        assert each.wins == (errors[each.run_id] == least).sum()
        unit = table["series_id"].map(least)
        in_units = table.assign(y_true=table["y_true"] / unit, y_pred=table["y_pred"] / unit)
        by_step = in_units.groupby("step").apply(rmse, include_groups=False)
        np.testing.assert_allclose(each.by_step, by_step)


def test_of_one_series_errors_by_step_are_in_its_unit():
    (each, _) = compare_runs({name: predictions(1.0, series=(0,), seed=seed) for seed, name in enumerate("ab")}).runs

    assert np.sqrt(np.mean(each.by_step**2)) == pytest.approx(each.rmse)


def test_the_best_comes_first_and_differences_have_their_margin():
    runs = {"poor": predictions(2.0, seed=1), "good": predictions(1.0, seed=2), "like it": predictions(1.02, seed=3)}

    found = {each.run_id: each for each in compare_runs(runs).runs}

    assert set(list(found)[:2]) == {"good", "like it"}
    best, second, last = found.values()
    assert best.behind == 0
    assert np.isnan(best.margin)
    assert second.behind < second.margin
    assert last.behind == pytest.approx(1 - best.relative_rmse / last.relative_rmse)
    assert last.behind > last.margin > 0


def test_a_series_in_which_the_best_errs_by_rounding_alone_decides_nothing():
    runs = {"good": predictions(1.0, seed=1), "poor": predictions(2.0, seed=2)}
    for table, missed in zip(runs.values(), (1e-3, 1e-9), strict=True):
        table.loc[table["series_id"] == "s1", ["y_true", "y_pred"]] = 0.0, missed

    found = {each.run_id: each for each in compare_runs(runs, {"s0": 1.0, "s1": 1.0}).runs}

    assert list(found) == ["good", "poor"]
    assert found["good"].relative_rmse == 1
    assert found["poor"].behind > found["poor"].margin > 0


def test_the_order_in_which_runs_are_named_changes_nothing():
    one, two = predictions(1.0, seed=1), predictions(2.0, horizon=2, seed=2)
    found, other = compare_runs({"a": one, "b": two}), compare_runs({"b": two, "a": one})

    assert [each.run_id for each in found.runs] == [each.run_id for each in other.runs]
    for each, again in zip(found.runs, other.runs, strict=True):
        assert (each.rmse, each.behind) == (again.rmse, again.behind)
        np.testing.assert_array_equal(each.margin, again.margin)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (predictions(1.0, origins=range(50, 60)), ["from the same origins", "none that 'b' shares with a"]),
        (predictions(1.0, series=(5,)), ["from the same origins"]),
        (predictions(1.0).assign(y_true=lambda table: 2 * table["y_true"]), ["other values", "'s0'", "step 1"]),
        (predictions(1.0, missing={20}), ["other values", "nan"]),
        (slower(predictions(1.0)), ["other times", "step 1"]),
    ],
)
def test_runs_of_other_targets_are_refused(other, said):
    with pytest.raises(ShapeError) as caught:
        compare_runs({"a": predictions(1.0), "b": other})

    assert all(part in str(caught.value) for part in [*said, "Compare runs of the same data"])


@pytest.mark.parametrize("spoilt", [lambda table: table.iloc[1:], lambda table: pd.concat([table, table])])
def test_predictions_that_are_no_whole_windows_are_refused(spoilt):
    with pytest.raises(ArtifactError, match="Predictions of 'b' must hold each window once"):
        compare_runs({"a": predictions(1.0), "b": spoilt(predictions(1.0)).reset_index(drop=True)})


def test_runs_without_an_observed_target_are_refused():
    nothing = predictions(1.0, missing=set(range(100)))

    with pytest.raises(ShapeError, match="none was observed"):
        compare_runs({"a": nothing, "b": nothing})
