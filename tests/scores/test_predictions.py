"""Forecasts as tables: every row spelled out."""

import io
import math

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from spline_lstm.scores.evaluation import Forecasts
from spline_lstm.scores.predictions import CHUNK, predictions_parquet, separate_windows

NAMES = ("load", "oil")
COLUMNS = ["series_id", "origin", "timestamp", "step", "y_true", "y_pred", "y_lower", "y_upper"]


def forecasts_of(origins, horizon):
    """Both series at each origin, as the pipeline orders windows, with some targets missing."""
    rng = np.random.default_rng(0)
    shape = (2 * len(origins), horizon)
    y_true = rng.normal(size=shape)
    y_true[rng.random(shape) < 0.2] = np.nan
    return Forecasts(
        rows=np.tile([0, 1], len(origins)),
        origins=np.repeat(origins, 2),
        y_true=y_true,
        y_pred=rng.normal(size=shape),
        half_widths=rng.uniform(1, 2, (2, horizon)),
    )


def slow_rows(forecasts, windows, timestamps):
    for window in windows:
        row, origin = int(forecasts.rows[window]), int(forecasts.origins[window])
        for step in range(1, forecasts.y_pred.shape[1] + 1):
            predicted, spread = forecasts.y_pred[window, step - 1], forecasts.half_widths[row, step - 1]
            yield (
                NAMES[row],
                timestamps[origin],
                timestamps[origin + step],
                step,
                forecasts.y_true[window, step - 1],
                predicted,
                predicted - spread,
                predicted + spread,
            )


def clock_for(origins, horizon):
    return pd.date_range("2024-01-01", periods=max(origins) + horizon + 1, freq="h")


def assert_rows(table, expected):
    expected = pd.DataFrame(expected, columns=COLUMNS)
    pd.testing.assert_frame_equal(table.astype({"series_id": object}), expected, check_dtype=False)


@pytest.mark.parametrize("count", [1, 5, CHUNK // 2 + 3], ids=["one", "few", "more than a row group"])
def test_the_parquet_file_has_a_row_for_each_window_and_step(count):
    origins = np.arange(10, 10 + count)
    forecasts, clock = forecasts_of(origins, horizon=2), clock_for(origins, 2)

    table = pd.read_parquet(io.BytesIO(predictions_parquet(forecasts, NAMES, clock)))

    assert_rows(table, slow_rows(forecasts, range(2 * count), clock))


def test_missing_targets_are_null_and_not_nan():
    origins = np.arange(4)
    forecasts = forecasts_of(origins, horizon=3)

    column = pq.read_table(io.BytesIO(predictions_parquet(forecasts, NAMES, clock_for(origins, 3))))["y_true"]

    missing = np.isnan(forecasts.y_true).sum()
    assert missing > 0
    assert column.null_count == missing
    assert not any(math.isnan(value) for value in column.to_pylist() if value is not None)


def test_equal_forecasts_give_equal_bytes():
    origins = np.arange(6)
    clock = clock_for(origins, 3)

    assert predictions_parquet(forecasts_of(origins, 3), NAMES, clock) == predictions_parquet(
        forecasts_of(origins, 3), NAMES, clock
    )


def test_separate_windows_of_a_series_share_no_target():
    origins = np.array([3, 4, 5, 6, 8, 9, 12])
    forecasts, clock = forecasts_of(origins, horizon=3), clock_for(origins, 3)

    table = separate_windows(forecasts, NAMES, clock)

    assert not table.duplicated(["series_id", "timestamp"]).any()
    kept = [window for row in (0, 1) for window in range(14) if forecasts.rows[window] == row]
    kept = [window for window in kept if forecasts.origins[window] in (3, 6, 9, 12)]
    assert_rows(table, slow_rows(forecasts, kept, clock))
