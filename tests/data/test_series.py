"""Irregular rows become a regular panel by a causal bin; unusable ones become an error that names them."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.closed import following_timestamps
from spline_lstm.data.columns import LONGEST_LINE
from spline_lstm.data.grid import infer_frequency
from spline_lstm.data.series import read_panel
from spline_lstm.data.tables import Stretch
from spline_lstm.run.errors import DataError, InputNotFoundError, ParamsError
from spline_lstm.run.params import CovariateParams, DataParams

START = pd.Timestamp("2024-01-01")
RULES = {
    "mean": lambda cells: sum(cells) / len(cells),
    "last": lambda cells: cells[-1],
    "sum": sum,
    "min": min,
    "max": max,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("series")


def read(path, anchor=None, **overrides):
    params = {"path": str(path), "timestamp": "time", "target": "load", **overrides}
    return read_panel(path, DataParams(**params), anchor=anchor)


def read_rows(folder, timestamps, values, anchor=None, **overrides):
    path = folder / "series.csv"
    pd.DataFrame({"time": timestamps, "load": values}).to_csv(path, index=False)
    return read(path, anchor, **overrides)


def read_text(folder, text, anchor=None, **overrides):
    path = folder / "series.csv"
    path.write_text(text, encoding="utf-8")
    return read(path, anchor, **overrides)


@st.composite
def irregular_rows(draw):
    """Distinct, sorted times with crowds and gaps, and values of which some are missing."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(5, 80))
    seconds = [*np.sort(rng.choice(20_000, count, replace=False)), 30_000]
    values = rng.normal(size=count + 1).round(3)
    values[rng.random(count + 1) < 0.4] = np.nan
    values[[0, -1]] = [-9.0, 50.0]  # in different bins, so that no rule makes a constant of them
    return START + pd.to_timedelta(seconds, unit="s"), values


@pytest.mark.parametrize("frequency", ["10min", "1h", "71s"])
@pytest.mark.parametrize("rule", RULES)
@given(rows=irregular_rows())
@settings(max_examples=8)
def test_a_step_holds_what_was_observed_after_the_step_before_and_not_after_it(folder, rows, rule, frequency):
    timestamps, values = rows
    panel = read_rows(folder, timestamps, values, frequency=frequency, aggregate=rule)

    step = pd.Timedelta(frequency)
    for index, label in enumerate(panel.timestamps):
        in_bin = [v for t, v in zip(timestamps, values, strict=True) if label - step < t <= label and not math.isnan(v)]
        found = panel.values[index]
        assert math.isnan(found) if not in_bin else found == pytest.approx(RULES[rule](in_bin))
    assert (np.diff(panel.timestamps) == step).all()
    # No row is left outside of the grid, but for those of a last step that is not over, and it does not run on.
    assert panel.timestamps[0] - step < timestamps[0] <= panel.timestamps[0]
    last = panel.timestamps[-1]
    beyond = {math.ceil((time - last) / step) for time in timestamps if time > last}
    assert len(beyond) == 1 or last - step < timestamps[-1] <= last


@pytest.mark.parametrize("rule", RULES)
def test_a_step_of_empty_cells_stays_missing_whatever_the_rule(folder, rule):
    text = "time,load\n2024-01-01T00:00,1\n2024-01-01T00:10,\n2024-01-01T00:20,\n2024-01-01T02:00,2\n"

    panel = read_text(folder, text, anchor=START, frequency="h", aggregate=rule)

    np.testing.assert_array_equal(panel.values, [1, np.nan, 2])


@pytest.mark.parametrize("rule", RULES)
@given(rows=irregular_rows(), later=st.lists(st.integers(1, 9_000), min_size=1, unique=True).map(sorted))
@settings(max_examples=10)
def test_later_rows_change_no_step_that_was_complete_before_them(folder, rows, rule, later):
    timestamps, values = rows
    appended = timestamps.append(timestamps[-1] + pd.to_timedelta(later, unit="s"))
    grid = {"frequency": "10min", "aggregate": rule, "anchor": START}

    before = read_rows(folder, timestamps, values, **grid)
    after = read_rows(folder, appended, [*values, *[1e6] * len(later)], **grid)

    complete = int((before.timestamps <= timestamps[-1]).sum())
    assert (after.timestamps[:complete] == before.timestamps[:complete]).all()
    assert after.values[:complete].tobytes() == before.values[:complete].tobytes()


@pytest.mark.parametrize("frequency", ["W-SAT", "MS", "ME", "B"])
def test_calendar_steps_are_right_closed_too(folder, frequency):
    rng = np.random.default_rng(0)
    timestamps = START + pd.to_timedelta(np.sort(rng.choice(400, 150, replace=False)), unit="D")
    values = rng.normal(size=150).round(3)

    panel = read_rows(folder, timestamps, values, frequency=frequency, aggregate="last")

    labels = panel.timestamps
    assert (labels == pd.date_range(labels[0], periods=len(labels), freq=frequency)).all()
    before = labels[0] - pd.Timedelta("400D")
    for index, label in enumerate(labels):
        in_bin = values[(before < timestamps) & (timestamps <= label)]
        assert math.isnan(panel.values[index]) if not in_bin.size else panel.values[index] == in_bin[-1]
        before = label


@pytest.mark.parametrize("frequency", ["h", "D", "W-SAT", "MS", "ME", "15min", "B", "30s"])
def test_the_frequency_of_a_regular_clock_is_its_own(frequency):
    assert infer_frequency(pd.date_range("2021-03-01", periods=50, freq=frequency)) == frequency


@pytest.mark.parametrize(
    ("frequency", "expected"), [("h", "h"), ("D", "D"), ("W-SAT", "7D"), ("MS", "MS"), ("ME", "ME"), ("15min", "15min")]
)
@pytest.mark.parametrize("jitter", [0.0, 0.02])
def test_the_frequency_is_seen_through_gaps_and_jitter(frequency, expected, jitter):
    rng = np.random.default_rng(1)
    clock = pd.date_range("2020-01-01", periods=300, freq=frequency)[np.sort(rng.choice(300, 240, replace=False))]
    seconds = (clock[1] - clock[0]).total_seconds() * jitter

    late = pd.to_timedelta(rng.uniform(0, seconds, len(clock)), unit="s")

    assert infer_frequency(clock + late) == expected


def test_the_hours_of_working_days_are_hours():
    assert infer_frequency(pd.date_range("2024-01-01T09:00", periods=300, freq="bh")) == "h"


