"""Splits are chronological, and a window belongs to the one that holds all its targets."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.gaps import fill_gaps
from spline_lstm.data.windows import SPLITS, Splits, WindowSource, index_windows, split_series
from spline_lstm.run.errors import InsufficientDataError, ParamsError
from spline_lstm.run.params import SplitParams

lengths = st.integers(1, 6)
missing_masks = st.lists(st.booleans(), min_size=1, max_size=40)


def clock_source(time, lookback, horizon, rows=1):
    """Series whose values are their own steps."""
    clock = np.tile(np.arange(time, dtype=np.float32), (rows, 1))
    return WindowSource(fill_gaps(clock, season=1), clock, lookback, horizon)


def daily(steps):
    return pd.date_range("2024-01-01", periods=steps, freq="D")


@st.composite
def borders(draw):
    """Three splits of at least one step each."""
    sizes = draw(st.tuples(*[st.integers(1, 20)] * 3))
    return Splits(*np.cumsum(sizes).tolist())


@given(lookback=lengths, horizon=lengths, extra=st.integers(0, 20))
@settings(max_examples=50)
def test_targets_start_where_the_input_ends(lookback, horizon, extra):
    time = lookback + horizon + extra
    source = clock_source(time, lookback, horizon)
    origins = np.arange(lookback - 1, time - horizon)
    rows = np.zeros_like(origins)

    inputs, outputs = source.inputs(rows, origins), source.outputs(rows, origins)

    np.testing.assert_array_equal(inputs, origins[:, None] + np.arange(1 - lookback, 1))
    np.testing.assert_array_equal(outputs, origins[:, None] + np.arange(1, horizon + 1))


@given(splits=borders(), lookback=lengths, horizon=lengths)
@settings(max_examples=80)
def test_a_window_is_of_the_split_that_holds_all_its_targets(splits, lookback, horizon):
    ends = (0, splits.train, splits.validation, splits.test)
    for index, name in enumerate(SPLITS):
        expected = [
            origin
            for origin in range(lookback - 1, splits.test)
            if all(ends[index] <= origin + ahead < ends[index + 1] for ahead in range(1, horizon + 1))
        ]
        assert splits.origins(name, lookback, horizon).tolist() == expected


def usable_as_of(known, lookback, longest_gap, max_missing):
    """Judge the last `lookback` entries of what is known at an origin; True marks a missing step."""
    window = range(len(known) - lookback, len(known))
    missing = sum(known[step] for step in window)
    for step in window:
        length = 0
        if known[step]:
            first, last = step, step
            while first > 0 and known[first - 1]:
                first -= 1
            while last + 1 < len(known) and known[last + 1]:
                last += 1
            length = last - first + 1
        if length > longest_gap:
            return False
    return missing < lookback and missing / lookback <= max_missing


@given(masks=st.tuples(missing_masks, missing_masks), lookback=lengths, longest_gap=st.integers(1, 5), data=st.data())
@settings(max_examples=150)
def test_a_window_is_judged_by_the_gaps_known_at_its_origin(masks, lookback, longest_gap, data):
    time = min(map(len, masks))
    masks = np.array([mask[:time] for mask in masks])
    lookback = min(lookback, time)
    max_missing = data.draw(st.sampled_from([0.0, 0.25, 0.5, 0.75]))
    values = np.where(masks, np.nan, np.arange(time, dtype=float))
    source = WindowSource(fill_gaps(values, 1), values.astype(np.float32), lookback, 1)
    origins = np.repeat(np.arange(lookback - 1, time), 2)
    rows = np.tile([0, 1], len(origins) // 2)

    usable = source.usable(rows, origins, longest_gap, max_missing)

    assert usable.tolist() == [
        usable_as_of(masks[row, : origin + 1].tolist(), lookback, longest_gap, max_missing)
        for row, origin in zip(rows, origins, strict=True)
    ]


def test_missing_steps_of_inputs_are_marked_and_missing_targets_stay_missing():
    values = np.array([[0.0, np.nan, 2.0, 3.0, np.nan, 5.0]])
    source = WindowSource(fill_gaps(values, 1), values.astype(np.float32), lookback=3, horizon=2)
    window = np.array([0]), np.array([3])

    np.testing.assert_array_equal(source.missing(*window), [[1, 0, 0]])
    np.testing.assert_array_equal(source.outputs(*window), [[np.nan, 5]])


@given(masks=st.lists(missing_masks, min_size=1, max_size=3), lookback=lengths, horizon=lengths)
@settings(max_examples=80)
def test_every_window_of_a_split_is_either_listed_or_counted_as_dropped(masks, lookback, horizon):
    time = 40
    masks = np.array([(mask * time)[:time] for mask in masks])
    values = np.where(masks, np.nan, 1.0)
    source = WindowSource(fill_gaps(values, 1), np.ones_like(values, np.float32), lookback, horizon)
    splits = Splits(20, 30, time)
    for name in SPLITS:
        origins = splits.origins(name, lookback, horizon)
        pairs = [(origin, row) for origin in origins for row in range(len(masks))]
        kept = [
            (origin, row) for origin, row in pairs if usable_as_of(masks[row, : origin + 1].tolist(), lookback, 2, 0.5)
        ]
        if not kept:
            with pytest.raises(InsufficientDataError, match=f"The {name} split must hold a window"):
                index_windows(source, splits, name, 2, 0.5)
            continue
        windows = index_windows(source, splits, name, 2, 0.5)
        assert list(zip(windows.origins, windows.rows, strict=True)) == kept
        assert (len(windows), windows.dropped) == (len(kept), len(pairs) - len(kept))


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_too_short_for_one_horizon_has_no_window(name):
    source = clock_source(time=9, lookback=2, horizon=4)

    with pytest.raises(InsufficientDataError, match=name):
        index_windows(source, Splits(3, 6, 9), name, 1, 0.5)


def test_a_lookback_longer_than_the_series_has_no_window():
    with pytest.raises(InsufficientDataError, match="lookback 100"):
        index_windows(clock_source(time=30, lookback=100, horizon=1), Splits(10, 20, 30), "test", 1, 0.5)


@pytest.mark.parametrize(
    ("given_borders", "expected"),
    [
        ({"train": 0.5, "validation": 0.25}, (10, 15, 20)),
        ({"train": 0.5, "validation": 0.25, "test": 0.1}, (10, 15, 17)),
        ({"train": 12, "validation": 3}, (12, 15, 20)),
        ({"train": 12, "validation": 3, "test": 1}, (12, 15, 16)),
        ({"train": 12.0, "validation": 0.1}, (12, 14, 20)),
        # A date is the last one of its split; one between two steps ends before the later step.
        ({"train": "2024-01-10", "validation": "2024-01-12T11:00"}, (10, 12, 20)),
        ({"train": "2024-01-10", "validation": 4, "test": "2030-01-01"}, (10, 14, 20)),
    ],
)
def test_borders_are_shares_counts_or_last_dates(given_borders, expected):
    assert split_series(daily(20), SplitParams(**given_borders)) == Splits(*expected)


@given(steps=st.integers(20, 3000), train=st.sampled_from([0.5, 0.6, 0.7, 0.8]))
@settings(max_examples=100)
def test_shares_that_add_up_to_one_fit_every_series(steps, train):
    rest = (1 - train) / 2

    splits = split_series(daily(steps), SplitParams(train=train, validation=rest, test=rest))

    assert 0 < splits.train < splits.validation < splits.test <= steps


@pytest.mark.parametrize(
    "given_borders",
    [
        {"train": 0.9, "validation": 0.1},  # nothing left for test
        {"train": 25},
        {"train": 10, "validation": 5, "test": 6},
        {"train": "2024-01-15", "validation": "2024-01-10"},
        {"train": "2023-01-01"},
        {"train": "NaT"},
        {"train": "no date"},
        {"train": "2024-01-10T00:00+01:00"},
        {"validation": "99999-01-01"},
    ],
)
def test_borders_that_leave_a_split_empty_or_are_no_dates_are_refused(given_borders):
    with pytest.raises(ParamsError, match="split"):
        split_series(daily(20), SplitParams(**given_borders))


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_none_of_whose_targets_was_observed_is_refused(name):
    splits = Splits(20, 30, 40)
    start, end = splits.bounds(name)
    values = np.arange(40.0)[None]
    source = clock_source(40, 3, 2)
    values[0, start:end] = np.nan
    hidden = WindowSource(source.filled, values.astype(np.float32), 3, 2)

    with pytest.raises(InsufficientDataError, match=f"The {name} split must hold observed targets"):
        index_windows(hidden, splits, name, 5, 0.9)
    for other in set(SPLITS) - {name}:
        assert len(index_windows(hidden, splits, other, 5, 0.9))
