"""The promise: what the model sees at an origin depends on nothing after it.

The library's whole way from file to window is run twice, on a table and on one that differs after
a time t, and every window whose origin is not after t must have the same bytes. What is known in advance may
differ only where it is further ahead of t than the horizon.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from spline_lstm.data.prepared import Fitted
from spline_lstm.data.preprocessing import prepare, prepare_for_forecast
from spline_lstm.data.series import read_panel
from spline_lstm.data.windows import origins_of
from spline_lstm.run.errors import DataError
from spline_lstm.run.params import parse_params

SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
START = pd.Timestamp("2021-03-01")
SKIES = np.array(["dry", "hail", "wet"])
OBSERVED = ["load", "heat", "wind", "sky"]  # targets and past covariates
ROLES = {"past": ["wind", "sky"], "future": ["price", "plan"], "static": ["size", "kind"]}


@st.composite
def one_series(draw):
    """An irregular series and its covariates: jittered clock, random and block gaps, a season and a trend."""
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
    table = pd.DataFrame({"when": clock, "load": values, "heat": rng.normal(size=steps).cumsum()})
    wind, price = rng.normal(size=(2, steps)).cumsum(axis=1)
    for name, column in {"wind": wind, "sky": SKIES[rng.integers(0, 3, steps)], "price": price}.items():
        table[name] = pd.Series(column).where(rng.random(steps) >= 0.2)
    table["plan"] = np.where(rng.random(steps) < 0.5, "on", "off")
    return table[kept]


@st.composite
def tables(draw):
    """Up to three such series; those after the first begin and end at times of their own."""
    parts = []
    for number in range(draw(st.integers(1, 3))):
        part = draw(one_series())
        if number:
            first, last = draw(st.integers(0, 250)), draw(st.integers(20, 300))
            part = part.iloc[min(first, len(part) - 20) :].head(last)
        parts.append(part.assign(site=f"s{number}", size=float(number), kind=f"kind {number % 2}"))
    return pd.concat(parts, ignore_index=True)


@st.composite
def futures(draw, table, horizon):
    """The table with its rows after a random t altered, deleted or followed by others, and t.

    Of the rows no further ahead than the horizon, what is known in advance stays.
    """
    known_until = draw(st.sampled_from(sorted(table["when"])[2:-1]))
    known, later = table[table["when"] <= known_until], table[table["when"] > known_until]
    kind = draw(st.sampled_from(["alter", "delete", "append"]))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    near = later["when"] <= known_until + pd.Timedelta(hours=horizon)
    if kind == "delete":
        return pd.concat([known, later[near].assign(**dict.fromkeys(OBSERVED, np.nan))]), known_until
    if kind == "append":
        extra = table["when"].max() + pd.to_timedelta(np.cumsum(rng.uniform(0.1, 5, 10)) * 3600, unit="s").round("s")
        extra = extra[extra > known_until + pd.Timedelta(hours=horizon)]
        appended = pd.DataFrame({"when": extra, "load": 50.0, "wind": -9.0, "sky": "storm", "plan": "maybe"})
        static = {site: part[["size", "kind"]].iloc[0] for site, part in table.groupby("site")}
        static["new"] = {"size": 99.0, "kind": "another"}
        later = pd.concat([later, *(appended.assign(site=site, **values) for site, values in static.items())])
        later = later.drop_duplicates(["site", "when"])
        near = later["when"] <= known_until + pd.Timedelta(hours=horizon)
    noise = 1000 * rng.normal(size=(4, len(later)))
    noise[rng.random(noise.shape) < 0.3] = np.nan
    load, heat, wind, price = noise
    altered = later.assign(load=load, heat=heat, wind=wind, sky=rng.choice(["dry", "storm"], len(later)))
    altered["price"] = later["price"].where(near, price)
    altered["plan"] = later["plan"].where(near, "maybe")
    return pd.concat([known, altered]), known_until


def read(table, folder, params, **grid):
    path = folder / "table.csv"
    table.to_csv(path, index=False)
    return read_panel(path, params.data, params.covariates, params.windows.horizon, **grid)


@given(
    data=st.data(),
    lookback=st.integers(1, 30),
    horizon=st.integers(1, 10),
    seasons=st.sampled_from([None, [], [6], [12, 24], [6.5, 12, 20]]),
    targets=st.sampled_from(["load", ["load", "heat"]]),
    roles=st.lists(st.sampled_from(sorted(ROLES)), unique=True),
)
@settings(max_examples=80)
def test_no_window_depends_on_rows_after_its_origin(tmp_path_factory, data, lookback, horizon, seasons, targets, roles):
    folder = tmp_path_factory.mktemp("tables")
    table = data.draw(tables())
    columns = {"path": "table.csv", "timestamp": "when", "target": targets, "series_id": "site"}
    params = parse_params(
        {
            **SHIPPED,
            "data": {**columns, "frequency": "h", "on_bad_series": "drop"},
            "covariates": {**{role: ROLES[role] for role in roles}, "holidays": "DE"},
            "windows": {"horizon": horizon, "lookback": lookback},
            "gaps": {"seasons": seasons, "max_missing": 0.95, "longest": 40},
        }
    )
    panel = read(table, folder, params)
    altered, known_until = data.draw(futures(table, horizon))
    other = read(altered, folder, params, anchor=panel.timestamps[0])
    try:
        prepared = prepare(panel, params)
        identities = prepared.source.identities
        fit = Fitted(prepared.channels, prepared.settings, prepared.scaler, identities, prepared.encoding)
        again = prepare_for_forecast(other, fit, params.data, panel.timestamps[prepared.splits.train - 1])
    except DataError:
        reject()  # a split or a series of nothing but gaps is another test's subject

    known_steps = int((other.timestamps <= known_until).sum())
    both = min(known_steps, len(panel.timestamps))  # where prices are known, a series ends with its last target
    pd.testing.assert_index_equal(panel.timestamps[:both], other.timestamps[:both])
    rows, origins = origins_of(again.source.targets, (0, known_steps), lookback, horizon=0)
    number = {name: row for row, name in enumerate(prepared.names)}
    same = np.array([number.get(again.names[row], -1) for row in rows], int)
    in_both = (same >= 0) & (origins < prepared.layout.ends[same])
    rows, origins, same = rows[in_both], origins[in_both], same[in_both]
    np.testing.assert_array_equal(prepared.source.identities[same], again.source.identities[rows])
    before = prepared.source.with_delays().windows(same, origins)
    after = again.source.with_delays().windows(rows, origins)
    assert [name for name in before._fields if getattr(before, name).tobytes() != getattr(after, name).tobytes()] == []
    parts = (prepared.source, same), (again.source, rows)
    usable, after = (source.filled.usable(numbers, origins, lookback, 40, 0.95) for source, numbers in parts)
    np.testing.assert_array_equal(usable, after)
    longer = (
        source.with_cycles(3, 6, np.zeros(0)).folded(numbers[usable], origins[usable]) for source, numbers in parts
    )
    for before, after in zip(*longer, strict=True):
        assert before.tobytes() == after.tobytes()


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


PANEL_HORIZON = 4
PANEL_PARAMS = {
    "data": {"path": "panel.csv", "timestamp": "when", "target": "load", "series_id": "site", "frequency": "h"},
    "covariates": {**ROLES, "calendar": True, "holidays": "DE"},
    "split": {"train": 280, "validation": 50, "test": 70},
    "windows": {"horizon": PANEL_HORIZON, "lookback": 24},
    "train": {"epochs": 1},
}


def small_panel():
    """Three ragged series of which a price drives a half and a wind announces some."""
    rng, parts = np.random.default_rng(0), []
    for number in range(3):
        steps = 400 + PANEL_HORIZON - 60 * number
        wind, price = rng.normal(size=(2, steps))
        load = np.sin(np.arange(steps) * np.pi / 12) + price + np.roll(wind, 3) + rng.normal(scale=0.3, size=steps)
        part = pd.DataFrame({"when": (START + pd.to_timedelta(np.arange(404), unit="h"))[-steps:], "load": load})
        part["wind"], part["price"] = wind, price
        part["sky"], part["plan"] = SKIES[rng.integers(0, 3, steps)], np.where(rng.random(steps) < 0.5, "on", "off")
        part.loc[part.index[-PANEL_HORIZON:], ["load", "wind", "sky"]] = np.nan
        parts.append(part.assign(site=f"s{number}", size=float(number), kind=f"kind {number % 2}"))
    return pd.concat(parts, ignore_index=True)


def test_an_altered_future_of_a_panel_leaves_the_model_and_earlier_predictions_as_they_were(project):
    table, known = small_panel(), START + pd.Timedelta(hours=360)
    table.to_csv(project.path / "panel.csv", index=False)
    project.set(**PANEL_PARAMS)
    project.ok("dvc", "repro", "evaluate")
    paths = project.paths("co2-weekly")
    checkpoint, predictions = paths.best_checkpoint.read_bytes(), pd.read_parquet(paths.predictions)
    rng = np.random.default_rng(1)
    later, far = table["when"] > known, table["when"] > known + pd.Timedelta(hours=PANEL_HORIZON)
    for name in ("load", "wind"):
        table[name] = table[name].where(~later, 30 * rng.normal(size=len(table)))
    table["sky"] = table["sky"].where(~later, "storm")
    table["price"], table["plan"] = table["price"].where(~far, -50.0), table["plan"].where(~far, "maybe")
    table.loc[later & (rng.random(len(table)) < 0.1), ["load", "wind"]] = np.nan
    table.to_csv(project.path / "panel.csv", index=False)

    project.ok("dvc", "repro", "evaluate")

    assert paths.best_checkpoint.read_bytes() == checkpoint
    again = pd.read_parquet(paths.predictions)
    forecast = ["series_id", "origin", "timestamp", "step", "y_pred", "y_lower", "y_upper"]
    before, after = (frame[frame["origin"] <= known][forecast].reset_index(drop=True) for frame in (predictions, again))
    assert (before.groupby("series_id", observed=True).size() > 100).to_numpy().tolist() == [True] * 3
    pd.testing.assert_frame_equal(before, after, check_exact=True)
    model = json.loads(paths.training.read_text(encoding="utf-8"))["model"]
    assert model["past"] == 4
    assert sorted(model["shares"]) == ["folded", "holt_winters", "linear", "members"]
    beyond = (frame.loc[frame["origin"] > known, "y_pred"] for frame in (predictions, again))
    assert not np.array_equal(*beyond)


@pytest.mark.parametrize("column", ["y_true"])
def test_targets_are_what_was_observed_and_nothing_filled(finished_once, column):
    table = pd.read_csv(finished_once.path / "data/raw/co2_weekly.csv", parse_dates=["date"]).set_index("date")["co2"]
    predictions = pd.read_parquet(finished_once.paths("first").predictions)

    observed = table.reindex(predictions["timestamp"]).to_numpy()

    np.testing.assert_array_equal(predictions[column].to_numpy(), observed)
