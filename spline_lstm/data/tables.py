"""The timestamps and numbers of a CSV or Parquet file, or one clear error that names the row or column."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.data.columns import read_columns
from spline_lstm.data.encoding import Column
from spline_lstm.data.marks import advice_on_marks, numbers_of, without_marks
from spline_lstm.run.errors import DataError, InsufficientDataError, ParamsError
from spline_lstm.run.params import DataParams

LARGEST = 1e150  # its square is a number, too
NUMBERS = "finite numbers up to 1e150 or empty cells"
REPEATS_LEFT = 0.1  # share of repeated timestamps that may remain within the series of an id
FEWEST_ROWS_OF_SERIES = 3
LONGEST_MARK = 20  # characters of a cell that may stand for nothing
MOST_TRIED = 8  # columns of which any two may be the ids
TIME_OF_DAY = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[AaPp][Mm])?"
WITH_COMMAS = r"[-+]?(?:\d{1,3}(?:[.' ]?\d{3})*,\d+|\d{1,3}(?:,\d{3})+\.\d+)"  # 5,01 and 1.234,5 and 1,234.5
SUNDAY = 6
DAY = pd.Timedelta("1D")
MIDNIGHT_BEFORE = "24:00"
OF_NUMBERS = "Convert the numbers, as pandas.to_datetime does with the unit and origin that they count from."
PERIOD = r"(?:[Qq]\d[- ]?\d{4}|\d{4}[- ]?[QqWw]\d{1,2})"  # Q1 1990, 1990Q1, 2015-W01
OFFSET = r"(?:Z|[+-]\d{2}(?::?\d{2})?)$"
HAS_OFFSET = rf"[T ]\d{{2}}.*{OFFSET}"  # an ISO 8601 timestamp


@dataclass(frozen=True)
class Stretch:
    """The part of a file that is read to look back at a moment.

    Attributes:
        since: Rows up to it are left out; None: none are.
        known: Series that begin after it are left out.
        until: Rows after it are left out.
    """

    since: pd.Timestamp | None
    known: pd.Timestamp
    until: pd.Timestamp


@dataclass(frozen=True)
class Table:
    """The rows of a file, in its order.

    Attributes:
        timestamps: `(rows,)`, UTC without offset, or dates.
        timezone: In which clock and calendar tell these; UTC, which changes nothing, for dates.
        values: `(rows, targets)`, NaN where a cell is empty.
        series: `(rows,)`, which of `ids` a row is of.
        ids: The series, in order of their names; one without a name where params name no series_id.
        wrong: `(rows,)`, which hold something else than numbers, where a series may be left out for it.
        broken: The first cell of such a series, by its id.
        covariates: `(rows,)` each, by their names.
    """

    timestamps: pd.DatetimeIndex
    timezone: str
    values: np.ndarray
    series: np.ndarray
    ids: tuple[str, ...]
    wrong: np.ndarray
    broken: dict[str, str]
    covariates: dict[str, Column]

    def at(self, rows: np.ndarray) -> Table:
        """Some of the rows, chosen as from an array."""
        covariates = {name: column.at(rows) for name, column in self.covariates.items()}
        return replace(
            self,
            timestamps=self.timestamps[rows],
            values=self.values[rows],
            series=self.series[rows],
            wrong=self.wrong[rows],
            covariates=covariates,
        )

    def within(self, stretch: Stretch) -> Table:
        """The rows of a stretch of time, with the series that they are of.

        Raises:
            InsufficientDataError: There is none.
        """
        inside = self.timestamps <= stretch.until
        if stretch.since is not None:
            inside &= self.timestamps > stretch.since
        begun = np.unique(self.series[inside & (self.timestamps <= stretch.known)])
        if not begun.size:
            raise InsufficientDataError(
                f"There must be rows from {stretch.since} to {stretch.known}. Received: none. "
                "Lower backtest.windows, or raise backtest.input."
            )
        cut = self.at(inside & np.isin(self.series, begun))
        ids = tuple(self.ids[code] for code in begun)
        wrong = cut.wrong & (cut.timestamps <= stretch.known)
        broken = {self.ids[code]: self.broken[self.ids[code]] for code in np.unique(cut.series[wrong])}
        return replace(cut, series=np.searchsorted(begun, cut.series), ids=ids, broken=broken)


def read_table(
    path: Path,
    params: DataParams,
    covariates: Sequence[str] = (),
    categorical: Collection[str] | None = None,
    known: pd.Timestamp | None = None,
) -> Table:
    """Read the columns that params name.

    Whether timestamps are dates, and covariates categories, is told by the older half of the rows.

    Args:
        path: CSV or Parquet.
        params: Columns and rules.
        covariates: More columns.
        categorical: Those of them whose cells are texts; None: their cells tell.
        known: The moment up to which rows tell this, instead.

    Raises:
        InputNotFoundError: There is no such file.
        ParamsError: The timezone is none that pandas knows.
        DataError: The file, a column, a timestamp or a value is unusable.
    """
    texts = [params.timestamp, *params.series_id]
    others = [*params.target, *covariates]
    table = _emptied(read_columns(path, texts, others), params, others)
    timestamps, timezone, telling = _timestamps(table[params.timestamp], params, known)
    if categorical is None:
        told = table[telling]
        # A column that begins later is told by all of its cells, but for a fold, which must not know them.
        rows = {name: table if known is None and told[name].isna().all() else told for name in covariates}
        categorical = {name for name in covariates if _is_categorical(rows[name][name])}
        for name in categorical:
            _refuse_commas(table[name])
    if categorical:  # whose cells are texts, even one that says None
        cells = _emptied(read_columns(path, sorted(categorical), ()), params, categorical)
        table = table.copy()
        table[list(cells)] = cells
    series, ids = _series(table, params.series_id)
    broken: dict[str, str] = {}
    every_wrong = np.zeros(len(table), bool)

    def numbers(name: str) -> np.ndarray:
        found, text = numbers_of(table[name])
        wrong = text | (np.abs(found) > LARGEST)
        if params.on_bad_series == "fail":
            of = f" of series {ids[series[wrong.argmax()]]!r}" if params.series_id else ""
            or_param = _advice_on_mark(params, table[name][wrong].iloc[0]) if wrong.any() else ""
            _require_each(~wrong, table[name], NUMBERS, "Mend the row.", of, or_param)
        for row in np.flatnonzero(wrong):
            broken.setdefault(ids[series[row]], f"{_cell(table[name], int(row))} of column {name!r}")
        every_wrong[wrong] = True
        return np.where(wrong, np.nan, found)

    values = np.column_stack([numbers(name) for name in params.target])
    columns = {name: _categories(table[name]) if name in categorical else Column(numbers(name)) for name in covariates}
    return Table(timestamps, timezone, values, series, ids, every_wrong, broken, columns)


def _emptied(table: pd.DataFrame, params: DataParams, columns: Collection[str]) -> pd.DataFrame:
    """The same without cells that stand for nothing."""
    if params.missing:
        table = table.copy()
        for name in columns:
            table[name] = without_marks(table[name], params.missing)
    return table


def _advice_on_mark(params: DataParams, cell: object) -> str:
    """What to set in params where a cell may stand for nothing, as a question mark does."""
    if not isinstance(cell, str) or len(cell) > LONGEST_MARK or re.fullmatch(WITH_COMMAS, cell):
        return ""
    return f"{advice_on_marks(params.missing, [cell])} if it stands for nothing"


def _is_categorical(column: pd.Series) -> bool:
    """Whether half of the cells are no numbers, or all are words for none: a few that are not are mistakes."""
    _, text = numbers_of(column)
    return bool(2 * text.sum() >= column.notna().sum())


def _refuse_commas(column: pd.Series) -> None:
    """Refuse numbers that are none here: each price would be a category."""
    commas = column.astype("string").str.fullmatch(WITH_COMMAS).fillna(False).to_numpy(dtype=bool)
    rule = "numbers with a decimal point, or categories that do not look like numbers"
    if 2 * commas.sum() >= column.notna().sum():
        _require_each(~commas, column, rule, "Write numbers with a decimal point and no other separators.")


def _categories(column: pd.Series) -> Column:
    codes, categories = pd.factorize(column.astype("string"), sort=True)
    return Column(np.where(codes < 0, np.nan, codes), tuple(map(str, categories)))


def advice_on_repeats(path: Path, params: DataParams) -> tuple[str, str]:
    """What to do with rows of equal timestamps: with the data, and with a param instead."""
    known = params.series_id
    table = read_columns(path, [params.timestamp, *known], params.target, and_ids=True)
    times = pd.to_datetime(
        table[params.timestamp], format=params.timestamp_format or "ISO8601", errors="coerce", utc=True
    )
    repeated = times[table.duplicated([params.timestamp, *known])]
    if len(repeated) and ((repeated.dt.dayofweek == SUNDAY) & repeated.dt.hour.between(1, 3)).all():
        return "It looks like an hour that clocks repeat in autumn: write timestamps with their UTC offset.", ""
    others = table.columns.difference([params.timestamp, *known, *params.target])
    others = [name for name in others if not pd.api.types.is_float_dtype(table[name]) and table[name].notna().all()]
    for name in others:
        if table[name].astype(str).str.fullmatch(TIME_OF_DAY).all():
            return f"Column {name!r} looks like the time of day: write it into column {params.timestamp!r}, too.", ""
    if not (found := _id_columns(table, params.timestamp, known, others)):
        return "Remove them.", "set data.duplicates to mean, sum, first or last"
    names = ", ".join(found)
    if len(found) == 1:
        return (
            f"Column {names!r} looks like the id of several series: keep the rows of one.",
            "set data.series_id to it",
        )
    advice = f"Columns {names} look like the ids of several series: keep the rows of one."
    return advice, f"set data.series_id to [{names}]"


def _id_columns(table: pd.DataFrame, timestamp: str, known: tuple[str, ...], others: list[str]) -> tuple[str, ...]:
    """The columns, if any, that tell rows of equal timestamps apart: those known, with one more or else with two."""
    repeated = table.duplicated([timestamp, *known]).sum()
    others = sorted(others, key=lambda name: table[name].nunique())[:MOST_TRIED]
    for more in (1, 2):
        found = {}
        for names in ([*known, *added] for added in itertools.combinations(others, more)):
            series = len(table[names].drop_duplicates())
            left = table.duplicated([timestamp, *names]).sum()
            if left < REPEATS_LEFT * repeated and series <= len(table) / FEWEST_ROWS_OF_SERIES:
                found[tuple(names)] = series
        if found:
            return min(found, key=found.__getitem__)
    return ()


def _timestamps(
    column: pd.Series, params: DataParams, known: pd.Timestamp | None
) -> tuple[pd.DatetimeIndex, str, np.ndarray]:
    """Timestamps without offset, the time zone of their clock and calendar, and which rows told it, `(rows,)`.

    Where each of these is a midnight, in `data.timezone` or as it is written with its offset, they are dates: a day is
    one whatever the clocks do in it.
    """
    written = None
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        written = column.dt.tz_localize(None)
        column = column.dt.tz_convert("UTC")  # a message could not show a local time after the last UTC one
    pattern = params.timestamp_format or "ISO8601"
    if pd.api.types.is_datetime64_any_dtype(column):
        parsed = column
    elif pd.api.types.is_numeric_dtype(column):
        parsed = pd.Series(pd.NaT, column.index)
    else:
        column = column.astype("string")
        utc = _have_offsets(column, params.timestamp_format)
        parsed = pd.to_datetime(column, format=pattern, errors="coerce", utc=utc)
        if utc and not params.timestamp_format:
            written = pd.to_datetime(column.str.replace(OFFSET, "", regex=True), format="ISO8601", errors="coerce")
    if parsed.isna().any():
        advice, or_param = _advice_on_time(column, column[parsed.isna()].iloc[0], params.timestamp_format)
        _require_each(parsed.notna(), column, f"timestamps ({pattern})", advice, or_param=or_param)
    index = pd.DatetimeIndex(parsed)
    # Whole years, and none in part, so that no time zone leads out of what nanoseconds can count.
    _require_each((index.year >= 1678) & (index.year <= 2261), column, "years from 1678 to 2261", "Mend the row.")
    local = index if index.tz is None else _converted(index, params.timezone).tz_localize(None)
    telling = _telling(local.as_unit("ns").asi8, known)
    for times in (local, local if written is None else pd.DatetimeIndex(written)):
        if (times == times.normalize())[telling].all():
            return times.as_unit("ns"), "UTC", telling
    if index.tz is None:
        index = _localized(index, column, params.timezone)
    return index.tz_convert("UTC").tz_localize(None).as_unit("ns"), params.timezone, telling


def _telling(times: np.ndarray, known: pd.Timestamp | None) -> np.ndarray:
    """`(rows,)`, the older half of the rows; or those that are known, by the clock of any time zone."""
    last = np.sort(times)[(len(times) - 1) // 2] if known is None else (known - DAY).value
    return times <= max(last, times.min())


def _advice_on_time(column: pd.Series, wrong: Any, timestamp_format: str | None) -> tuple[str, str]:
    """What to do with a cell of a column that is no timestamp: with the data, and with a param instead."""
    if pd.isna(wrong):
        return "Mend the row, or remove it.", ""
    if MIDNIGHT_BEFORE in str(wrong):
        return "Write midnight as 00:00 of the next day.", ""
    if timestamp_format:
        return "Mend the row.", "mend data.timestamp_format"
    if pd.to_numeric(column, errors="coerce").notna().all():
        return OF_NUMBERS, ""
    if re.fullmatch(PERIOD, str(wrong)):
        return "Write a day of each quarter or week, such as its last one, 1990-03-31.", ""
    return "Write times as 2024-01-31 17:00.", "give data.timestamp_format"


def _localized(index: pd.DatetimeIndex, column: pd.Series, timezone: str) -> pd.DatetimeIndex:
    """Wall-clock times as moments; a change of clocks skips some of them and repeats others."""
    moments = _converted(index, timezone)
    rule = f"times that exist once in {timezone}"
    _require_each(moments.notna(), column, rule, "Write timestamps with their UTC offset.")
    return moments


def _converted(index: pd.DatetimeIndex, timezone: str) -> pd.DatetimeIndex:
    """Moments, or wall-clock times as moments, NaT where they exist twice or never, in a time zone."""
    try:
        if index.tz is None:
            return index.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT")
        return index.tz_convert(timezone)
    except KeyError as error:
        raise ParamsError(
            f"`data.timezone` must be one that pandas knows. Received: {timezone!r:.80}. Choose another name of it."
        ) from error


def _have_offsets(column: pd.Series, timestamp_format: str | None) -> bool:
    """Whether timestamps carry a UTC offset: all of them, or none."""
    if timestamp_format:
        return "%z" in timestamp_format or "%Z" in timestamp_format
    have = column.str.contains(HAS_OFFSET, na=False).to_numpy(dtype=bool)
    if have.any():
        rule = "a UTC offset in every timestamp or in none"
        _require_each(have | column.isna(), column, rule, "Write them all alike.")
    return bool(have.any())


def _require_each(good: Any, column: pd.Series, rule: str, advice: str, of: str = "", or_param: str = "") -> None:
    """Name the first row that breaks a rule."""
    wrong = ~np.asarray(good, dtype=bool)
    if wrong.any():
        received = _cell(column, int(wrong.argmax()))
        raise DataError(f"Column {column.name!r}{of} must hold {rule}. Received: {received}. {advice}", or_param)


def _cell(column: pd.Series, row: int) -> str:
    shown = "an empty cell" if pd.isna(column.iloc[row]) else f"{str(column.iloc[row])!r:.80}"
    return f"{shown} in row {row + 1} after the header"


def _series(table: pd.DataFrame, columns: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Which series each row is of, `(rows,)`, and their ids in order."""
    if not columns:
        return np.zeros(len(table), np.int64), ("",)
    for name in columns:
        _require_each(table[name].notna(), table[name], "the id of a series in every row", "Mend the row.")
        breaks = table[name].astype(str).str.contains("\r", regex=False)  # on which readers of CSV do not agree
        _require_each(~breaks, table[name], "ids without carriage returns", "Mend the row.")
    ids = table[columns[0]].astype(str).str.cat([table[name].astype(str) for name in columns[1:]], sep="/")
    codes, names = pd.factorize(ids, sort=True)
    bare = pd.Series(names).str.strip()
    if (alike := bare.duplicated(keep=False)).any():
        received = " and ".join(repr(name) for name in names[alike][:2])
        raise DataError(
            f"Column {columns[0]!r} must hold ids that differ by more than blanks. Received: {received:.200}. "
            "Mend the rows."
        )
    if len(columns) > 1 and any("/" in name.replace("/", "", len(columns) - 1) for name in names):
        parts = table[list(columns)].astype(str).assign(joined=ids).drop_duplicates()
        if (alike := parts["joined"].duplicated(keep=False)).any():
            received = " and ".join(repr(tuple(each)) for each in parts.loc[alike, list(columns)].to_numpy()[:2])
            raise DataError(
                f"Columns {list(columns)} must be different ids when joined by '/'. Received: {received:.200}. "
                "Rename a series."
            )
    return codes, tuple(map(str, names))
