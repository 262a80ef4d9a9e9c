"""Forecasts as tables: every row spelled out."""

import io
import math

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import symmetric_forecasts

from spline_lstm.run.errors import ArtifactError, InputNotFoundError
from spline_lstm.scores.forecasts import interval_columns
from spline_lstm.scores.predictions import (
    CHUNK,
    SHOWN_SERIES,
    SHOWN_WINDOWS,
    predictions_table,
    read_table,
    separate_windows,
    shown_series,
    target_span,
    write_predictions,
)

NAMES = ("load", "oil")
COLUMNS = ["series_id", "origin", "timestamp", "step", "y_true", "y_pred", "y_lower", "y_upper"]


def forecasts_of(origins, horizon):
    """Both series at each origin, as the pipeline orders windows, with some targets missing."""
    rng = np.random.default_rng(0)
    shape = (2 * len(origins), horizon)
    y_true = rng.normal(size=shape)
    y_true[rng.random(shape) < 0.2] = np.nan
    rows, origins = np.tile([0, 1], len(origins)), np.repeat(origins, 2)
    return symmetric_forecasts(rows, origins, y_true, rng.normal(size=shape), rng.uniform(1, 2, shape))


def slow_rows(forecasts, windows, timestamps):
    for window in windows:
        row, origin = int(forecasts.rows[window]), int(forecasts.origins[window])
        for step in range(1, forecasts.y_pred.shape[1] + 1):
            yield (
                NAMES[row],
                timestamps[origin],
                timestamps[origin + step],
                step,
                forecasts.y_true[window, step - 1],
                forecasts.y_pred[window, step - 1],
                forecasts.lower[0, window, step - 1],
                forecasts.upper[0, window, step - 1],
            )


def clock_for(origins, horizon):
    return pd.date_range("2024-01-01", periods=max(origins) + horizon + 1, freq="h")


def parquet(forecasts, clock):
    file = io.BytesIO()
    write_predictions(file, forecasts, NAMES, clock, forecasts.levels, ())
    return file


def assert_rows(table, expected):
    expected = pd.DataFrame(expected, columns=COLUMNS)
    pd.testing.assert_frame_equal(table.astype({"series_id": object}), expected, check_dtype=False)