def test_a_gap_on_a_working_day_leaves_working_days():
    clock = pd.date_range("2024-01-01", periods=60, freq="B").delete(17)

    assert infer_frequency(clock) == "B"


@pytest.mark.parametrize(
    ("frequency", "late", "expected"),
    [
        ("QS-FEB", 0, "QS-FEB"),
        ("QE-MAR", 0, "QE-MAR"),
        ("YS-JUL", 0, "YS-JUL"),
        ("YE-MAR", 0, "YE-MAR"),
        ("2MS", 0, "2MS"),
        ("2QS-JAN", 0, "2QS-JAN"),
        ("MS", 14, "MS"),
        ("QS-JAN", 14, "QS-FEB"),
        ("YS-JAN", 14, "YS-FEB"),
    ],
)
def test_gaps_leave_months_quarters_and_years_whose_labels_do_not_drift(folder, frequency, late, expected):
    clock = pd.date_range("1980-01-01", periods=60, freq=frequency)[np.delete(np.arange(60), [3, 17, 18])]
    clock += pd.Timedelta(days=late)
    (folder / "unequal.csv").write_text(pd.DataFrame({"time": clock, "load": np.arange(57.0)}).to_csv(index=False))

    panel = read(folder / "unequal.csv")

    assert panel.frequency == expected
    labels = panel.timestamps
    assert np.isnan(panel.values).sum() == 3
    filled = labels[~np.isnan(panel.values)]
    assert (filled == (clock if not late else clock + pd.offsets.MonthBegin())).all()


def last_days_of_trade():
    """Of each month; on two Good Fridays nobody trades."""
    clock = pd.date_range("2013-01-01", periods=132, freq="BME")
    return clock.where(~clock.isin(pd.to_datetime(["2013-03-29", "2018-03-30"])), clock - pd.Timedelta(days=1))


def days_of_months(most):
    starts = pd.date_range("2010-01-01", periods=120, freq="MS")
    return starts + pd.to_timedelta(np.minimum(most, starts.days_in_month) - 1, unit="D")


@pytest.mark.parametrize(
    "clock",
    [
        last_days_of_trade(),
        days_of_months(30),
        pd.date_range("2013-01-01", periods=80, freq="BMS").delete([7, 30]),
        pd.date_range("2013-01-01", periods=80, freq="BME").delete([7, 30]),
    ],
    ids=["last of trade", "30th", "first business day with gaps", "last business day with gaps"],
)
def test_one_row_a_month_on_days_near_each_other_is_a_step_of_months(folder, clock):
    panel = read_rows(folder, clock, np.arange(float(len(clock))))

    assert panel.frequency == "ME"
    labels = panel.timestamps[~np.isnan(panel.values)]
    np.testing.assert_array_equal(labels.to_period("M"), clock.to_period("M"))


def test_thirty_days_are_no_month():
    clock = pd.date_range("2013-01-01", periods=14, freq="30D").delete(7)

    assert infer_frequency(clock) == "30D"


def test_what_was_a_name_of_a_step_is_taken_as_its_name_of_today(folder):
    panel = read_rows(folder, pd.date_range("2013-01-31", periods=12, freq="ME"), np.arange(12.0), frequency="M")

    assert panel.frequency == "ME"


def test_one_day_in_many_months_is_no_step_of_months():
    clock = pd.date_range("2024-01-05", periods=20, freq="h").append(pd.date_range("2024-03-05", periods=3, freq="h"))

    assert infer_frequency(clock) == "h"


def test_nights_do_not_stretch_the_step_of_a_day_that_was_read_at_uneven_intervals():
    """Every other reading is late, so no interval has the length of the step, and all count wrong in a night."""
    days = pd.date_range("2024-01-01T08:00", periods=40, freq="D")
    readings = pd.to_timedelta(np.arange(18) * 30 + np.tile([0, 5], 9), unit="min")
    clock = pd.DatetimeIndex(np.add.outer(days.to_numpy(), readings.to_numpy()).ravel())

    assert infer_frequency(clock) == "30min"


@pytest.mark.parametrize("frequency", ["97s", "11min", "26h"])
def test_an_uncommon_step_is_seen_through_gaps_too(frequency):
    clock = pd.date_range("2024-01-01", periods=60, freq=frequency).delete(17)

    assert infer_frequency(clock) == frequency


@pytest.mark.parametrize("frequency", ["h", "W-SAT", "MS"])
def test_labels_beyond_the_last_one_continue_the_grid(frequency):
    clock = pd.date_range("2024-01-01", periods=30, freq=frequency)

    assert (following_timestamps(clock[:20], frequency, 10, (), "UTC") == clock[20:]).all()


def test_two_timestamps_tell_no_frequency():
    with pytest.raises(DataError, match=r"data\.frequency"):
        infer_frequency(pd.date_range("2024-01-01", periods=2))


def test_a_jittered_clock_has_one_row_in_each_step(folder):
    rng = np.random.default_rng(2)
    nominal = pd.date_range("2024-01-01", periods=400, freq="h")
    values = rng.normal(size=400).round(3)

    panel = read_rows(folder, nominal + pd.to_timedelta(rng.integers(-300, 300, 400), unit="s"), values)

    assert panel.frequency == "h"
    np.testing.assert_array_equal(panel.values[: len(values)], values)


def test_the_anchor_of_an_earlier_panel_keeps_its_grid(folder):
    timestamps = pd.date_range("2024-01-01T00:07", periods=48, freq="h")

    panel = read_rows(folder, timestamps, np.arange(48.0), anchor=pd.Timestamp("2023-12-24T00:30"), frequency="h")

    assert panel.timestamps[0] == pd.Timestamp("2024-01-01T00:30")
    np.testing.assert_array_equal(panel.values, np.arange(48))


def test_wall_clock_times_are_kept_in_utc_over_a_change_of_clocks(folder):
    wall = pd.date_range("2024-03-30T06:00", "2024-04-02T06:00", freq="D").strftime("%Y-%m-%dT%H:%M")

    panel = read_rows(folder, wall, [1.0, 2.0, 3.0, 4.0], timezone="Europe/Berlin", frequency="h")

    observed = panel.timestamps[~np.isnan(panel.values)]
    assert observed.strftime("%dT%H").tolist() == ["30T05", "31T04", "01T04", "02T04"]


