"""A long table holds several series: told apart by their ids, each on its own stretch of one calendar."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data import tables
from spline_lstm.data.series import read_panel
from spline_lstm.data.tables import Stretch
from spline_lstm.run.errors import DataError
from spline_lstm.run.params import DataParams

START = pd.Timestamp("2024-01-01")
IDS = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def read(path, anchor=None, **overrides):
    params = {"path": str(path), "timestamp": "time", "target": "load", "series_id": "id", **overrides}
    return read_panel(path, DataParams(**params), anchor=anchor)


def read_table(folder, table, anchor=None, **overrides):
    path = folder / "table.csv"
    table.to_csv(path, index=False)
    return read(path, anchor, **overrides)


def read_text(folder, text, **overrides):
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return read(path, **overrides)


def rows_of(panel):
    return dict(zip(panel.names, panel.layout.split(panel.values), strict=True))


def hourly(name, hours, values):
    """Rows of one series at some hours after the start."""
    return pd.DataFrame({"id": name, "time": START + pd.to_timedelta(hours, unit="h"), "load": values})


@st.composite
def long_tables(draw):
    """Two to four series with their own begin and end, gaps, empty cells and crowds."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parts = []
    for name in IDS[: draw(st.integers(2, 4))]:
        first, length = draw(st.integers(0, 60)), draw(st.integers(4, 80))
        minutes = np.unique(rng.integers(60 * first, 60 * (first + length), 2 * length))
        values = rng.normal(size=(2, len(minutes))).round(3)
        values[rng.random(values.shape) < 0.2] = np.nan
        clock = START + pd.to_timedelta(minutes, unit="min")
        parts.append(pd.DataFrame({"id": name, "time": clock, "load": values[0], "oil": values[1]}))
    return pd.concat(parts, ignore_index=True)


@given(table=long_tables(), seed=st.integers(0, 999))
@settings(max_examples=30)
def test_the_order_of_rows_does_not_matter(folder, table, seed):
    shuffled = table.sample(frac=1, random_state=seed)

    ours, other = (read_table(folder, rows, target=["load", "oil"]) for rows in (table, shuffled))

    assert other.values.tobytes() == ours.values.tobytes()
    assert (other.timestamps == ours.timestamps).all()
    for part in ("starts", "lengths"):
        assert getattr(other.layout, part).tolist() == getattr(ours.layout, part).tolist()
    assert (other.names, other.frequency) == (ours.names, ours.frequency)
    assert {**other.findings, "sorted": True} == ours.findings


@given(table=long_tables(), rule=st.sampled_from(["mean", "last", "sum"]))
@settings(max_examples=30)
def test_a_series_among_others_is_what_it_is_alone(folder, table, rule):
    grid = {"frequency": "h", "aggregate": rule, "anchor": START}
    # The last step of a series alone must be over, as it is among others.
    ends = table.groupby("id", as_index=False).agg({"time": "max", "load": "first", "oil": "first"})
    ends["time"] = ends["time"].dt.ceil("h")
    table = pd.concat([table, ends]).drop_duplicates(["id", "time"])

    panel = read_table(folder, table, **grid)

    assert panel.names == tuple(sorted(table["id"].unique()))
    for row, (name, values) in enumerate(rows_of(panel).items()):
        alone = read_table(folder, table[table["id"] == name], **grid)
        start, end = panel.layout.starts[row], panel.layout.ends[row]
        assert (panel.timestamps[start:end] == alone.timestamps).all()
        assert values.tobytes() == alone.values.tobytes()
        assert panel.findings["channels"][name] == alone.findings["channels"][name]


def test_every_target_of_every_series_is_a_row(folder):
    table = pd.concat([hourly("b", [0, 1, 2], [1, 2, 3]), hourly("a", [1, 2, 3], [4, 5, 6])]).assign(oil=range(6))

    panel = read_table(folder, table, target=["oil", "load"])

    found = {name: row.tolist() for name, row in rows_of(panel).items()}
    assert found == {"a/oil": [3, 4, 5], "a/load": [4, 5, 6], "b/oil": [0, 1, 2], "b/load": [1, 2, 3]}
    assert panel.layout.starts.tolist() == [1, 1, 0, 0]
    assert (panel.findings["series"], panel.findings["rows"]) == (2, 6)


@pytest.mark.parametrize("name", ["007", "1e3", "1.0", "True", "2024-01-01", "Züge 7", "NA", "None", "null", "nan"])
def test_an_id_is_text_and_stays_as_it_is_written(folder, name):
    text = "id,time,load\n" + "".join(f"{name},2024-01-0{day},{day}\n" for day in (1, 2, 3))

    assert read_text(folder, text + "7,2024-01-01,1\n7,2024-01-04,2\n").names == tuple(sorted((name, "7")))


def test_two_id_columns_are_joined(folder):
    rows = [f"{shop},{item},2024-01-0{day},{day}\n" for shop in ("x", "y") for item in ("01", "1") for day in (1, 2, 3)]

    panel = read_text(folder, "shop,item,time,load\n" + "".join(rows), series_id=["shop", "item"])

    assert panel.names == ("x/01", "x/1", "y/01", "y/1")


