"""Columns of a CSV or Parquet file as they stand there, or one clear error."""

from __future__ import annotations

import csv
import difflib
import itertools
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from spline_lstm.run.errors import DataError
from spline_lstm.run.files import CORRUPT, require_input

LONGEST_LINE = 1 << 20
MOST_COLUMNS = 20_000  # of a CSV, all of which are parsed
MOST_ROWS = 100_000_000  # of a Parquet file, in which a run of equal cells takes no room
LONGEST_TEXT = 1000  # bytes of a cell of a Parquet file
MOST_TEXT = 1 << 33  # bytes of a column of texts, once each row has its own
EXACT = "round_trip"  # else a parsed number may be off by one bit
# Cells of a CSV that stand for no number; in a column of texts such a word is a text like any other.
WORDS = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None")
SEPARATORS = ";\t|"  # of files that are called CSV, beside the comma
# Types of Arrow whose cells may tell series apart, and all whose cells hold one value.
ID = r"u?int\d+|bool|decimal.*|(?:large_)?string(?:_view)?"
PLAIN = rf"{ID}|(?:large_)?binary(?:_view)?|halffloat|float|double|date.*|time.*|null"


def read_columns(path: Path, texts: Sequence[str], numbers: Sequence[str], and_ids: bool = False) -> pd.DataFrame:
    """Read columns by their names.

    Args:
        path: CSV or Parquet.
        texts: Columns whose cells stay text in a CSV; only an empty one is missing.
        numbers: Other columns, where words such as NA are missing cells, too.
        and_ids: Whether to read all others, too, that may hold ids.

    Raises:
        InputNotFoundError: There is no such file.
        DataError: It is no table with such columns, or has no row.
    """
    columns = list(dict.fromkeys([*texts, *numbers]))
    require_input(path)
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            table = _read_parquet(path, columns, and_ids)
        else:
            table = _read_csv(path, columns, texts, and_ids)
    except UnicodeDecodeError as error:
        raise DataError(f"`{path}` must be UTF-8 text or Parquet. Received: {error.reason}. Convert it.") from error
    except (*CORRUPT, csv.Error, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"`{path}` must be a readable table. Received: {reason}. Mend the file.") from error
    if table.empty:
        raise DataError(f"`{path}` must have rows below its header. Received: none. Give it data.")
    return table


def _read_parquet(path: Path, columns: list[str], and_ids: bool) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(path)  # read as a data set, a folder named `load=3` would be a column, too
    schema = file.schema_arrow
    rows = file.metadata.num_rows
    if rows > MOST_ROWS:
        raise DataError(f"`{path}` must have at most {MOST_ROWS:,} rows. Received: {rows:,}. Write a part of them.")
    _require_columns(path, columns, schema.names)
    kinds = {field.name: _kind(field.type) for field in schema}
    for name in columns:
        if not re.fullmatch(PLAIN, kinds[name]):
            raise DataError(
                f"Column {name!r} must hold one number, text or time a cell. Received: {kinds[name]:.80}. Convert it."
            )
    if and_ids:
        others = {name for name, kind in kinds.items() if re.fullmatch(ID, kind) and schema.names.count(name) == 1}
        columns = [*columns, *sorted(others.difference(columns))]
    # Each text comes once, however often it stands there.
    table = pyarrow.parquet.ParquetFile(path, read_dictionary=columns).read(columns=columns).select(columns)
    for index, name in enumerate(columns):
        if re.search("string|binary", kinds[name]):
            _require_short_texts(path, name, table[index])
            table = table.set_column(index, name, table[index].cast(pa.binary()).cast(pa.string()))
    try:
        return table.to_pandas(ignore_metadata=True)
    except KeyError as error:
        received = f"{error.args[0]!r:.80}"
        raise DataError(f"`{path}` must name known time zones. Received: {received}. Write times in UTC.") from error