@pytest.mark.parametrize(
    "times",
    [
        ["2024-10-27T01:30", "2024-10-27T02:30", "2024-10-27T03:30"],  # 02:30 came twice
        ["2024-03-31T01:30", "2024-03-31T02:30", "2024-03-31T03:30"],  # 02:30 never came
    ],
)
def test_wall_clock_times_that_a_change_of_clocks_repeats_or_skips_are_refused(folder, times):
    with pytest.raises(DataError, match="exist once in Europe/Berlin"):
        read_rows(folder, times, [1.0, 2.0, 3.0], timezone="Europe/Berlin", frequency="h")


def test_offsets_may_follow_a_change_of_clocks(folder):
    times = ["2024-10-27T02:30+02:00", "2024-10-27T02:30+01:00", "2024-10-27T03:30+01:00"]

    panel = read_rows(folder, times, [1.0, 2.0, 3.0], frequency="h")

    assert panel.timestamps.astype(str).tolist() == [f"2024-10-27 0{hour}:30:00" for hour in range(3)]
    assert panel.values.tolist() == [1, 2, 3]


@pytest.mark.parametrize("frequency", ["D", "B", "W-SUN", "MS", "ME", "QS-OCT"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Sydney"])
@pytest.mark.parametrize(("offsets", "named"), [(False, True), (True, True), (True, False)])
def test_dates_stay_dates_whatever_the_clocks_do(folder, frequency, zone, offsets, named):
    """In Sao Paulo, clocks changed at midnight, so that some days had none."""
    dates = pd.date_range("2016-04-01", periods=120, freq=frequency)
    written = dates.tz_localize(zone, nonexistent="NaT", ambiguous=True) if offsets else dates
    times = written[written.notna()].strftime("%Y-%m-%dT%H:%M:%S%z")

    panel = read_rows(folder, times, np.arange(len(times)), timezone=zone if named else "UTC")

    assert (panel.timestamps == dates).all()
    assert panel.timezone == "UTC"
    assert panel.frequency == frequency or len(times) < len(dates)
    assert np.isnan(panel.values).sum() == len(dates) - len(times)


def test_midnights_of_the_zone_that_a_parquet_names_are_dates(folder):
    dates = pd.date_range("2023-04-03", "2024-04-14")
    pd.DataFrame({"time": dates.tz_localize("Europe/Berlin"), "load": 1.0 * np.arange(len(dates))}).to_parquet(
        folder / "zoned.parquet"
    )

    panel = read(folder / "zoned.parquet")

    assert (panel.timestamps == dates).all()
    assert panel.values.tolist() == list(range(len(dates)))


def test_an_offset_in_some_rows_only_is_refused(folder):
    with pytest.raises(DataError, match=r"offset.*row 2"):
        read_rows(folder, ["2024-10-27T02:30+02:00", "2024-10-27T02:30", "2024-10-27T03:30+01:00"], [1.0, 2.0, 3.0])


def test_one_offset_in_every_row_beats_the_time_zone_given(folder):
    times = ["2024-06-01T02:00+02:00", "2024-06-01T03:00+02:00", "2024-06-01T04:00+02:00"]

    panel = read_rows(folder, times, [1.0, 2.0, 3.0], timezone="Asia/Tokyo")

    assert panel.timestamps[0] == pd.Timestamp("2024-06-01T00:00")


def test_parquet_gives_what_csv_gives(folder):
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "time": START + pd.to_timedelta(rng.permutation(5000)[:300], unit="min"),
            "load": rng.normal(size=300).round(3),
        }
    )
    table.loc[::7, "load"] = np.nan
    table.to_csv(folder / "same.csv", index=False)
    table.to_parquet(folder / "same.parquet")

    csv, parquet = read(folder / "same.csv", frequency="h"), read(folder / "same.parquet", frequency="h")

    assert parquet.values.tobytes() == csv.values.tobytes()
    assert (parquet.timestamps == csv.timestamps).all()
    assert parquet.findings == csv.findings
    assert csv.findings["sorted"] is False


def test_a_parquet_file_may_keep_its_timestamps_in_the_index(folder):
    table = pd.DataFrame({"load": [1.0, 2.0, 3.0]}, index=pd.date_range(START, periods=3, name="time"))
    table.to_parquet(folder / "indexed.parquet")

    assert read(folder / "indexed.parquet").values.tolist() == [1, 2, 3]


def test_targets_stand_in_the_order_asked_for_and_gaps_are_counted(folder):
    text = "time,load,oil\n2024-01-01,1,5\n2024-01-02,,6\n2024-01-05,2,\n2024-01-06,3,8\n"

    panel = read_text(folder, text, target=["oil", "load"], frequency="D")

    oil, load = panel.layout.split(panel.values)
    np.testing.assert_array_equal(oil, [5, 6, *[np.nan] * 3, 8])
    np.testing.assert_array_equal(load, [1, *[np.nan] * 3, 2, 3])
    assert panel.names == ("oil", "load")
    assert panel.findings["channels"]["load"] == {"missing": 3, "missing_share": 0.5, "gaps": 1, "longest_gap": 3}


@pytest.mark.parametrize(("rule", "expected"), [("mean", 3.0), ("sum", 6.0), ("first", 2.0), ("last", 4.0)])
def test_equal_timestamps_are_resolved_as_params_say(folder, rule, expected):
    text = "time,load\n2024-01-01,1\n2024-01-02,2\n2024-01-02,4\n2024-01-03,5\n"

    panel = read_text(folder, text, duplicates=rule)

    assert panel.values.tolist() == [1, expected, 5]
    assert panel.findings["duplicates"] == 1


def test_of_rows_that_are_summed_a_price_is_the_mean_and_nothing_stays_nothing(folder):
    path = folder / "sales.csv"
    text = "time,load,price,kind\n2024-01-01,1,2,a\n2024-01-02,,3,a\n2024-01-02,,5,b\n2024-01-03,5,1,a\n"
    path.write_text(text, encoding="utf-8")
    params = DataParams(path=str(path), timestamp="time", target="load", duplicates="sum")

    panel = read_panel(path, params, CovariateParams(past=["price", "kind"]))

    np.testing.assert_array_equal(panel.values, [1, np.nan, 5])
    np.testing.assert_array_equal(panel.past["price"].values, [2, 4, 1])
    np.testing.assert_array_equal(panel.past["kind"].values, [0, 1, 0])


