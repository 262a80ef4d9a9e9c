"""A file gives the columns that are asked for, whatever it is called and whatever else it holds, or one clear error."""

import datetime
import gzip
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spline_lstm.data.columns import read_columns
from spline_lstm.data.series import read_panel
from spline_lstm.run.errors import DataError
from spline_lstm.run.params import DataParams

CLOCK = pd.date_range("2024-01-01", periods=4, freq="h")
CSV = "time,load\n" + "".join(f"{time},{load}\n" for time, load in zip(CLOCK, (1, 2, 4, 8), strict=True))


def read_text(tmp_path, text, texts=("time",), numbers=("load",), name="table.csv"):
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read_columns(tmp_path / name, list(texts), list(numbers))


def parquet(tmp_path, columns):
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def read_panel_of(path, **overrides):
    params = {"path": str(path), "timestamp": "time", "target": "load", **overrides}
    return read_panel(path, DataParams(**params))


def test_columns_stand_in_the_order_asked_for_and_texts_stay_texts(tmp_path):
    found = read_text(tmp_path, "load,id,time\n1,007,2024-01-01\n", texts=["time", "id"])

    assert found.to_dict("list") == {"time": ["2024-01-01"], "id": ["007"], "load": [1]}


@pytest.mark.parametrize("name", ["NA", "nan", "null", "None", "", "7"])
def test_a_wrong_name_is_told_the_columns_even_where_one_is_called_as_if_it_were_missing(tmp_path, name):
    shown = name or "Unnamed: 2"
    with pytest.raises(DataError, match=f"column 'lode'. Received: columns time, load, {shown}. Did you mean 'load'"):
        read_text(tmp_path, CSV.replace("load\n", f"load,{name}\n"), numbers=["lode"])


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_than_the_comma_is_told_to_the_user(tmp_path, separator):
    with pytest.raises(DataError, match=r"must have a column 'time'\..*Separate cells by commas"):
        read_text(tmp_path, CSV.replace(",", separator))


@pytest.mark.parametrize("name", ["NA", "nan", "None", " load", "load.1", "7"])
def test_a_column_is_found_by_the_name_in_the_header(tmp_path, name):
    assert read_text(tmp_path, CSV.replace("load", name), numbers=[name])[name].tolist() == [1, 2, 4, 8]


def test_the_index_that_pandas_writes_is_no_obstacle_and_can_be_the_timestamps(tmp_path):
    table = pd.DataFrame({"load": [1.0, 2.0, 4.0, 8.0]}, index=CLOCK)
    table.reset_index(names="time").to_csv(tmp_path / "counted.csv")
    table.to_csv(tmp_path / "unnamed.csv")

    for name, timestamp in (("counted", "time"), ("unnamed", "Unnamed: 0")):
        panel = read_panel_of(tmp_path / f"{name}.csv", timestamp=timestamp)
        assert (panel.timestamps == CLOCK).all()
        assert panel.values.tolist() == [1, 2, 4, 8]


@pytest.mark.parametrize("text", [",,\n,,\n", ",\n1,2\n"])
def test_a_header_without_names_is_shown_as_pandas_calls_it(tmp_path, text):
    with pytest.raises(DataError, match="Received: columns Unnamed: 0, Unnamed: 1"):
        read_text(tmp_path, text)


COMMAS = "," * 500_000
WIDE = {
    "header": f"time,load{COMMAS}\n2024-01-01,1\n",
    "row": f"time,load\n2024-01-01,1{COMMAS}\n",
    "later row": f"time,load\n2024-01-01,1\n2024-01-02,1{COMMAS}\n",
    "blank lines": f"\n\n  \ntime,load{COMMAS}\n2024-01-01,1\n",
    "lines that end as on old machines": f"time,load{COMMAS}\r2024-01-01,1\r",
    "a name of two lines": f'"time\n",load{COMMAS}\n2024-01-01,1\n',
    "a cell without an end": 'time,load\n"' + "x" * 200_000,
}


@pytest.mark.parametrize("name", WIDE)
def test_a_table_of_too_many_columns_is_refused_before_it_is_parsed(tmp_path, name):
    with pytest.raises(DataError, match=r"at most 20,000 columns\..* cells\.|must be a readable table"):
        read_text(tmp_path, WIDE[name])


@pytest.mark.parametrize("suffix", [".gz", ".zip", ".xz", ".zst", ".tar", ".bz2", ".txt", ""])
def test_a_name_does_not_say_how_a_file_is_packed(tmp_path, suffix):
    assert read_text(tmp_path, CSV, name=f"table{suffix}")["load"].tolist() == [1, 2, 4, 8]
    with pytest.raises(DataError, match="must be UTF-8 text or Parquet"):
        read_text(tmp_path, gzip.compress(CSV.encode(), mtime=0), name=f"packed{suffix}")


PLAIN = {
    "decimal": [Decimal("1.0"), Decimal("2.0"), Decimal("4.0"), None],
    "small": pa.array([1, 2, 4, None], pa.int8()),
    "half": np.array([1, 2, 4, np.nan], np.float16),
    "text": ["1", "2", "4", None],
    "bytes": [b"1", b"2", b"4", None],
    "large": pa.array([b"1", b"2", b"4", None], pa.large_binary()),
    "categories": pa.array([1.0, 2.0, 4.0, None]).dictionary_encode(),
    "categories of bytes": pa.array([b"1", b"2", b"4", None]).dictionary_encode(),
}