def test_id_columns_that_would_be_one_id_are_refused(folder):
    rows = [f"{shop},{item},2024-01-0{day},{day}\n" for shop, item in (("x/1", "a"), ("x", "1/a")) for day in (1, 2, 3)]

    with pytest.raises(DataError, match=r"when joined by '/'\. Received: \('x/1', 'a'\) and \('x', '1/a'\)"):
        read_text(folder, "shop,item,time,load\n" + "".join(rows), series_id=["shop", "item"])
    alone = "".join(rows[:3])
    assert read_text(folder, "shop,item,time,load\n" + alone, series_id=["shop", "item"]).names == ("x/1/a",)


@pytest.mark.parametrize("as_written", [str, int, "category"])
def test_parquet_ids_are_the_text_of_their_cells(folder, as_written):
    table = pd.concat([hourly(name, [0, 1, 2], [1.0, 2.0, 3.0]) for name in ("10", "9")])
    table["id"] = table["id"].astype(as_written)
    table.to_parquet(folder / "ids.parquet")

    assert read(folder / "ids.parquet").names == ("10", "9")


def test_an_empty_id_is_named_by_column_and_row(folder):
    table = pd.concat([hourly("a", [0, 1, 2], [1, 2, 3]), hourly(None, [3], [4])])

    with pytest.raises(DataError, match=r"'id' must hold the id of a series in every row\..* an empty cell in row 4"):
        read_table(folder, table)


def test_an_id_that_readers_of_csv_would_break_is_refused(folder):
    hourly("a\rb", [0, 1, 2], [1.0, 2.0, 3.0]).to_parquet(folder / "ids.parquet")

    with pytest.raises(DataError, match=r"'id' must hold ids without carriage returns\. Received: 'a\\rb' in row 1"):
        read(folder / "ids.parquet")


def test_ids_that_differ_by_blanks_alone_are_refused(folder):
    table = pd.concat([hourly("a ", [0, 1, 2], [1, 2, 3]), hourly("a", [3, 4, 5], [4, 5, 6]), hourly(" b", [0], [4])])

    with pytest.raises(DataError, match=r"'id' must hold ids that differ by more than blanks. Received: 'a' and 'a '"):
        read_table(folder, table)


@pytest.mark.parametrize("cells", [["None", "promo"], ["None", "None"], ["NA", "null"]])
def test_words_for_nothing_are_categories_among_words_and_missing_among_numbers(folder, cells):
    rows = "".join(f"2024-01-0{day},{day},{cells[day % 2]},{day if day % 2 else 'NA'}\n" for day in range(1, 8))
    (folder / "words.csv").write_text("time,load,kind,price\n" + rows)
    params = DataParams(path=str(folder / "words.csv"), timestamp="time", target="load")

    columns = tables.read_table(folder / "words.csv", params, ["kind", "price"]).covariates

    kind = columns["kind"]
    assert [kind.categories[int(code)] for code in kind.values] == [cells[day % 2] for day in range(1, 8)]
    np.testing.assert_array_equal(columns["price"].values, [1, np.nan, 3, np.nan, 5, np.nan, 7])


def test_a_covariate_too_large_to_square_is_named_by_column_and_row(folder):
    (folder / "large.csv").write_text("time,load,heat\n2024-01-01,1,1\n2024-01-02,2,-2e150\n2024-01-03,3,2\n")
    params = DataParams(path=str(folder / "large.csv"), timestamp="time", target="load")

    with pytest.raises(DataError, match=r"'heat' must hold finite numbers up to 1e150.*'-2e\+150' in row 2"):
        tables.read_table(folder / "large.csv", params, ["heat"])


def test_an_id_column_that_is_not_there_is_named(folder):
    with pytest.raises(DataError, match=r"column 'shop'\. Received: columns id, time, load"):
        read_table(folder, hourly("a", [0, 1, 2], [1, 2, 3]), series_id="shop")


def test_series_may_share_timestamps_but_one_must_not_repeat_its_own(folder):
    table = pd.concat([hourly(name, [0, 1, 2, 3], [1, 2, 3, 4]) for name in ("a", "b")])
    assert read_table(folder, table).findings["duplicates"] == 0

    again = pd.concat([table, hourly("b", [2], [7])])

    with pytest.raises(DataError, match=r"of series 'b' must be distinct.*2024-01-01 02:00:00 again in row 9 after"):
        read_table(folder, again)
    panel = read_table(folder, again, duplicates="mean")
    assert panel.findings["duplicates"] == 1
    assert [row.tolist() for row in rows_of(panel).values()] == [[1, 2, 3, 4], [1, 2, 5, 4]]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_long_table_without_series_id_is_told_which_column_it_may_be(folder, suffix):
    table = pd.concat([hourly(name, range(9), np.arange(9.0)) for name in ("7", "8", "9")])
    table = table.assign(wind=np.random.default_rng(0).normal(size=len(table)), plan=range(len(table)))
    path = folder / f"long.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)

    with pytest.raises(DataError, match=r"again in row 10 .*Column 'id' looks like the id.*data\.series_id"):
        read(path, series_id=None)
    # Two columns may be it together, or one with another that is named already.
    ids = pd.DataFrame({"id": ["7", "8", "9"], "item": ["a", "b", "a"], "shop": ["x", "x", "y"]})
    pairs, pair = folder / f"pairs.{suffix}", table.merge(ids).drop(columns="id")
    pair.to_csv(pairs, index=False) if suffix == "csv" else pair.to_parquet(pairs)
    both = r"Columns item, shop look like the ids.*data\.series_id to \[item, shop\]"
    for known in (None, "item"):
        with pytest.raises(DataError, match=both):
            read(pairs, series_id=known)
    # No other column looks like one.
    table.drop(columns="id").to_csv(folder / "none.csv", index=False)
    with pytest.raises(DataError, match=r"again in row 10 .*data\.duplicates"):
        read(folder / "none.csv", series_id=None)