@pytest.mark.parametrize(
    "cells", [["5,01", "4,99", "5,20"], ["1.234,5", "999,0", ""], ["1,234.5", "2,000.0", "3,100.25"]]
)
def test_a_covariate_of_numbers_with_commas_is_no_category(folder, cells):
    path = folder / "prices.csv"
    table = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=3), "load": [1.0, 2.0, 3.0], "price": cells})
    table.to_csv(path, index=False)

    with pytest.raises(DataError, match=f"'price' must hold numbers with a decimal point.* Received: '{cells[0]}'"):
        read_panel(path, DataParams(path=str(path), timestamp="time", target="load"), CovariateParams(past="price"))


GOOD = "2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n"
BAD_TABLES = {
    "empty file": ("", "empty file"),
    "blank file": (" \n\n", "empty file"),
    "header only": ("time,load\n", "rows below its header"),
    "no such column": ("time,lode\n" + GOOD, "column 'load'.*Did you mean 'lode'"),
    "no timestamps": ("tme,load\n" + GOOD, "column 'time'.*Did you mean 'tme'"),
    "nothing alike": ("time,xyz\n" + GOOD, "column 'load'.*Add it, or call one 'load', or name another in data"),
    "unparsable timestamp": (f"time,load\n{GOOD}soon,4\n", "'time'.*'soon' in row 4 after the header"),
    "timestamp out of range": (f"time,load\n{GOOD}9999-01-01,4\n", "'time'.*'9999-01-01' in row 4"),
    "empty timestamp": (f"time,load\n{GOOD},4\n", "'time'.*an empty cell in row 4"),
    "timestamp at the end of time": (
        f"time,load\n{GOOD}2262-04-01,4\n",
        "years from 1678 to 2261.*'2262-04-01' in row 4",
    ),
    "timestamp at its begin": (f"time,load\n1677-12-31,4\n{GOOD}", "years from 1678 to 2261.*'1677-12-31' in row 1"),
    "centuries between two rows": ("time,load\n1690-01-01,1\n2000-01-01,2\n2001-01-01,3\n", "no gap spans 292 years"),
    "seconds as timestamps": ("time,load\n1704067200,1\n1704153600,2\n1704240000,3\n", "'time'.*'1704067200' in row 1"),
    "same timestamp twice": (f"time,load\n{GOOD}2024-01-02,4\n", "2024-01-02 00:00:00 again in row 4 .*1 repeat"),
    "infinity": (f"time,load\n{GOOD}2024-01-04,inf\n", "'load'.*inf.* in row 4"),
    "number too large": (f"time,load\n{GOOD}2024-01-04,1e999\n", "'load'.*in row 4"),
    "text among numbers": (f"time,load\n{GOOD}2024-01-04,many\n", "'load'.*'many' in row 4"),
    "too few rows": ("time,load\n2024-01-01,1\n2024-01-02,2\n", r"data\.frequency"),
    "a stray year": (f"time,load\n{GOOD}2199-01-01,4\n", "at most 100 steps per row"),
    "surplus cell in one row": ("time,load\n2024-01-01,1\n2024-01-02,2,9\n2024-01-03,3\n", "readable table"),
    "surplus cell in every row": ("time,load\n2024-01-01,1,7\n2024-01-02,2,8\n2024-01-03,3,9\n", "readable table"),
    "unclosed quote": ('time,load\n"2024-01-01,1\n2024-01-02,2\n', "readable table|timestamps"),
}


@pytest.mark.parametrize(("text", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_an_unusable_table_is_refused_by_the_row_or_column_at_fault(folder, text, message):
    with pytest.raises(DataError, match=message):
        read_text(folder, text)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("noise.csv", bytes(range(256)) * 20, "binary"),
        ("latin.csv", "time,load\n2024-01-01,1\n# Züge\n".encode("latin-1"), "UTF-8"),
        ("noise.parquet", bytes(range(256)) * 20, "readable table"),
        ("empty.parquet", b"", "readable table"),
        ("line.csv", b"time,load\n" + b"1" * (2 * LONGEST_LINE), "lines shorter than"),
    ],
)
def test_files_that_hold_no_table_are_refused(folder, name, content, message):
    (folder / name).write_bytes(content)

    with pytest.raises(DataError, match=message):
        read(folder / name)


@pytest.mark.parametrize("name", ["absent.csv", ".", "absent.parquet"])
def test_a_path_that_is_no_file_is_refused(folder, name):
    with pytest.raises(InputNotFoundError, match="must be a file"):
        read(folder / name)


@pytest.mark.parametrize(
    "column",
    [[1, 2, 3], np.array(["3000-01-01", "3000-01-02", "3000-01-03"], "datetime64[us]")],
    ids=["numbers", "far"],
)
def test_parquet_columns_that_are_no_usable_timestamps_are_refused(folder, column):
    pd.DataFrame({"time": column, "load": [1.0, 2.0, 3.0]}).to_parquet(folder / "typed.parquet")

    with pytest.raises(DataError, match="'time'"):
        read(folder / "typed.parquet")


def test_parquet_timestamps_as_target_are_refused(folder):
    clock = pd.date_range(START, periods=3)
    pd.DataFrame({"time": clock, "load": clock}).to_parquet(folder / "typed.parquet")

    with pytest.raises(DataError, match="'load' must hold finite numbers"):
        read(folder / "typed.parquet")


@pytest.mark.parametrize("frequency", ["999999999W", "300YE"])
def test_a_step_that_leads_beyond_what_nanoseconds_can_count_is_refused(folder, frequency):
    with pytest.raises(ParamsError, match=r"data\.frequency.*ends before the year 2262"):
        read_text(folder, "time,load\n" + GOOD, frequency=frequency)


def test_a_format_may_name_time_zones(folder):
    times = ["01.01.2024 00 UTC", "01.01.2024 02 Europe/Berlin", "01.01.2024 11 Asia/Tokyo"]

    panel = read_rows(folder, times, [1.0, 2.0, 3.0], timestamp_format="%d.%m.%Y %H %Z")

    assert panel.timestamps.strftime("%dT%H").tolist() == ["01T00", "01T01", "01T02"]


def test_a_time_zone_that_pandas_lacks_is_a_params_error(folder):
    with pytest.raises(ParamsError, match=r"data\.timezone.*'Factory'"):
        read_text(folder, "time,load\n" + GOOD.replace(",", "T01:00,"), timezone="Factory")


