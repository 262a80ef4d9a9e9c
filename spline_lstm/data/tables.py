"""The timestamps and numbers of a CSV or Parquet file, or one clear error that names the row or column."""

from __future__ import annotations

import difflib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.run.errors import DataError
from spline_lstm.run.files import require_input
from spline_lstm.run.params import DataParams

LONGEST_LINE = 1 << 20
NUMBERS = "finite numbers or empty cells"
REPEATS_LEFT = 0.1  # share of repeated timestamps that may remain within the series of an id
FEWEST_ROWS_OF_SERIES = 3
EXACT = "round_trip"  # else a parsed number may be off by one bit
OFFSET = r"[T ]\d{2}.*(?:Z|[+-]\d{2}(?::?\d{2})?)$"  # of an ISO 8601 timestamp


@dataclass(frozen=True)
class Table:
    """The rows of a file, in its order.

    Attributes:
        timestamps: `(rows,)`, UTC without offset.
        values: `(rows, targets)`, NaN where a cell is empty.
        series: `(rows,)`, which of `ids` a row is of.
        ids: The series, in order of their names; one without a name where params name no series_id.
        broken: The first cell of a series that holds no number, by its id, where such a series may be left out.
    """

    timestamps: pd.DatetimeIndex
    values: np.ndarray
    series: np.ndarray
    ids: tuple[str, ...]
    broken: dict[str, str]


def read_table(path: Path, params: DataParams) -> Table:
    """Read the columns that params name.

    Raises:
        InputNotFoundError: There is no such file.
        DataError: The file, a column, a timestamp or a value is unusable.
    """
    table = _read_file(path, params)
    timestamps = _timestamps(table[params.timestamp], params)
    series, ids = _series(table, params.series_id)
    values: list[np.ndarray] = []
    broken: dict[str, str] = {}
    for name in params.target:
        numbers, wrong = _numbers(table[name])
        if params.on_bad_series == "fail":
            _require_each(~wrong, table[name], NUMBERS, "Mend the row.")
        for row in np.flatnonzero(wrong):
            broken.setdefault(ids[series[row]], _cell(table[name], int(row)))
        values.append(np.where(wrong, np.nan, numbers))
    return Table(timestamps, np.column_stack(values), series, ids, broken)


def id_column(path: Path, params: DataParams) -> str | None:
    """The column, if any, that tells rows of equal timestamps apart as the id of a series would."""
    table = _read_file(path, params, every_column=True)
    repeated = table.duplicated(params.timestamp).sum()
    found = {}
    for name in table.columns.difference([params.timestamp, *params.target]):
        column = table[name]
        if not pd.api.types.is_float_dtype(column) and column.notna().all():
            left = table.duplicated([params.timestamp, name]).sum()
            if left < REPEATS_LEFT * repeated and column.nunique() <= len(table) / FEWEST_ROWS_OF_SERIES:
                found[name] = column.nunique()
    return min(found, key=found.get, default=None)  # type: ignore[arg-type]


def _read_file(path: Path, params: DataParams, every_column: bool = False) -> pd.DataFrame:
    require_input(path)
    texts = [params.timestamp, *params.series_id]
    columns = list(dict.fromkeys([*texts, *params.target]))
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            table = _read_parquet(path, columns, every_column)
        else:
            table = _read_csv(path, columns, texts, every_column)
    except UnicodeDecodeError as error:
        raise DataError(f"`{path}` must be UTF-8 text or Parquet. Received: {error.reason}. Convert it.") from error
    except (ValueError, OSError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"`{path}` must be a readable table. Received: {reason}. Mend the file.") from error
    if table.empty:
        raise DataError(f"`{path}` must have rows below its header. Received: none. Give it data.")
    return table


def _read_parquet(path: Path, columns: list[str], every_column: bool) -> pd.DataFrame:
    import pyarrow.parquet

    _require_columns(path, columns, pyarrow.parquet.read_schema(path).names)
    wanted = None if every_column else columns
    return pyarrow.parquet.read_table(path, columns=wanted).to_pandas(ignore_metadata=True)