@pytest.mark.parametrize("name", PLAIN)
def test_numbers_of_parquet_may_have_many_types(tmp_path, name):
    values = read_panel_of(parquet(tmp_path, {"time": CLOCK, "load": PLAIN[name]}), frequency="h").values

    np.testing.assert_array_equal(values, [1, 2, 4, np.nan])


MIDNIGHT = datetime.time()
UNUSABLE = {
    "list": [[1.0], [], [2.0], [3.0]],
    "pairs": pa.array([[1.0, 2.0]] * 4, pa.list_(pa.float64(), 2)),
    "map": pa.array([[("a", 1)]] * 4, pa.map_(pa.string(), pa.int64())),
    "struct": [{"a": 1}] * 4,
    "duration": pa.array(range(4), pa.duration("s")),
    "blob": pa.array([b"\xff\xfe"] * 4, pa.binary(2)),
    "no text": [b"\xff"] * 4,
    "categories of no text": pa.array([b"\xff"] * 4).dictionary_encode(),
    "time of day": [MIDNIGHT] * 4,
    "far days": pa.array([2**30] * 4, pa.int32()).cast(pa.date32()),
    "unknown zone": pa.array(range(4)).cast(pa.timestamp("ns", tz="Mars/Olympus")),
    "hostile zone": pa.array(range(4)).cast(pa.timestamp("ns", tz="../../etc/passwd")),
}


@pytest.mark.parametrize(
    ("name", "role"),
    [(name, role) for name in UNUSABLE for role in ("time", "load", "id") if (name, role) != ("time of day", "id")],
)
def test_types_of_parquet_that_hold_no_number_text_or_time_are_refused(tmp_path, name, role):
    columns = {"time": CLOCK, "load": [1.0, 2.0, 4.0, 8.0], "id": ["a"] * 4, role: UNUSABLE[name]}

    with pytest.raises(DataError, match=r"Received: "):
        read_panel_of(parquet(tmp_path, columns), series_id="id")


@pytest.mark.parametrize("name", UNUSABLE)
def test_columns_that_nobody_asked_for_may_be_anything(tmp_path, name):
    path = parquet(tmp_path, {"time": CLOCK, "load": [1, 2, 4, 8], "other": UNUSABLE[name]})
    assert read_panel_of(path).values.tolist() == [1, 2, 4, 8]

    repeated = {"time": CLOCK.repeat(2)[:4], "load": [1, 2, 4, 8], "other": UNUSABLE[name]}
    with pytest.raises(DataError, match="Timestamps must be distinct"):
        read_panel_of(parquet(tmp_path, repeated))


def test_a_name_that_stands_twice_is_no_obstacle_to_others(tmp_path):
    table = pa.table(
        [CLOCK.repeat(2)[:4], pa.array([1, 2, 4, 8]), pa.array("abab"), pa.array("abab")], ["time", "load", "x", "x"]
    )
    pq.write_table(table, tmp_path / "twice.parquet")

    with pytest.raises(DataError, match="Timestamps must be distinct"):
        read_panel_of(tmp_path / "twice.parquet")


def test_a_folder_named_like_a_column_is_none(tmp_path):
    (tmp_path / "load=3").mkdir()
    pq.write_table(pa.table({"time": CLOCK, "load": [1, 2, 4, 8]}), tmp_path / "load=3" / "table.parquet")

    assert read_panel_of(tmp_path / "load=3" / "table.parquet").values.tolist() == [1, 2, 4, 8]


@pytest.mark.parametrize("role", ["time", "load", "id"])
def test_a_long_text_that_stands_in_every_row_of_parquet_is_not_unpacked(tmp_path, role):
    rows = 100_000
    text = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), ["x" * 1_000_000])
    columns = {"time": CLOCK[:1].repeat(rows), "load": np.zeros(rows), "id": np.zeros(rows, int), role: text}
    path = parquet(tmp_path, columns)
    assert path.stat().st_size < 2_000_000

    with pytest.raises(DataError, match=f"'{role}' of .* 100,000 rows of up to 1,000,000 bytes"):
        read_panel_of(path, series_id="id")


def test_more_rows_than_a_table_may_have_are_refused_unread(tmp_path):
    schema, part = pa.schema([("time", pa.int64()), ("load", pa.float64())]), 10_000_000
    with pq.ParquetWriter(tmp_path / "runs.parquet", schema) as writer:
        for _ in range(11):
            writer.write_table(pa.table([np.zeros(part, np.int64), np.zeros(part)], schema))
    assert (tmp_path / "runs.parquet").stat().st_size < 1_000_000

    with pytest.raises(DataError, match=r"at most 100,000,000 rows\. Received: 110,000,000"):
        read_panel_of(tmp_path / "runs.parquet")


@pytest.mark.parametrize("columns", [{}, {"other": [1]}, {"time": CLOCK[:0], "load": CLOCK[:0]}])
def test_parquet_without_columns_or_rows_is_refused(tmp_path, columns):
    with pytest.raises(DataError, match=r"must have (a column 'time'|rows below its header)"):
        read_panel_of(parquet(tmp_path, columns))
