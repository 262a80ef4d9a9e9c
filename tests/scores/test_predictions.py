"""Forecasts as tables: every row spelled out."""

import io
import math

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.scores.evaluation import Forecasts
from spline_lstm.scores.predictions import (
    CHUNK,
    SHOWN_SERIES,
    SHOWN_WINDOWS,
    predictions_parquet,
    predictions_table,
    separate_windows,
    shown_series,
)

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
    forecasts = Forecasts(
        np.repeat([0, 1], counts), np.concatenate(origins), *rng.normal(size=(2, *shape)), np.ones((2, horizon))
    )
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


@given(skills=st.lists(st.none() | st.floats(-5, 1), min_size=1, max_size=3 * SHOWN_SERIES))
@settings(max_examples=60)
def test_of_many_series_the_best_and_the_worst_are_shown(skills):
    scores = {f"s{number}": {"skill": skill} for number, skill in enumerate(skills)}

    shown = shown_series(scores)

    assert shown == [name for name in scores if name in shown]
    if len(skills) <= SHOWN_SERIES:
        assert shown == list(scores)
        return
    known = sorted(skill for skill in skills if skill is not None)
    found = sorted(scores[name]["skill"] for name in shown)
    half = SHOWN_SERIES // 2
    assert found == (known if len(known) <= SHOWN_SERIES else known[:half] + known[-half:])
