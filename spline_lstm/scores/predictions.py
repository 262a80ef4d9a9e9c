"""Forecasts as tables: one row per series, origin and step."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spline_lstm.scores.evaluation import Forecasts

CHUNK = 4096  # windows per row group


def predictions_parquet(forecasts: Forecasts, names: tuple[str, ...], timestamps: pd.DatetimeIndex) -> bytes:
    """A Parquet file of all windows; `y_true` is null where nothing was observed.

    A window has the same bytes whichever windows follow it.
    """
    buffer = io.BytesIO()
    writer: pq.ParquetWriter | None = None
    for start in range(0, len(forecasts.rows), CHUNK):
        table = _table(forecasts, np.arange(start, min(start + CHUNK, len(forecasts.rows))), names, timestamps)
        batch = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
        writer = writer or pq.ParquetWriter(buffer, batch.schema, compression="zstd")
        writer.write_table(batch)
    if writer:
        writer.close()
    return buffer.getvalue()


def separate_windows(forecasts: Forecasts, names: tuple[str, ...], timestamps: pd.DatetimeIndex) -> pd.DataFrame:
    """The same table for windows whose targets do not overlap, for pictures."""
    horizon = forecasts.y_pred.shape[1]
    chosen = np.flatnonzero((forecasts.origins - forecasts.origins[0]) % horizon == 0)
    chosen = chosen[np.lexsort((forecasts.origins[chosen], forecasts.rows[chosen]))]
    return _table(forecasts, chosen, names, timestamps)


def _table(
    forecasts: Forecasts, windows: np.ndarray, names: tuple[str, ...], timestamps: pd.DatetimeIndex
) -> pd.DataFrame:
    horizon = forecasts.y_pred.shape[1]
    origins = np.repeat(forecasts.origins[windows], horizon)
    steps = np.tile(np.arange(1, horizon + 1, dtype=np.int32), len(windows))
    spread = forecasts.half_widths[forecasts.rows[windows]]
    y_pred = forecasts.y_pred[windows]
    return pd.DataFrame(
        {
            "series_id": pd.Categorical.from_codes(np.repeat(forecasts.rows[windows], horizon), list(names)),
            "origin": timestamps[origins],
            "timestamp": timestamps[origins + steps],
            "step": steps,
            "y_true": forecasts.y_true[windows].ravel(),
            "y_pred": y_pred.ravel(),
            "y_lower": (y_pred - spread).ravel(),
            "y_upper": (y_pred + spread).ravel(),
        }
    )