def _read_csv(path: Path, columns: list[str], texts: list[str], every_column: bool) -> pd.DataFrame:
    _require_text(path)
    header = pd.read_csv(path, nrows=1, header=None, dtype=str, encoding="utf-8-sig").iloc[0].tolist()
    _require_columns(path, columns, header)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # of rows with more cells than the header
        # All columns are parsed, though not all are used: else pandas drops surplus cells without a word.
        table = pd.read_csv(
            path,
            index_col=False,
            dtype=dict.fromkeys(texts, str),
            encoding="utf-8-sig",
            low_memory=False,
            float_precision=EXACT,
        )
    return table if every_column else table[columns]


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


def _require_columns(path: Path, columns: list[str], found: list[str]) -> None:
    for name in columns:
        if found.count(name) > 1:
            raise DataError(f"`{path}` must have one column {name!r}. Received: several. Rename the others.")
        if name not in found:
            near = difflib.get_close_matches(name, found, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " Mend data.timestamp or data.target in params.yaml."
            shown = f"{', '.join(map(str, found[:20]))!s:.300}"
            raise DataError(f"`{path}` must have a column {name!r}. Received: columns {shown}.{hint}")


def _timestamps(column: pd.Series, params: DataParams) -> pd.DatetimeIndex:
    name = params.timestamp
    if pd.api.types.is_numeric_dtype(column):
        raise DataError(f"Column {name!r} must hold timestamps. Received: numbers ({column.dtype}). Convert it.")
    pattern = params.timestamp_format or "ISO8601"
    if pd.api.types.is_datetime64_any_dtype(column):
        parsed = column
    else:
        column = column.astype("string")
        utc = _have_offsets(column, params.timestamp_format)
        parsed = pd.to_datetime(column, format=pattern, errors="coerce", utc=utc)
    _require_each(parsed.notna(), column, f"timestamps ({pattern})", "Mend the row, or give data.timestamp_format.")
    index = pd.DatetimeIndex(parsed)
    if index.tz is None:  # a change of clocks skips some wall-clock times and repeats others
        index = index.tz_localize(params.timezone, ambiguous="NaT", nonexistent="NaT")
        rule = f"times that exist once in {params.timezone}"
        _require_each(index.notna(), column, rule, "Write timestamps with their UTC offset.")
    try:
        return index.tz_convert("UTC").tz_localize(None).as_unit("ns")
    except pd.errors.OutOfBoundsDatetime as error:
        raise DataError(
            f"Column {name!r} must hold years from 1678 to 2261. Received: {error}. Mend the row."
        ) from error


def _have_offsets(column: pd.Series, timestamp_format: str | None) -> bool:
    """Whether timestamps carry a UTC offset: all of them, or none."""
    if timestamp_format:
        return "%z" in timestamp_format
    have = column.str.contains(OFFSET, na=False).to_numpy(dtype=bool)
    if have.any():
        rule = "a UTC offset in every timestamp or in none"
        _require_each(have | column.isna(), column, rule, "Write them all alike.")
    return bool(have.any())


def _require_each(good: Any, column: pd.Series, rule: str, advice: str) -> None:
    """Name the first row that breaks a rule."""
    wrong = ~np.asarray(good, dtype=bool)
    if wrong.any():
        received = _cell(column, int(wrong.argmax()))
        raise DataError(f"Column {column.name!r} must hold {rule}. Received: {received}. {advice}")


def _cell(column: pd.Series, row: int) -> str:
    shown = "an empty cell" if pd.isna(column.iloc[row]) else f"{str(column.iloc[row])!r:.80}"
    return f"{shown} in row {row + 1} after the header"


def _series(table: pd.DataFrame, columns: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Which series each row is of, `(rows,)`, and their ids in order."""
    if not columns:
        return np.zeros(len(table), np.int64), ("",)
    for name in columns:
        _require_each(table[name].notna(), table[name], "the id of a series in every row", "Mend the row.")
    ids = table[columns[0]].astype(str).str.cat([table[name].astype(str) for name in columns[1:]], sep="/")
    codes, names = pd.factorize(ids, sort=True)
    return codes, tuple(map(str, names))


def _numbers(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of a column, NaN where a cell is empty or wrong, and where it is wrong."""
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column.astype("string")  # else it would be counted in nanoseconds
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    text = np.isnan(numbers) & column.notna().to_numpy()
    return numbers, text | np.isinf(numbers)
