"""Forecasts as tables: one row per series, origin and step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spline_lstm.run.errors import ArtifactError
from spline_lstm.run.files import CORRUPT, WAY_BACK, reading
from spline_lstm.scores.forecasts import Forecasts, interval_columns

WINDOW_COLUMNS = ("series_id", "origin", "timestamp", "step", "y_true", "y_pred", "y_lower", "y_upper")
CHUNK = 4096  # windows per row group
SHOWN_SERIES = 8  # in pictures
SHOWN_WINDOWS = 40  # of each of them


def write_predictions(
    file: BinaryIO,
    forecasts: Forecasts,
    names: tuple[str, ...],
    timestamps: pd.DatetimeIndex,
    coverage: Sequence[float],
    quantiles: Sequence[float],
) -> None:
    """Write a Parquet file of all windows, some at a time; `y_true` is null where nothing was observed.

    Intervals and quantiles are named as by `interval_columns`.
    A window has the same bytes whichever windows follow it.
    """
    writer: pq.ParquetWriter | None = None
    for start in range(0, len(forecasts.rows), CHUNK):
        table = _table(forecasts.of(slice(start, start + CHUNK)), names, timestamps, coverage, quantiles)
        batch = _arrow(table)
        writer = writer or pq.ParquetWriter(file, batch.schema, compression="zstd")
        writer.write_table(batch)
    if writer:
        writer.close()


def write_parquet(file: BinaryIO, table: pd.DataFrame) -> None:
    """Write a table whole; its bytes depend on its content alone."""
    pq.write_table(_arrow(table), file, compression="zstd")


def _arrow(table: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)


def read_table(path: Path, *columns: str, series: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a CSV or Parquet file that a stage has left; `timestamp` and `origin` as times.

    Args:
        path: The file.
        columns: Those that are wanted.
        series: Of a Parquet file, those whose rows are wanted; None: all.

    Raises:
        InputNotFoundError: There is no such file.
        ArtifactError: It is no such table, or lacks one of the columns.
    """
    times = [column for column in ("timestamp", "origin") if column in columns]
    names = {"dtype": {"series_id": str}, "keep_default_na": False, "na_values": [""]}  # a series may be called NA
    wanted = None if series is None else pc.field("series_id").isin(pa.array(series, pa.string()))
    with reading(path) as file:
        try:
            if path.suffix == ".parquet":
                return pd.read_parquet(file, columns=list(columns), filters=wanted)
            return pd.read_csv(file, usecols=list(columns), parse_dates=times, **names)
        except CORRUPT as error:
            raise ArtifactError(
                f"`{path}` must be a table of {', '.join(columns)}. Received: {error}. {WAY_BACK}"
            ) from error


def target_span(forecasts: Forecasts, timestamps: pd.DatetimeIndex) -> dict[str, Any]:
    """What the targets of windows that overlap come to.

    Returns:
        How many `windows`; how many distinct `times` their observed targets are of; the `first` and the `last` one.
    """
    observed = ~np.isnan(forecasts.y_true)
    seen = np.zeros(len(timestamps), bool)
    for step, known in enumerate(observed.T, 1):
        seen[forecasts.origins[known] + step] = True
    times = timestamps[seen]
    return {
        "windows": len(forecasts.rows),
        "times": len(times),
        "first": str(times[0]),
        "last": str(times[-1]),
    }


def shown_series(per_series: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The series that pictures show: all of a few; of many, the best and the worst by their error relative to the
    best baseline, half of each.
    """
    names = list(per_series)
    if len(names) <= SHOWN_SERIES:
        return names
    ranked = sorted((name for name in names if per_series[name]["skill"] is not None), key=_skill(per_series)) or names
    extremes = {*ranked[: SHOWN_SERIES // 2], *ranked[-SHOWN_SERIES // 2 :]}
    return [name for name in names if name in extremes]


def _skill(per_series: Mapping[str, Mapping[str, Any]]) -> Callable[[str], float]:
    return lambda name: per_series[name]["skill"]


def predictions_table(
    forecasts: Forecasts, names: tuple[str, ...], timestamps: pd.DatetimeIndex, shown: Sequence[str]
) -> pd.DataFrame:
    """The windows of some series, as `write_predictions` would hold them."""
    number = {name: row for row, name in enumerate(names)}
    rows = [number[name] for name in shown]
    return _table(forecasts.of(np.isin(forecasts.rows, rows)), names, timestamps, forecasts.levels[:1])


def separate_windows(predictions: pd.DataFrame) -> pd.DataFrame:
    """The newest `SHOWN_WINDOWS` windows of each series whose targets do not overlap."""
    parts = []
    for _, part in predictions.groupby("series_id", observed=True, sort=False):
        ends = part.groupby("origin")["timestamp"].max()
        chosen: list[pd.Timestamp] = []
        index = len(ends) - 1
        while index >= 0 and len(chosen) < SHOWN_WINDOWS:
            chosen.append(ends.index[index])
            index = int(ends.searchsorted(ends.index[index], side="right")) - 1  # ends where the chosen one begins
        parts.append(part[part["origin"].isin(chosen)])
    return pd.concat(parts, ignore_index=True)


def _table(
    forecasts: Forecasts,
    names: tuple[str, ...],
    timestamps: pd.DatetimeIndex,
    coverage: Sequence[float],
    quantiles: Sequence[float] = (),
) -> pd.DataFrame:
    windows, horizon = forecasts.y_pred.shape
    origins = np.repeat(forecasts.origins, horizon)
    steps = np.tile(np.arange(1, horizon + 1, dtype=np.int32), windows)
    tables = {"y_true": forecasts.y_true, "y_pred": forecasts.y_pred}
    tables |= interval_columns(forecasts, coverage, quantiles)
    return pd.DataFrame(
        {
            "series_id": pd.Categorical.from_codes(np.repeat(forecasts.rows, horizon), list(names)),
            "origin": timestamps[origins],
            "timestamp": timestamps[origins + steps],
            "step": steps,
            **{name: table.ravel() for name, table in tables.items()},
        }
    )