def _require_short_texts(path: Path, name: str, column: Any) -> None:
    """Refuse a column of texts that would fill the memory: a few bytes can stand for a long text in every row."""
    import pyarrow.compute as pc

    texts = [chunk.dictionary if hasattr(chunk, "dictionary") else chunk for chunk in column.chunks]
    longest = max((pc.max(pc.binary_length(each)).as_py() or 0 for each in texts), default=0)
    if longest > LONGEST_TEXT or longest * len(column) > MOST_TEXT:
        raise DataError(
            f"Column {name!r} of `{path}` must hold texts of at most {LONGEST_TEXT} bytes, and {MOST_TEXT:,} in all. "
            f"Received: {len(column):,} rows of up to {longest:,} bytes. Shorten them.",
            "name another column in params.yaml",
        )


def _kind(kind: Any) -> str:
    """The name of an Arrow type, or of what a dictionary of it holds."""
    return str(kind.value_type if str(kind).startswith("dictionary") else kind)


def _read_csv(path: Path, columns: list[str], texts: Sequence[str], and_ids: bool) -> pd.DataFrame:
    _require_text(path)
    # Neither is a column called NA a number, nor is a file packed because of its name.
    options: dict[str, Any] = {
        "encoding": "utf-8-sig",
        "compression": None,
        "index_col": False,
        "keep_default_na": False,
    }
    _require_few_columns(path)
    header = pd.read_csv(path, nrows=1, header=None, dtype=str, **options).iloc[0]
    names = [name or f"Unnamed: {number}" for number, name in enumerate(header)]  # as pandas calls them
    _require_columns(path, columns, names)
    missing = {name: [""] if name in texts else ["", *WORDS] for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # of rows with more cells than the header
        # All columns are parsed, though not all are used: else pandas drops surplus cells without a word.
        options |= {"dtype": dict.fromkeys(texts, str), "na_values": missing, "float_precision": EXACT}
        table = pd.read_csv(path, low_memory=False, **options)
    return table if and_ids else table[columns]


def _require_text(path: Path) -> None:
    """Refuse what would make a CSV parser run out of memory or return noise."""
    with path.open("rb") as file:
        block = file.read(LONGEST_LINE)
        if not block.strip():
            raise DataError(f"`{path}` must have a header and rows. Received: an empty file. Give it data.")
        while block:
            if b"\0" in block:
                raise DataError(f"`{path}` must be UTF-8 text or Parquet. Received: binary bytes. Convert it.")
            if len(block) == LONGEST_LINE and b"\n" not in block and b"\r" not in block:
                raise DataError(
                    f"`{path}` must have lines shorter than {LONGEST_LINE} bytes. Received: a longer one. "
                    "Check that it is a CSV with one row a line."
                )
            block = file.read(LONGEST_LINE)


def _require_few_columns(path: Path) -> None:
    """Refuse a table that pandas takes minutes for: one column takes it as long as thousands of cells."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = (row for row in csv.reader(file) if len(row) > 1 or any(map(str.strip, row)))
        for row in itertools.islice(rows, 2):  # the header, and the row that pandas counts columns by
            if len(row) > MOST_COLUMNS:
                raise DataError(
                    f"`{path}` must have at most {MOST_COLUMNS:,} columns. Received: a row of {len(row):,} cells. "
                    "Leave columns out.",
                    "write one row for each series and time and name data.series_id",
                )


def _require_columns(path: Path, columns: list[str], found: list[str]) -> None:
    for name in columns:
        if found.count(name) > 1:
            raise DataError(f"`{path}` must have one column {name!r}. Received: several. Rename the others.")
        if name not in found:
            near = difflib.get_close_matches(name, found, n=1)
            advice = f"Did you mean {near[0]!r}? Call it {name!r}." if near else f"Add it, or call one {name!r}."
            or_param = f"name {'it' if near else 'another'} in data or covariates of params.yaml"
            if len(found) == 1 and set(found[0]) & set(SEPARATORS):
                advice = "Separate cells by commas, and write decimals with a point and thousands without one."
                or_param = ""
            shown = f"{', '.join(map(str, found[:20]))!s:.300}"
            raise DataError(f"`{path}` must have a column {name!r}. Received: columns {shown}. {advice}", or_param)