@pytest.mark.parametrize("count", [1, 5, CHUNK // 2 + 3], ids=["one", "few", "more than a row group"])
def test_the_parquet_file_has_a_row_for_each_window_and_step(count):
    origins = np.arange(10, 10 + count)
    forecasts, clock = forecasts_of(origins, horizon=2), clock_for(origins, 2)

    table = pd.read_parquet(parquet(forecasts, clock))

    assert_rows(table, slow_rows(forecasts, range(2 * count), clock))


def test_missing_targets_are_null_and_not_nan():
    origins = np.arange(4)
    forecasts = forecasts_of(origins, horizon=3)

    column = pq.read_table(parquet(forecasts, clock_for(origins, 3)))["y_true"]

    missing = np.isnan(forecasts.y_true).sum()
    assert missing > 0
    assert column.null_count == missing
    assert not any(math.isnan(value) for value in column.to_pylist() if value is not None)


def test_equal_forecasts_give_equal_bytes():
    origins = np.arange(6)
    clock = clock_for(origins, 3)

    one, other = (parquet(forecasts_of(origins, 3), clock).getvalue() for _ in range(2))

    assert one == other


def test_a_table_of_some_series_has_their_windows_only():
    origins = np.arange(4)
    forecasts, clock = forecasts_of(origins, horizon=3), clock_for(origins, 3)

    table = predictions_table(forecasts, NAMES, clock, ["oil"])

    assert_rows(table, slow_rows(forecasts, np.flatnonzero(forecasts.rows == 1), clock))


@given(seed=st.integers(0, 999), horizon=st.integers(1, 4), counts=st.tuples(st.integers(1, 200), st.integers(1, 30)))
@settings(max_examples=30)
def test_separate_windows_are_the_newest_of_each_series_that_share_no_target(seed, horizon, counts):
    rng = np.random.default_rng(seed)
    origins = [np.sort(rng.choice(200, count, replace=False)) for count in counts]
    shape = (sum(counts), horizon)
    forecasts = symmetric_forecasts(np.repeat([0, 1], counts), np.concatenate(origins), *rng.normal(size=(2, *shape)))
    clock = clock_for([200], horizon)

    table = separate_windows(predictions_table(forecasts, NAMES, clock, NAMES))

    kept = []
    for row, own in enumerate(origins):
        chosen = []
        for origin in own[::-1]:
            if len(chosen) < SHOWN_WINDOWS and (not chosen or origin + horizon <= chosen[-1]):
                chosen.append(origin)
        kept += [np.flatnonzero((forecasts.rows == row) & (forecasts.origins == origin))[0] for origin in chosen[::-1]]
    assert not table.duplicated(["series_id", "timestamp"]).any()
    assert_rows(table, slow_rows(forecasts, kept, clock))


def test_further_levels_and_quantiles_are_columns_of_their_own():
    y_pred = np.arange(6.0).reshape(3, 2)
    nothing = np.full_like(y_pred, np.nan)
    forecasts = symmetric_forecasts(np.zeros(3, int), np.arange(3), nothing, y_pred, 1.0, levels=(0.5, 0.8, 0.9))

    columns = interval_columns(forecasts, coverage=(0.8, 0.5), quantiles=(0.95, 0.1, 0.5))

    expected = {"y_lower": -2, "y_upper": 2, "y_lower_50": -1, "y_upper_50": 1, "q0.95": 4, "q0.1": -2, "q0.5": 0}
    assert list(columns) == list(expected)
    for name, distance in expected.items():
        np.testing.assert_array_equal(columns[name], y_pred + distance)


def test_all_of_a_few_series_are_shown_and_of_many_the_best_and_the_worst():
    few = {f"s{number}": {"skill": None} for number in range(SHOWN_SERIES)}
    many = {f"s{number}": {"skill": (number * 7 % 20) / 20} for number in range(20)} | {"none": {"skill": None}}

    shown = shown_series(many)

    assert shown_series(few) == list(few)
    ranked = sorted(range(20), key=lambda number: number * 7 % 20)
    assert set(shown) == {f"s{number}" for number in ranked[:4] + ranked[-4:]}
    assert shown == sorted(shown, key=list(many).index)
    assert len(shown_series({name: {"skill": None} for name in many})) == SHOWN_SERIES


def test_the_span_of_targets_counts_each_time_once():
    origins = np.array([3, 4, 5, 9])
    forecasts, clock = forecasts_of(origins, horizon=3), clock_for(origins, 3)
    times = {
        clock[origin + step]
        for origin, targets in zip(forecasts.origins, forecasts.y_true, strict=True)
        for step, target in enumerate(targets, start=1)
        if not math.isnan(target)
    }

    expected = {"windows": 8, "times": len(times), "first": str(min(times)), "last": str(max(times))}

    assert target_span(forecasts, clock) == expected


def test_a_table_is_read_as_it_was_written(tmp_path):
    table = pd.DataFrame({"series_id": ["NA", "007"], "timestamp": pd.to_datetime(["2024-01-01", "2024-01-02"])})
    table["y_pred"], table["other"] = [1.5, math.nan], 0
    table.to_csv(tmp_path / "table.csv", index=False)
    table.to_parquet(tmp_path / "table.parquet")

    for name in ("table.csv", "table.parquet"):
        again = read_table(tmp_path / name, "series_id", "timestamp", "y_pred")
        pd.testing.assert_frame_equal(again, table.drop(columns="other"), check_dtype=False)


def test_the_windows_of_some_series_are_read_alone(tmp_path):
    origins = np.arange(6)
    forecasts, clock = forecasts_of(origins, horizon=2), clock_for(origins, 2)
    (tmp_path / "all.parquet").write_bytes(parquet(forecasts, clock).getvalue())

    table = read_table(tmp_path / "all.parquet", *COLUMNS, series=["oil"])

    everything = list(slow_rows(forecasts, range(12), clock))
    assert 0 < len(table) < len(everything)
    assert_rows(table, [row for row in everything if row[0] == "oil"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_no_such_table_is_said_to_be_none(tmp_path, suffix):
    file = tmp_path / f"table.{suffix}"
    with pytest.raises(InputNotFoundError, match="table"):
        read_table(file, "y_pred")
    file.write_bytes(b"\x00garbage")
    with pytest.raises(ArtifactError, match="must be a table of y_pred"):
        read_table(file, "y_pred")
    pd.DataFrame({"x": [1]}).to_csv(file) if suffix == "csv" else pd.DataFrame({"x": [1]}).to_parquet(file)
    with pytest.raises(ArtifactError, match="must be a table of y_pred"):
        read_table(file, "y_pred")