@pytest.mark.parametrize(("frequency", "rows"), [("D", 120_000), ("7D", 17_000), ("YS", 330), ("MS", 3_900)])
def test_a_series_may_span_more_centuries_than_a_timedelta_can(folder, frequency, rows):
    clock = pd.date_range("1690-01-01", periods=rows, freq=frequency).delete(17)
    values = np.arange(rows - 1.0)

    panel = read_rows(folder, clock, values, frequency=frequency, anchor=pd.Timestamp("2020-01-01"))

    observed = ~np.isnan(panel.values)
    assert panel.values[observed].tolist() == values.tolist()
    assert len(panel.timestamps) == rows


def test_a_forecast_beyond_what_can_be_counted_is_refused():
    with pytest.raises(DataError, match="before the year 2262"):
        following_timestamps(pd.date_range("2250-01-01", periods=144, freq="MS"), "MS", 24, (), "UTC")


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("nanoseconds", [-(2**63) + 1, 2**63 - 4])
def test_moments_at_the_ends_of_what_can_be_counted_are_refused(folder, zone, nanoseconds):
    clock = pd.DatetimeIndex(nanoseconds + np.arange(3))
    for number, column in enumerate((clock, clock.tz_localize("UTC").tz_convert(zone))):
        path = folder / f"end{number}.parquet"
        pd.DataFrame({"time": column, "load": [1.0, 2.0, 3.0]}).to_parquet(path)

        with pytest.raises(DataError, match="years from 1678 to 2261"):
            read(path, timezone=zone)


def test_a_text_in_a_repeated_row_breaks_its_series(folder):
    text = "id,time,load\n" + "".join(f"{key},2024-01-{day:02},{day}\n" for key in "ab" for day in range(1, 29))
    (folder / "twice.csv").write_text(text + "b,2024-01-03,oops\n", encoding="utf-8")
    columns = {"timestamp": "time", "target": "load", "series_id": "id", "duplicates": "mean", "on_bad_series": "drop"}
    end = pd.Timestamp("2024-01-20")

    for stretch in (None, Stretch(None, end, end)):
        panel = read_panel(folder / "twice.csv", DataParams(path="twice.csv", **columns), stretch=stretch)
        assert list(panel.broken) == ["b"]


def test_a_grid_that_no_run_could_hold_is_refused(folder):
    clock = pd.date_range("2024-01-01", periods=100_003, freq="100s")

    with pytest.raises(DataError, match="here 10000000"):
        read_rows(folder, clock, np.arange(100_003) % 7, frequency="s")


def test_gaps_and_jitter_do_not_stretch_an_inferred_step():
    rng = np.random.default_rng(0)
    seconds = 3600 * np.arange(400) + rng.uniform(-720, 720, 400)
    clock = pd.DatetimeIndex(pd.Timestamp(START) + pd.to_timedelta(seconds[rng.random(400) > 0.25].round(), unit="s"))

    assert infer_frequency(clock) == "h"


@pytest.mark.parametrize(("frequency", "rows"), [("ME", 120), ("MS", 120), ("QE-MAR", 60), ("YE-DEC", 50)])
def test_with_half_of_them_missing_months_are_months(frequency, rows):
    def clock(seed):
        labels = pd.date_range("1980-01-01", periods=rows, freq=frequency)
        return labels[np.append([True], np.random.default_rng(seed).random(rows - 1) >= 0.5)]

    assert np.mean([infer_frequency(clock(seed)) == frequency for seed in range(40)]) >= 0.9


@pytest.mark.parametrize("frequency", ["5min", "15min", "h", "D"])
def test_the_step_of_a_clock_with_much_jitter_and_many_gaps_is_a_usual_one(frequency):
    step = pd.Timedelta("1D") if frequency == "D" else pd.Timedelta(pd.tseries.frequencies.to_offset(frequency))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        early = pd.to_timedelta(rng.uniform(0, 0.45 * step.total_seconds(), 1000).round(), unit="s")
        clock = pd.date_range("2024-01-01", periods=1000, freq=frequency) - early

        assert infer_frequency(clock[rng.random(1000) >= 0.4]) == frequency


@pytest.mark.parametrize(("frequency", "missing"), [("W", 0.6), ("D", 0.65), ("h", 0.65)])
def test_where_too_few_labels_of_a_step_have_rows_some_of_them_are_one(frequency, missing):
    rng = np.random.default_rng(0)
    clock = pd.date_range("1999-01-03", periods=600, freq=frequency)
    for _ in range(10):
        found = infer_frequency(clock[rng.random(600) >= missing])
        assert found in {"W": ("7D", "14D"), "D": ("D", "2D"), "h": ("h", "2h")}[frequency]


def test_a_column_that_stands_twice_is_refused(folder):
    with pytest.raises(DataError, match="one column 'load'"):
        read_text(folder, "time,load,load\n2024-01-01,1,2\n2024-01-02,2,3\n2024-01-03,3,4\n")


def test_numbers_are_read_to_the_last_bit(folder):
    values = np.random.default_rng(0).normal(size=50)
    rows = "".join(f"2024-02-{day:02},{value!r}\n" for day, value in zip(range(1, 29), values.tolist(), strict=False))

    panel = read_text(folder, "time,load\n" + rows)

    np.testing.assert_array_equal(panel.values, values[:28])


@pytest.mark.parametrize(("rows", "frequency"), [("h", "D"), ("15min", "h"), ("15min", "D"), ("h", "W"), ("D", "ME")])
@pytest.mark.parametrize("begin", ["2024-01-01T00:00", "2024-01-03T17:00"])
def test_sums_are_of_whole_hours_days_weeks_and_months(folder, rows, frequency, begin):
    clock = pd.date_range(begin, "2024-05-14T11:30", freq=rows)
    values = np.random.default_rng(0).normal(size=len(clock))

    panel = read_rows(folder, clock, values, frequency=frequency, aggregate="sum", closed=[])

    oracle = pd.Series(values, clock).resample(frequency).sum()
    np.testing.assert_allclose(panel.values, oracle[:-1] if frequency != rows else oracle)
    labels = oracle.index if frequency != "h" else oracle.index + pd.Timedelta("45min")
    assert (panel.timestamps.floor("15min" if frequency == "h" else "D") == labels[: len(panel.values)]).all()


