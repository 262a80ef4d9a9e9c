"""The promise: what the model sees at an origin depends on nothing after it.

The library's whole way from file to window is run twice, on a table and on one that differs after
a time t, and every window whose origin is not after t must have the same bytes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.prepared import Fitted
from spline_lstm.data.preprocessing import prepare, prepare_for_forecast
from spline_lstm.data.series import read_panel
from spline_lstm.run.params import parse_params

SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
START = pd.Timestamp("2021-03-01")


@st.composite
def tables(draw):
    """An irregular series: jittered clock, random and block gaps, a season and a trend."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    steps = draw(st.integers(150, 300))
    minutes = np.arange(steps) * 60.0
    if draw(st.booleans()):
        minutes += rng.uniform(-25, 25, steps)
    values = np.sin(np.arange(steps) * 2 * np.pi / 12) + 0.01 * np.arange(steps) + 0.2 * rng.normal(size=steps)
    values[rng.random(steps) < draw(st.floats(0, 0.4))] = np.nan
    for _ in range(draw(st.integers(0, 3))):
        start = rng.integers(0, steps)
        values[start : start + rng.integers(1, 12)] = np.nan
    values[:2] = 0.0, 1.0  # a series of nothing but gaps is another test's subject
    kept = rng.random(steps) >= draw(st.sampled_from([0.0, 0.1]))
    kept[:2] = True
    clock = START + pd.to_timedelta(np.round(minutes * 60), unit="s")
    return pd.DataFrame({"when": clock, "load": values})[kept].reset_index(drop=True)


@st.composite
def futures(draw, table):
    """The table with its rows after a random t altered, deleted or followed by others."""
    cut = draw(st.integers(2, len(table) - 1))
    known, later = table.iloc[: cut + 1], table.iloc[cut + 1 :]
    kind = draw(st.sampled_from(["alter", "delete", "append"]))
    if kind == "delete":
        return known, table["when"].iloc[cut]
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    if kind == "append":
        extra = table["when"].iloc[-1] + pd.to_timedelta(np.cumsum(rng.uniform(0.1, 5, 10)) * 3600, unit="s").round("s")
        later = pd.concat([later, pd.DataFrame({"when": extra, "load": 50.0})])
        later = later.drop_duplicates("when")
    values = np.where(rng.random(len(later)) < 0.3, np.nan, 1000 * rng.normal(size=len(later)))
    return pd.concat([known, later.assign(load=values)]), table["when"].iloc[cut]


def read(table, folder, params, **grid):
    path = folder / "table.csv"
    table.to_csv(path, index=False)
    return read_panel(path, params.data, **grid)


@given(data=st.data(), lookback=st.integers(1, 30), horizon=st.integers(1, 10), season=st.sampled_from([1, 6, 12]))
@settings(max_examples=60)
def test_no_window_depends_on_rows_after_its_origin(tmp_path_factory, data, lookback, horizon, season):
    folder = tmp_path_factory.mktemp("tables")
    table = data.draw(tables())
    params = parse_params(
        {
            **SHIPPED,
            "data": {"path": "table.csv", "timestamp": "when", "target": "load", "frequency": "h"},
            "windows": {"horizon": horizon, "lookback": lookback},
            "gaps": {"season": season, "max_missing": 0.95, "longest": 40},
        }
    )
    panel = read(table, folder, params)
    prepared = prepare(panel, params)
    altered, known_until = data.draw(futures(table))
    other = read(altered, folder, params, anchor=panel.timestamps[0])
    fit = Fitted(prepared.names, prepared.settings, prepared.scaler, prepared.source.identities)
    again = prepare_for_forecast(other, fit, drop=False) if len(other.timestamps) >= lookback else None

    origins = np.flatnonzero(panel.timestamps <= known_until)
    origins = origins[origins >= lookback - 1]
    if not origins.size or again is None:
        return
    rows = np.zeros_like(origins)
    for cut in ("inputs", "missing"):
        before, after = (getattr(source, cut)(rows, origins) for source in (prepared.source, again.source))
        assert before.tobytes() == after.tobytes()
    before, after = (source.usable(rows, origins, 40, 0.95) for source in (prepared.source, again.source))
    np.testing.assert_array_equal(before, after)


def test_altered_test_rows_leave_the_model_and_earlier_predictions_as_they_were(finished):
    paths = finished.paths("first")
    checkpoint, predictions = paths.best_checkpoint.read_bytes(), pd.read_parquet(paths.predictions)
    table = pd.read_csv(finished.path / "data/raw/co2_weekly.csv")
    cut = int(len(table) * 0.93)
    rng = np.random.default_rng(0)
    altered = table.assign(co2=table["co2"].where(table.index <= cut, 300 + 40 * rng.random(len(table))))
    altered.loc[cut + 20 : cut + 30, "co2"] = np.nan
    altered.to_csv(finished.path / "data/raw/co2_weekly.csv", index=False)

    finished.ok("dvc", "repro", "evaluate")

    assert paths.best_checkpoint.read_bytes() == checkpoint
    again = pd.read_parquet(paths.predictions)
    known = pd.Timestamp(table["date"][cut])
    forecast = ["series_id", "origin", "timestamp", "step", "y_pred", "y_lower", "y_upper"]
    before, after = (frame[frame["origin"] <= known][forecast].reset_index(drop=True) for frame in (predictions, again))
    assert len(before) > 100
    pd.testing.assert_frame_equal(before, after, check_exact=True)
    later = predictions["origin"] > known + pd.Timedelta(weeks=8)
    assert (
        predictions[later]["y_pred"].to_numpy()
        != again[again["origin"] > known + pd.Timedelta(weeks=8)]["y_pred"].to_numpy()
    ).any()


@pytest.mark.parametrize("column", ["y_true"])
def test_targets_are_what_was_observed_and_nothing_filled(finished_once, column):
    table = pd.read_csv(finished_once.path / "data/raw/co2_weekly.csv", parse_dates=["date"]).set_index("date")["co2"]
    predictions = pd.read_parquet(finished_once.paths("first").predictions)

    observed = table.reindex(predictions["timestamp"]).to_numpy()

    np.testing.assert_array_equal(predictions[column].to_numpy(), observed)
