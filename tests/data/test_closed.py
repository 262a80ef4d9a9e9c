"""Closed hours: found where the evidence is strong and nowhere else, left out of the grid and of what follows it."""

import numpy as np
import pandas as pd
import pytest
from conftest import SHARED
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spline_lstm.data.closed import closed_labels, describe, following_timestamps, infer_closed, phases_of
from spline_lstm.data.grid import BEFORE_BORDER
from spline_lstm.data.series import read_panel
from spline_lstm.data.windows import split_series, train_steps
from spline_lstm.run.errors import ParamsError
from spline_lstm.run.hours import DAY
from spline_lstm.run.params import CovariateParams, DataParams, SplitParams

PARKING = SHARED / "data/field/parking.csv"
STEPS = [60, 900, 1800, 3600, 3 * 3600, DAY // 2, DAY]
EXCHANGE = ("Sat-Sun", "17:00-09:00")
SPLIT = SplitParams()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("closed")


def read(folder, table, anchor=None, split=SPLIT, **params):
    path = folder / "table.csv"
    table.to_csv(path, index=False)
    data = DataParams(path=str(path), timestamp="when", target="load", **params)
    return read_panel(path, data, anchor=anchor, split=split)


def rows_at(clock, seed=0):
    return pd.DataFrame({"when": clock, "load": np.random.default_rng(seed).normal(size=len(clock)).round(3)})


def in_berlin(days, first="2023-12-04"):
    """Every hour of some days in Berlin, as UTC."""
    local = pd.date_range(first, periods=24 * days, freq="h", tz="Europe/Berlin")
    return local, local.tz_convert("UTC").tz_localize(None)


def exchange(days=220):
    """Hourly, Mon-Fri from 09:00 to 17:00 in Berlin, over both changes of clocks; written with UTC offsets."""
    local, _ = in_berlin(days)
    return rows_at(local[(local.dayofweek < 5) & (local.hour >= 9) & (local.hour <= 17)])


@st.composite
def weeks(draw):
    """Closed phases of a week, `(7, phases of a day)`, of which one at least is open: tidy ones and wild ones."""
    step = draw(st.sampled_from(STEPS))
    phases = DAY // step
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    closed = rng.random((7, phases)) < draw(st.sampled_from([0.0, 0.1, 0.5, 0.9]))
    for _ in range(draw(st.integers(0, 4))):
        day, begin = rng.integers(0, 7), rng.integers(0, phases)
        closed[day : day + rng.integers(1, 8), begin : begin + rng.integers(1, phases + 1)] = True
    closed[rng.integers(0, 7), rng.integers(0, phases)] = False
    return closed, step


@given(week=weeks())
def test_texts_describe_exactly_the_phases_they_were_made_of(week):
    closed, step = week

    np.testing.assert_array_equal(phases_of(describe(closed, step), step), closed.ravel())


@pytest.mark.parametrize(
    ("texts", "step"),
    [
        ((), 3600),
        (("Sat-Sun",), DAY),
        (("Sun-Mon",), DAY),
        (EXCHANGE, 3600),
        (("17:30-08:00",), 1800),
        (("12:00-13:00", "22:00-06:00"), 1800),
        (("Mon-Fri 22:00-06:00",), 3600),
        (("Sun", "Sat 12:00-24:00"), 3600),
        (("Sat 12:00-12:00", "Sun 11:00-20:00"), 3600),  # longer than a day
        (("Sun", "Sat 12:00-24:00", "Sun 23:00-09:00"), 3600),
    ],
)
def test_texts_are_as_short_as_a_person_would_write_them(texts, step):
    assert describe(phases_of(texts, step).reshape(7, -1), step) == texts


def test_an_exchange_is_closed_at_night_and_at_weekends_whatever_the_clocks_do(folder):
    table = exchange()

    panel = read(folder, table, timezone="Europe/Berlin")

    assert panel.closed == EXCHANGE
    np.testing.assert_array_equal(panel.values, table["load"])
    assert (panel.timestamps == pd.DatetimeIndex(table["when"]).tz_convert("UTC").tz_localize(None)).all()
    steps = len(pd.date_range(panel.timestamps[0], panel.timestamps[-1], freq="h"))
    assert panel.findings["closed"] == {"hours": list(EXCHANGE), "steps": steps - len(table), "rows": 0}
    assert panel.findings["steps"] == len(table)


@given(known=st.integers(1, 1200), steps=st.integers(1, 300))
@settings(max_examples=30)
def test_what_follows_continues_the_grid_over_nights_weekends_and_changes_of_clocks(known, steps):
    _, full = in_berlin(400)
    grid = full[~closed_labels(full, "h", EXCHANGE, "Europe/Berlin")]

    following = following_timestamps(grid[:known], "h", steps, EXCHANGE, "Europe/Berlin")

    assert (following == grid[known : known + steps]).all()


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_shop_is_closed_on_sundays_and_at_night(folder, noise):
    clock = pd.date_range("2024-01-01", periods=24 * 20 * 7, freq="h")
    open_ = (clock.dayofweek < 6) & (clock.hour >= 8) & (clock.hour < 20)
    kept = np.random.default_rng(0).random(len(clock)) >= noise

    assert read(folder, rows_at(clock[open_ & kept])).closed == ("Sun", "19:00-08:00")


def test_clocks_may_go_back_to_the_day_before():
    """In St. John's from 00:01 to 23:01, after the first label."""
    clock = pd.date_range("2010-11-07T02:30", periods=4 * 24 * 30, freq="15min")
    local = clock.tz_localize("UTC").tz_convert("America/St_Johns")
    assert local[1].date() < local[0].date()

    assert infer_closed(clock, np.asarray(local.hour < 20), "15min", "America/St_Johns") == ("19:45-24:00",)


def test_half_a_day_off_takes_ten_weeks_to_be_found():
    clock = pd.date_range("2024-01-01", periods=24 * 7 * 12, freq="h")
    open_ = ~((clock.dayofweek == 5) & (clock.hour > 12))

    found = [infer_closed(clock[:steps], open_[:steps], "h", "UTC") for steps in (24 * 7 * 9, 24 * 7 * 10)]

    assert found == [(), ("Sat 12:00-24:00",)]


def test_rows_with_empty_cells_are_no_observations(folder):
    clock = pd.date_range("2024-01-01", periods=24 * 120, freq="h")
    table = rows_at(clock)
    table.loc[(clock.hour < 8) | (clock.hour > 20), "load"] = np.nan

    panel = read(folder, table)

    assert panel.closed == ("20:00-08:00",)
    np.testing.assert_array_equal(panel.values, table["load"].dropna())
    # The empty rows of the last night do not begin the next day, so a forecast begins with its first step.
    assert panel.timestamps[-1] == table.dropna()["when"].iloc[-1]
    assert panel.findings["closed"]["rows"] == 0


def test_empty_rows_among_others_in_closed_hours_change_nothing(folder):
    table = rows_at(pd.date_range("2024-01-01T05:00", periods=200, freq="h"))
    night = (table["when"].dt.hour > 20) | (table["when"].dt.hour < 6)
    table.loc[night & (np.random.default_rng(0).random(200) < 0.7), "load"] = np.nan

    panels = [read(folder, each, closed=["20:00-06:00"], frequency="h") for each in (table, table.dropna())]

    with_empty, without = panels
    assert with_empty.values.tobytes() == without.values.tobytes()
    assert with_empty.timestamps.equals(without.timestamps)


def test_what_is_measured_in_closed_hours_belongs_to_the_step_after_them_even_without_targets(folder):
    table = rows_at(pd.date_range("2024-01-01", periods=24 * 20, freq="h"))
    table["sun"] = np.arange(len(table), dtype=float)  # how late it is
    hour = table["when"].dt.hour
    table.loc[(hour < 9) | (hour > 17), "load"] = np.nan
    path = folder / "night.csv"
    table.to_csv(path, index=False)
    params = DataParams(path=str(path), timestamp="when", target="load", closed=["17:00-09:00"])

    panel = read_panel(path, params, CovariateParams(past=["sun"]), split=SPLIT)

    measured = table.set_index("when")["sun"]
    newest = panel.timestamps[0]
    for label, found in zip(panel.timestamps, panel.past["sun"].values, strict=True):
        of_step = measured[measured.index <= label] if label == newest else measured[newest:label].iloc[1:]
        assert found == pytest.approx(of_step.mean())
        newest = label


@given(seed=st.integers(0, 1000), share=st.sampled_from([0.0, 0.1, 0.3, 0.6]), frequency=st.sampled_from(["h", "D"]))
@settings(max_examples=20)
def test_gaps_at_random_and_outages_close_nothing_and_leave_every_bit_as_it_was(folder, seed, share, frequency):
    rng = np.random.default_rng(seed)
    clock = pd.date_range("2024-01-01", periods=2000, freq=frequency)
    kept = rng.random(len(clock)) >= share
    for _ in range(3):
        start = rng.integers(0, len(clock))
        kept[start : start + rng.integers(1, 500)] = False
    table = rows_at(clock[kept])

    inferred, without = (read(folder, table, frequency=frequency, closed=closed) for closed in (None, False))

    assert inferred.closed == ()
    assert inferred.values.tobytes() == without.values.tobytes()
    assert inferred.timestamps.equals(without.timestamps)
    assert inferred.findings == without.findings


def test_nights_that_are_seldom_observed_are_not_closed(folder):
    clock = pd.date_range("2024-01-01", periods=24 * 200, freq="h")
    often = np.where((clock.hour >= 8) & (clock.hour < 20), 0.5, 0.01)
    kept = np.random.default_rng(3).random(len(clock)) < often

    assert read(folder, rows_at(clock[kept]), frequency="h").closed == ()


@pytest.mark.parametrize("frequency", ["B", "W-SAT", "MS", "7h", "2D"])
def test_a_step_that_does_not_divide_a_day_has_no_closed_hours(folder, frequency):
    table = rows_at(pd.date_range("2023-01-01", periods=600, freq="B"))

    assert read(folder, table, frequency=frequency).closed == ()
    with pytest.raises(ParamsError, match=r"data\.closed.*divides a day"):
        read(folder, table, frequency=frequency, closed=["Sat"])


def test_working_days_on_a_daily_grid_have_no_weekends(folder):
    clock = pd.date_range("2023-01-01", periods=600, freq="B")

    panel = read(folder, rows_at(clock), frequency="D")

    assert panel.closed == ("Sat-Sun",)
    assert (panel.timestamps == clock).all()


def test_without_splits_nothing_is_inferred(folder):
    assert read(folder, exchange(), timezone="Europe/Berlin", split=None).closed == ()


def test_given_hours_are_taken_as_they_are(folder):
    clock = pd.date_range("2024-01-01", periods=48, freq="h")

    panel = read(folder, rows_at(clock), closed=["20:00-06:00"], aggregate="sum")

    assert panel.closed == ("20:00-06:00",)
    assert set(panel.timestamps.hour) == set(range(6, 21))
    # What was observed at night counts for 06:00, the next step.
    night = rows_at(clock)["load"].iloc[21:31].sum()
    assert panel.values[panel.timestamps == clock[30]] == pytest.approx(night)
    # The last rows lie in closed hours, too: their step ends tomorrow.
    assert panel.timestamps[-1] == clock[-1] + pd.Timedelta("7h")
    assert panel.findings["closed"] == {"hours": ["20:00-06:00"], "steps": 6 + 9 + 3, "rows": 6 + 9 + 3}


def test_hours_that_leave_nothing_open_are_refused(folder):
    with pytest.raises(ParamsError, match=r"data\.closed.*must leave"):
        read(folder, exchange(20), timezone="Europe/Berlin", closed=["Mon-Sat", "Sun"])


@given(cut=st.integers(0, 1900), known=st.integers(0, 300))
@settings(max_examples=20)
def test_new_data_continues_the_grid_of_the_run(folder, cut, known):
    table = exchange(320)
    run = read(folder, table, timezone="Europe/Berlin")

    new = read(
        folder,
        table.iloc[cut : cut + known + 5],
        run.timestamps[0],
        frequency=run.frequency,
        closed=run.closed,
        timezone="Europe/Berlin",
        split=None,
    )

    assert (new.timestamps == run.timestamps[cut : cut + known + 5]).all()
    assert new.values.tobytes() == run.values[cut : cut + known + 5].tobytes()


@given(data=st.data(), share=st.sampled_from([0.3, 0.5, 0.7]), gaps=st.sampled_from([0.0, 0.3]))
@settings(max_examples=20)
def test_rows_after_the_train_border_do_not_change_what_is_closed(folder, data, share, gaps):
    """Whatever is observed after it, and at whatever hour: the length of the series alone is kept."""
    table, split = exchange(300), SplitParams(train=share)
    table = table[np.random.default_rng(data.draw(st.integers(0, 99))).random(len(table)) >= gaps]
    panel = read(folder, table, timezone="Europe/Berlin", split=split)
    border = panel.timestamps[split_series(panel.timestamps, split, "UTC").train - 1].tz_localize("UTC")
    late = pd.to_datetime(table["when"], utc=True) > border
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    hours = pd.date_range(border + pd.Timedelta("1h"), pd.to_datetime(table["when"], utc=True).max(), freq="h")
    kept = rng.random(len(hours)) < data.draw(st.sampled_from([0.01, 0.5, 1.0]))
    kept[-1] = True
    altered = pd.concat([table[~late], rows_at(hours[kept].tz_convert("Europe/Berlin"))])

    again = read(folder, altered, timezone="Europe/Berlin", split=split, frequency="h")

    assert again.closed == panel.closed
    assert panel.closed == EXCHANGE


@given(week=weeks(), steps=st.integers(30, 4000), share=st.floats(0.05, 0.95))
@example(week=(np.arange(7)[:, None] != 2, DAY), steps=35, share=0.5)  # ten days earlier
def test_the_train_split_never_ends_before_the_rows_that_tell_what_is_closed(week, steps, share):
    closed, step = week
    full = pd.date_range("2024-01-03T05:00", periods=steps, freq=pd.Timedelta(seconds=step))
    hours, split = describe(closed, step), SplitParams(train=share)
    grid = full[~closed_labels(full, f"{step}s", hours, "UTC")]
    train = train_steps(grid, split, "UTC")
    if not train:
        return

    assert full[max(train_steps(full, split, "UTC") - 1, 0)] - BEFORE_BORDER <= grid[train - 1]


@pytest.mark.skipif(not PARKING.exists(), reason="the data of Birmingham's car parks is not here")
def test_car_parks_that_are_read_by_day_have_no_nights():
    columns = {"timestamp": "LastUpdated", "target": "Occupancy", "series_id": "SystemCodeNumber"}
    params = DataParams(path=str(PARKING), duplicates="last", **columns)

    panel = read_panel(PARKING, params, split=SPLIT)
    without = read_panel(PARKING, params.model_copy(update={"closed": ()}), split=SPLIT)

    assert (panel.frequency, panel.closed) == ("30min", ("17:00-07:30",))
    assert 18 <= len(panel.timestamps) / 77 <= 20
    assert panel.findings["closed"]["rows"] == 0
    missing, before = (np.isnan(each.values).mean() for each in (panel, without))
    assert missing < 0.4 < 0.7 < before
    assert np.nansum(panel.values) == np.nansum(without.values)


def test_hours_in_params_are_written_as_they_are_reported(folder):
    """What is inferred can be given: nothing else changes."""
    table = exchange()
    inferred = read(folder, table, timezone="Europe/Berlin")

    given_ = read(folder, table, timezone="Europe/Berlin", closed=inferred.findings["closed"]["hours"])

    assert given_.findings == inferred.findings
    assert given_.values.tobytes() == inferred.values.tobytes()