@pytest.mark.parametrize(
    ("zone", "summer"),
    [("Europe/Berlin", 2), ("America/New_York", -4), ("Asia/Kolkata", 5.5), ("Australia/Sydney", 11)],
)
@pytest.mark.parametrize("begin", ["2024-01-08", "2024-06-03"])
def test_sums_of_days_are_of_local_days_by_the_clock_of_summer(folder, zone, summer, begin):
    clock = pd.date_range(begin, pd.Timestamp(begin) + pd.Timedelta("250D12h"), freq="h", tz=zone)
    values = np.random.default_rng(0).normal(size=len(clock))
    times = clock.strftime("%Y-%m-%dT%H:%M:%S%z")

    panel = read_rows(folder, times, values, frequency="D", aggregate="sum", timezone=zone, closed=[])

    fixed = clock.tz_convert("UTC").tz_localize(None) + pd.Timedelta(hours=summer)
    days = pd.Series(values, fixed).resample("D").sum()
    np.testing.assert_allclose(panel.values, days[: len(panel.values)])
    assert len(days) - len(panel.values) in (0, 1)
    local = panel.timestamps.tz_localize("UTC").tz_convert(zone)
    assert (local.tz_localize(None).normalize() == days.index[: len(local)]).all()
    assert set(local.hour) <= {22, 23}


@pytest.mark.parametrize("begin", ["2024-05-01", "2024-01-02"])
@pytest.mark.parametrize("opens", [(9, 10, 11, 12, 13, 14, 15, 16, 17, 18), (6, 14, 22), (8, 20)])
def test_a_shop_that_opens_by_the_clock_of_people_has_whole_days_all_year(folder, begin, opens):
    hours = pd.date_range(begin, periods=24 * 270, freq="h", tz="Europe/Berlin")
    hours = hours[hours.hour.isin(opens)]
    times = hours.strftime("%Y-%m-%dT%H:%M:%S%z")

    panel = read_rows(
        folder, times, np.ones(len(hours)), frequency="D", aggregate="sum", timezone="Europe/Berlin", closed=[]
    )

    assert set(panel.values) == {float(len(opens))}
    assert panel.timestamps[-1] >= hours[-1].tz_convert("UTC").tz_localize(None)


@pytest.mark.parametrize("days_since", [-1, 1, 6])
@pytest.mark.parametrize("change", ["2024-03-31", "2024-10-27"])
@pytest.mark.parametrize(
    ("by", "opens"), [("Etc/GMT-2", range(24)), ("UTC", range(9, 18)), ("Europe/Berlin", range(9, 18))]
)
def test_a_last_day_is_over_when_its_rows_are_whatever_the_clocks_did(folder, change, days_since, by, opens):
    end = pd.Timestamp(change, tz=by) + pd.Timedelta(days=days_since + 1)
    hours = pd.date_range(end - pd.Timedelta(days=250), end, freq="h", inclusive="left")
    hours = hours[hours.hour.isin(opens)].tz_convert("UTC").tz_localize(None)

    asked = {"frequency": "D", "aggregate": "sum", "timezone": "Europe/Berlin", "closed": []}
    times = hours.strftime("%Y-%m-%dT%H:%M:%SZ")
    whole = read_rows(folder, times, np.ones(len(hours)), **asked)
    part = read_rows(folder, times[:-4], np.ones(len(hours) - 4), **asked)

    assert whole.timestamps[-1] >= hours[-1]
    assert part.timestamps[-1] < hours[-5]


@pytest.mark.parametrize(
    ("zone", "day"),
    [("America/Sao_Paulo", "2017-10-15"), ("America/Havana", "2017-11-05"), ("Asia/Beirut", "2021-03-28")],
)
def test_a_first_day_whose_midnight_never_came_or_came_twice_is_a_day(folder, zone, day):
    clock = pd.date_range(f"{day}T05:00", periods=24 * 60, freq="h", tz=zone)

    panel = read_rows(
        folder,
        clock.strftime("%Y-%m-%dT%H:%M:%S%z"),
        np.ones(len(clock)),
        frequency="D",
        aggregate="sum",
        timezone=zone,
        closed=[],
    )

    assert set(panel.values[1:]) == {24.0}


@pytest.mark.parametrize("closed", [(6,), (5, 6)])
def test_a_day_that_is_not_over_is_left_out_beside_days_without_rows(folder, closed):
    hours = pd.date_range("2024-01-01", periods=24 * 200, freq="h")
    hours = hours[(hours.hour >= 9) & (hours.hour <= 18) & ~hours.dayofweek.isin(closed)]

    panel = read_rows(folder, hours[:-9], np.ones(len(hours) - 9), frequency="D", aggregate="sum", closed=[])

    assert set(panel.values[~np.isnan(panel.values)]) == {10.0}
    assert panel.timestamps[-1] < hours[-10]


@pytest.mark.parametrize(("frequency", "last"), [("W", "2024-03-29"), ("ME", "2024-03-29"), ("W", "2024-04-05T15")])
def test_a_week_of_business_days_is_over_before_its_end(folder, frequency, last):
    days = pd.bdate_range("2023-01-02", last)
    clock = days if len(last) == 10 else pd.DatetimeIndex([d + pd.Timedelta(hours=h) for d in days for h in (9, 15)])

    whole = read_rows(folder, clock, np.ones(len(clock)), frequency=frequency, aggregate="sum", closed=[])
    part = read_rows(folder, clock[:-3], np.ones(len(clock) - 3), frequency=frequency, aggregate="sum", closed=[])

    assert whole.timestamps[-1] >= clock[-1]
    assert part.timestamps[-1] < clock[-4]


@pytest.mark.parametrize("frequency", ["2W-SUN", "2ME", "3MS", "2B", "2QS-JAN", "YE"])
@pytest.mark.parametrize("begin", ["2020-01-15", "2021-03-20", "2010-05-05"])
def test_new_data_keeps_the_phase_of_steps_of_several_weeks_or_months(folder, frequency, begin):
    grid = pd.date_range("2015-02-01T06:00", periods=60, freq=frequency)
    before = pd.date_range(end=grid[0], periods={"2B": 700, "2W-SUN": 150}.get(frequency, 60), freq=frequency)
    whole = before.append(pd.date_range(grid[0], "2080-01-01", freq=frequency)[1:])
    clock = pd.date_range(begin, periods=40, freq=frequency)

    panel = read_rows(folder, clock, np.arange(40.0), anchor=grid[0], frequency=frequency, closed=[])

    assert np.isin(panel.timestamps, whole).all()
    assert whole[whole.searchsorted(clock[0])] == panel.timestamps[0]