def test_a_time_of_day_in_a_column_of_its_own_is_no_id(folder):
    table = hourly("a", range(60), np.arange(60.0)).drop(columns="id")
    clock = pd.to_datetime(table["time"])
    table = table.assign(time=clock.dt.strftime("%Y-%m-%d"), at=clock.dt.strftime("%H:%M"))
    table.to_csv(folder / "apart.csv", index=False)

    with pytest.raises(DataError, match=r"Column 'at' looks like the time of day: write it into column 'time', too\.$"):
        read(folder / "apart.csv", series_id=None)


def test_an_hour_that_clocks_repeat_is_told_from_others(folder):
    clock = pd.date_range("2024-08-01", periods=24 * 120, freq="h", tz="Europe/Berlin").tz_localize(None)
    pd.DataFrame({"time": clock, "load": range(len(clock))}).to_csv(folder / "local.csv", index=False)

    with pytest.raises(DataError, match=r"2024-10-27 02:00:00 again.* clocks repeat in autumn.*their UTC offset\.$"):
        read(folder / "local.csv", series_id=None)


@pytest.mark.parametrize("unit", [1, 86400])
def test_counted_times_are_no_timestamps(folder, unit):
    text = "time,load\n" + "".join(f"{(1_704_067_200 + 86400 * day) // unit},{day}\n" for day in range(9))

    with pytest.raises(DataError, match=r"Received: '\d+' in row 1 after the header\. Convert the numbers, as pandas"):
        read_text(folder, text, series_id=None)


@pytest.mark.parametrize("rule", ["mean", "sum"])
def test_a_last_step_of_a_series_that_ends_early_in_it_is_named(folder, caplog, rule):
    hours = range(24 * 30)
    ends = {"whole": 24 * 28, "open": 24 * 28 - 13, "newest": len(hours)}
    table = pd.concat([hourly(name, hours[:end], np.ones(end)) for name, end in ends.items()])

    panel = read_table(folder, table, frequency="D", aggregate=rule)

    (warning,) = [each.message for each in caplog.records if "may lack rows" in each.message]
    assert warning.startswith("the last step of open may")
    assert len(rows_of(panel)["open"]) == 28


def test_the_step_is_that_of_most_series(folder):
    table = pd.concat(
        [
            hourly("a", [0, 24], [1, 2]),  # too short to say
            hourly("b", range(0, 240, 24), np.arange(10.0)),
            hourly("c", range(5, 90), np.arange(85.0)),
            hourly("d", np.delete(np.arange(60), [7, 8, 30]), np.arange(57.0)),
        ]
    )

    assert read_table(folder, table).frequency == "h"


def test_a_cell_that_is_no_number_is_an_error_or_marks_its_series(folder):
    table = pd.concat([hourly(name, [0, 1, 2], [1, 2, 3]) for name in ("a", "b")]).astype({"load": object})
    table.iloc[4, 2] = "many"
    table.iloc[5, 2] = "inf"

    with pytest.raises(
        DataError, match=r"'load' of series 'b' must hold finite numbers up to 1e150 or .*'many' in row 5 after"
    ):
        read_table(folder, table)
    panel = read_table(folder, table, on_bad_series="drop")

    assert panel.broken == {"b": "'many' in row 5 after the header of column 'load'"}
    assert rows_of(panel)["a"].tolist() == [1, 2, 3]


def test_a_cell_that_is_no_number_counts_in_the_stretch_that_it_lies_in(folder):
    table = pd.concat([hourly(name, range(30), range(30)) for name in ("a", "b")]).astype({"load": object})
    table.iloc[29, table.columns.get_loc("load")] = "much"  # of a, at its end
    table.to_csv(folder / "much.csv", index=False)
    columns = {"timestamp": "time", "target": "load", "series_id": "id", "on_bad_series": "drop"}
    params, ends = DataParams(path="much.csv", **columns), pd.date_range(START, periods=30, freq="h")[[20, 29]]

    known = [(ends[0], ends[0]), (ends[0], ends[1]), (ends[1], ends[1])]
    broken = [read_panel(folder / "much.csv", params, stretch=Stretch(None, *each)).broken for each in known]

    assert [list(each) for each in broken] == [[], [], ["a"]]