def test_the_day_of_an_office_is_over_when_it_closes(folder):
    days = pd.bdate_range("2024-01-01", periods=30)
    clock = pd.DatetimeIndex([day + pd.Timedelta(hours=hour) for day in days for hour in range(9, 18)])

    whole = read_rows(folder, clock, np.ones(len(clock)), frequency="B", aggregate="sum")
    part = read_rows(folder, clock[:-1], np.ones(len(clock) - 1), frequency="B", aggregate="sum")

    assert whole.values.tolist() == [9.0] * 30
    assert set(whole.timestamps.hour) == {17}
    assert part.values.tolist() == [9.0] * 29


@pytest.mark.parametrize("weekdays", [(0, 2, 4), (1, 3), (0, 3), (0, 1, 3, 5)])
def test_dates_of_some_days_of_the_week_have_a_step_of_a_day(folder, weekdays):
    days = pd.date_range("2023-01-01", periods=400)
    days = days[days.dayofweek.isin(weekdays)]

    assert infer_frequency(days) == infer_frequency(days[np.r_[:30, 33:70, 75 : len(days)]]) == "D"


@pytest.mark.parametrize("moved", [{46: -1}, {46: 1, 98: 1, 150: 1}, {5 * n: -1 for n in range(60)}, {9: -1, 60: 1}])
def test_weeks_of_which_some_move_to_another_day_stay_weeks(folder, moved):
    days = pd.date_range("2015-01-01", periods=300, freq="W-THU").to_series(index=range(300))
    days += pd.to_timedelta(pd.Series(moved).reindex(range(300)).fillna(0), unit="D")

    panel = read_rows(folder, days, np.arange(300.0))

    assert panel.frequency == "7D"
    assert panel.values.tolist() == list(range(300))


def test_a_saturday_among_business_days_leaves_their_step(folder):
    days = pd.bdate_range("2020-01-01", periods=600).union([pd.Timestamp("2020-05-16")])

    panel = read_rows(folder, days, np.arange(601.0), aggregate="sum")

    assert (panel.frequency, len(panel.values), np.isnan(panel.values).sum()) == ("B", 600, 0)
    assert panel.values.sum() == np.arange(601).sum()


@pytest.mark.parametrize(
    ("apart", "step"), [("7050ms", "7050ms"), ("7400ms", "7400ms"), ("67s", "67s"), ("11s", "11s")]
)
def test_a_jittered_step_is_told_in_the_coarsest_unit_by_which_no_row_is_off(apart, step):
    late = pd.to_timedelta(np.random.default_rng(0).uniform(-0.01, 0.01, 500), unit="s")

    assert infer_frequency(pd.date_range("2024-01-01", periods=500, freq=apart) + late) == step


def test_dates_at_uneven_intervals_have_a_step_of_whole_days(folder):
    apart = np.random.default_rng(0).integers(2, 6, size=200)
    days = START + pd.to_timedelta(np.cumsum(apart), unit="D")

    assert pd.Timedelta(read_rows(folder, days, np.arange(200.0)).frequency) % pd.Timedelta("1D") == pd.Timedelta(0)


@pytest.mark.parametrize("step", ["1500ms", "2500ms", "700ms", "20ms", "250ms", "50us"])
def test_a_fast_clock_with_gaps_keeps_its_step(step):
    kept = np.sort(np.random.default_rng(0).choice(400, 380, replace=False))

    assert infer_frequency(pd.date_range("2024-01-01", periods=400, freq=step)[kept]) == step


@pytest.mark.parametrize("hertz", [3, 9, 15, 24, 30, 60, 90])
def test_a_clock_whose_step_no_unit_divides_has_a_row_in_each_step(folder, hertz):
    clock = START + pd.to_timedelta((np.arange(3000) * 1e9 / hertz).round(), unit="ns")

    panel = read_rows(folder, clock, np.arange(3000.0))

    assert abs(len(panel.timestamps) - 3000) <= 1
    assert np.isnan(panel.values).sum() <= 1


@pytest.mark.parametrize("step", ["D", "h", "7D", "15min", "12h"])
def test_a_clock_of_which_half_is_missing_at_random_keeps_its_step(step):
    kept = np.sort(np.random.default_rng(0).choice(400, 200, replace=False))

    assert infer_frequency(pd.date_range("2024-01-01", periods=400, freq=step)[kept]) == step


@pytest.mark.parametrize("step", ["SMS-15", "SME-15"])
def test_halves_of_months_have_a_step_of_their_own(folder, step):
    clock = pd.date_range("2020-01-01", periods=60, freq=step)

    panel = read_rows(folder, clock, np.arange(60.0))

    assert panel.frequency == step
    assert panel.values.tolist() == list(range(60))
    assert (panel.timestamps == clock).all()


def test_a_step_that_is_none_of_the_usual_ones_is_warned_of(folder, caplog):
    clock = pd.DatetimeIndex(
        [
            month + pd.Timedelta(days=day)
            for month in pd.date_range("2020-01-01", periods=30, freq="MS")
            for day in (0, 9, 20)
        ]
    )

    read_rows(folder, clock, np.arange(90.0))

    assert "no usual step fits the timestamps" in caplog.text


@pytest.mark.parametrize("wrong", [{0: "1995-01-01"}, {299: "2031-01-01"}])
def test_a_timestamp_far_from_all_others_is_named(folder, caplog, wrong):
    days = pd.date_range("2020-01-01", periods=300).strftime("%Y-%m-%d").to_series(index=range(300))

    read_rows(folder, days, np.arange(300.0))
    assert not caplog.records
    read_rows(folder, days.replace(days.loc[list(wrong)].tolist(), list(wrong.values())), np.arange(300.0))

    assert f"{next(iter(wrong.values()))} 00:00:00" in caplog.text
    assert "if one of them is wrong, mend it" in caplog.text


def test_sums_of_few_rows_and_months_that_end_on_the_first_are_warned_of(folder, caplog):
    clock = pd.date_range("2024-01-01T15:00", "2024-03-01T23:00", freq="h")
    clock = clock[(clock < "2024-01-20T06:00") | (clock > "2024-01-21T20:00")]
    asked = {"aggregate": "sum", "closed": []}

    read_rows(folder, clock, np.ones(len(clock)), frequency="D", **asked)
    assert "3 sums are of fewer rows than three quarters of the usual 24, first that of 2024-01-01 23:00" in caplog.text
    caplog.clear()
    read_rows(folder, pd.date_range("2024-01-02", "2025-12-31"), np.ones(730), frequency="ME", **asked)
    assert not caplog.records
    read_rows(folder, pd.date_range("2024-01-02", "2025-12-31"), np.ones(730), frequency="MS", **asked)
    assert "steps of MS end on a first day" in caplog.text


def test_what_begins_in_a_step_that_is_not_over_waits_for_it(folder):
    clock = pd.date_range("2024-01-01", "2024-03-01T10:00", freq="h")
    rows = pd.DataFrame({"time": clock, "load": 1.0, "open": np.arange(len(clock)) % 2, "shop": "a"})
    ahead = pd.DataFrame({"time": pd.date_range(clock[-1], periods=48, freq="h")[1:], "open": 1.0, "shop": "a"})
    young = rows[rows["time"] >= "2024-03-01"].assign(shop="b")
    pd.concat([rows, ahead, young]).to_csv(folder / "shops.csv", index=False)
    data = {"timestamp": "time", "target": "load", "series_id": "shop", "frequency": "D", "aggregate": "sum"}
    params = DataParams(path="shops.csv", **data)

    panel = read_panel(folder / "shops.csv", params, CovariateParams(future=("open",)), horizon=2)

    assert panel.ids == ("a",)
    assert panel.values.tolist() == [24.0] * 60
    assert panel.timestamps[-1] == pd.Timestamp("2024-02-29T23:00")
    assert panel.future["open"].values[-3:].tolist() == [0.5, (5 + 13) / 24, 1.0]


@pytest.mark.parametrize(("frequency", "inferred"), [("B", "B"), ("W-SUN", "7D"), ("MS", "MS"), ("QS-OCT", "QS-JAN")])
@pytest.mark.parametrize("spread", [60, 3600, 86_000])
def test_a_jittered_calendar_has_one_row_in_each_step(folder, frequency, inferred, spread):
    rng = np.random.default_rng(3)
    days = pd.date_range("2010-01-01", periods=300, freq=frequency)
    seconds = rng.integers(0, spread, 300)
    seconds[[5, 7]] = 0, spread  # the head has seen how late and how early rows are
    clock = days + pd.to_timedelta(seconds, unit="s")
    values = np.arange(300.0)

    given = read_rows(folder, clock, values, frequency=frequency)
    found = read_rows(folder, clock, values)

    assert given.values.tolist() == values.tolist()
    assert (given.timestamps.normalize() == days).all()
    assert found.frequency == inferred or spread > 3600
    assert found.values.tolist() == values.tolist() or spread > 3600


def test_new_data_keeps_the_time_of_day_of_a_calendar_grid(folder):
    text = "time,load\n2024-01-06T10:00,1\n2024-01-13T10:00,2\n2024-01-20T10:00,3\n"
    anchor = pd.Timestamp("2023-12-02")

    (folder / "late.csv").write_text(text, encoding="utf-8")
    params = DataParams(path="late.csv", timestamp="time", target="load", frequency="W-SAT")
    panel = read_panel(folder / "late.csv", params, anchor=anchor)

    assert panel.timestamps.astype(str).tolist() == ["2024-01-13", "2024-01-20", "2024-01-27"]
    assert panel.values.tolist() == [1, 2, 3]


def test_whether_rows_are_dates_is_told_by_the_older_half_of_them(folder):
    months = [str(day) for day in pd.date_range("2000-01-01", periods=160, freq="MS").date]
    values = np.arange(160.0)

    before = read_rows(folder, months, values, timezone="Europe/Berlin")
    after = read_rows(folder, [*months[:-1], "2013-04-01 09:00"], values, timezone="Europe/Berlin")

    assert (after.frequency, after.timezone) == (before.frequency, before.timezone) == ("MS", "UTC")
    assert (after.timestamps[:159] == before.timestamps[:159]).all()
    np.testing.assert_array_equal(after.values[:159], before.values[:159])


@pytest.mark.parametrize("frequency", ["D", "MS", "W"])
def test_hours_of_rows_in_the_newer_half_move_no_label(folder, frequency):
    days = pd.date_range(START, periods=366, freq="D")
    clock = days.repeat(3) + pd.to_timedelta(np.tile([9, 12, 16], len(days)), unit="h")
    later = np.arange(len(clock)) > 0.75 * len(clock)
    values = np.arange(float(len(clock)))

    one, other = (
        read_rows(folder, times, values, frequency=frequency).timestamps
        for times in (clock, clock.where(~later, clock + pd.Timedelta("5h")))
    )

    half = len(one) // 2
    assert half > 2
    pd.testing.assert_index_equal(one[:half], other[:half])


def test_rows_after_a_fold_change_nothing_of_how_it_is_read(folder):
    days = pd.date_range(START, periods=60, freq="D")
    table = pd.DataFrame({"time": days.date.astype(str), "load": np.arange(60.0), "price": np.arange(60.0) % 7})
    columns = {"timestamp": "time", "target": "load"}
    params = DataParams(path="days.csv", timezone="Europe/Berlin", on_bad_series="drop", **columns)
    fold = Stretch(None, days[20], days[24])

    def read_fold():
        table.to_csv(folder / "days.csv", index=False)
        return read_panel(folder / "days.csv", params, CovariateParams(past="price"), stretch=fold)

    before = read_fold()
    table = table.astype({"price": object})
    table.loc[26:, "price"] = "high"
    table.loc[59, "time"] += " 05:00"
    after = read_fold()

    assert (
        (after.timezone, list(after.timestamps)) == (before.timezone, list(before.timestamps)) == ("UTC", [*days[:25]])
    )
    assert after.past["price"].categories == before.past["price"].categories == ()
    np.testing.assert_array_equal(after.past["price"].values, before.past["price"].values)


def test_a_covariate_that_begins_in_the_newer_half_is_what_its_cells_are(folder):
    days = pd.date_range(START, periods=60, freq="D")
    begun = np.arange(60) >= 40
    table = pd.DataFrame({"time": days, "load": np.arange(60.0)})
    table["price"], table["kind"] = np.where(begun, 1.5, np.nan), np.where(begun, "promo", None)
    table.to_csv(folder / "later.csv", index=False)
    params = DataParams(path="later.csv", timestamp="time", target="load")

    past = read_panel(folder / "later.csv", params, CovariateParams(past=["price", "kind"])).past

    assert not past["price"].categories
    assert past["kind"].categories == ("promo",)
