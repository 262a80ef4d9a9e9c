"""Splits are chronological, and a window belongs to the one that holds all its targets."""

import sys
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import layout_of, ragged_source, source_of

from spline_lstm.data import windows as windows_module
from spline_lstm.data.windows import SPLITS, Splits, WindowIndex, index_windows, origins_of, split_series, train_steps
from spline_lstm.run.errors import InsufficientDataError, ParamsError
from spline_lstm.run.params import SplitParams

lengths = st.integers(1, 6)
missing_masks = st.lists(st.booleans(), min_size=1, max_size=40)
# Of each row, which steps are missing, and the calendar step it begins at.
ragged_masks = st.lists(st.tuples(missing_masks, st.integers(0, 15)), min_size=1, max_size=4)
CALENDAR = 60  # steps, more than any row of ragged masks has


def clock_source(time, lookback, horizon):
    """A series whose values are its own steps."""
    return source_of(np.arange(time, dtype=float)[None], lookback=lookback, horizon=horizon)


def masked_rows(masks):
    """Rows whose values tell row and calendar step, and their starts."""
    rows = [
        np.where(mask, np.nan, 1000.0 * number + start + np.arange(len(mask)))
        for number, (mask, start) in enumerate(masks)
    ]
    return rows, [start for _, start in masks]


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


@given(splits=borders(), masks=ragged_masks, lookback=lengths, horizon=lengths)
@settings(max_examples=80)
def test_a_window_is_of_the_split_that_holds_all_its_targets(splits, masks, lookback, horizon):
    rows, starts = masked_rows(masks)
    for name in SPLITS:
        first, end = splits.bounds(name)

        found = origins_of(layout_of(rows, starts), (first, end), lookback, horizon)

        assert list(zip(*found, strict=True)) == [
            (row, origin)
            for row, (start, length) in enumerate(zip(starts, map(len, rows), strict=True))
            for origin in range(start + lookback - 1, start + length)
            if all(first <= origin + ahead < min(end, start + length) for ahead in range(1, horizon + 1))
        ]


@given(masks=ragged_masks, lookback=lengths, horizon=lengths)
@settings(max_examples=80)
def test_a_window_never_crosses_the_border_of_its_row(masks, lookback, horizon):
    rows, starts = masked_rows([([False] * len(mask), start) for mask, start in masks])
    source = ragged_source(rows, starts, lookback=lookback, horizon=horizon)

    numbers, origins = origins_of(source.layout, (0, CALENDAR), lookback, horizon)

    assert len(origins) == sum(max(0, len(row) - lookback - horizon + 1) for row in rows)
    if len(origins):
        own = (1000 * numbers + origins)[:, None]
        np.testing.assert_array_equal(source.inputs(numbers, origins), own + np.arange(1 - lookback, 1))
        np.testing.assert_array_equal(source.outputs(numbers, origins), own + np.arange(1, horizon + 1))


@given(masks=ragged_masks, lookback=lengths, horizon=lengths, seasons=st.sampled_from([(), (4.0,), (2.5, 7.0)]))
@settings(max_examples=80)
def test_a_row_among_others_gives_what_it_gives_alone(masks, lookback, horizon, seasons):
    rows, starts = masked_rows(masks)
    together = ragged_source(rows, starts, seasons, lookback, horizon)
    numbers, origins = origins_of(together.layout, (5, CALENDAR), lookback, horizon)

    for number, (row, start) in enumerate(zip(rows, starts, strict=True)):
        alone = ragged_source([row], [start], seasons, lookback, horizon)
        zeros, own = origins_of(alone.layout, (5, CALENDAR), lookback, horizon)
        np.testing.assert_array_equal(origins[numbers == number], own)
        among = numbers[numbers == number], own
        np.testing.assert_array_equal(
            together.filled.usable(*among, lookback, 2, 0.5), alone.filled.usable(zeros, own, lookback, 2, 0.5)
        )
        for part in ("inputs", "missing", "outputs"):
            if len(own):
                assert getattr(together, part)(*among).tobytes() == getattr(alone, part)(zeros, own).tobytes()


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


@given(masks=ragged_masks, lookback=lengths, longest_gap=st.integers(1, 5), data=st.data())
@settings(max_examples=150)
def test_a_window_is_judged_by_the_gaps_known_at_its_origin(masks, lookback, longest_gap, data):
    lookback = min(lookback, *(len(mask) for mask, _ in masks))
    max_missing = data.draw(st.sampled_from([0.0, 0.25, 0.5, 0.75]))
    source = ragged_source(*masked_rows(masks), lookback=lookback)
    windows = [(row, end) for row, (mask, _) in enumerate(masks) for end in range(lookback, len(mask) + 1)]
    origins = np.array([masks[row][1] + end - 1 for row, end in windows])

    usable = source.filled.usable(np.array([row for row, _ in windows]), origins, lookback, longest_gap, max_missing)

    assert usable.tolist() == [
        usable_as_of(masks[row][0][:end], lookback, longest_gap, max_missing) for row, end in windows
    ]


def test_missing_steps_of_inputs_are_marked_and_missing_targets_stay_missing():
    source = source_of(np.array([[0.0, np.nan, 2.0, 3.0, np.nan, 5.0]]), lookback=3, horizon=2)
    window = np.array([0]), np.array([3])

    np.testing.assert_array_equal(source.missing(*window), [[1, 0, 0]])
    np.testing.assert_array_equal(source.outputs(*window), [[np.nan, 5]])


@given(masks=ragged_masks, lookback=lengths, horizon=lengths, at_once=st.integers(1, 200))
@settings(max_examples=80)
def test_every_window_of_a_split_is_either_listed_or_counted_as_dropped(masks, lookback, horizon, at_once):
    masks = [*masks, ([False] * 40, 0)]  # a row with windows in every split that can have one
    rows, starts = masked_rows(masks)
    source = ragged_source(rows, starts, lookback=lookback, horizon=horizon)
    splits = Splits(20, 30, 45)
    for name in SPLITS:
        first, end = splits.bounds(name)
        pairs = [
            (row, origin)
            for row, (mask, start) in enumerate(masks)
            for origin in range(max(first - 1, start + lookback - 1), min(end, start + len(mask)) - horizon)
        ]
        kept = [
            (row, origin)
            for row, origin in pairs
            if usable_as_of(masks[row][0][: origin + 1 - starts[row]], lookback, 2, 0.5)
        ]
        with patch.object(windows_module, "STEPS_AT_ONCE", at_once):  # whichever rows are looked at together
            windows = index_windows(source, splits, name, 2, 0.5)
        assert list(zip(windows.rows, windows.origins, strict=True)) == kept
        assert (len(windows), windows.dropped) == (len(kept), len(pairs) - len(kept))


@given(pairs=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 12))), size=st.integers(1, 9))
@settings(max_examples=100)
def test_windows_kept_by_stretches_are_the_windows(pairs, size):
    rows, origins = np.array(sorted(pairs), np.int32).reshape(-1, 2).T

    windows = WindowIndex.of(rows, origins, dropped=3)

    assert len(windows) == len(pairs)
    np.testing.assert_array_equal([windows.rows, windows.origins], [rows, origins])
    chosen = np.arange(len(pairs))[::-2]
    np.testing.assert_array_equal(windows.at(chosen), [rows[chosen], origins[chosen]])
    chunks = list(windows.chunks(size))
    assert [len(part) for part, _ in chunks[:-1]] == [size] * (len(chunks) - 1)
    assert [pair for part in chunks for pair in zip(*part, strict=True)] == sorted(pairs)


@given(pairs=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1), most=st.integers(1, 30))
@settings(max_examples=100)
def test_few_of_many_windows_are_spread_evenly(pairs, most):
    windows = WindowIndex.of(*np.array(sorted(pairs), np.int32).T, dropped=3)

    fewer = windows.at_most(most)

    assert (len(fewer), fewer.dropped) == (min(most, len(windows)), 3)
    places = [sorted(pairs).index(pair) for pair in zip(fewer.rows, fewer.origins, strict=True)]
    if most > 1:
        assert (places[0], places[-1]) == (0, len(pairs) - 1)
    apart = np.diff(places)
    assert max(apart, default=1) - min(apart, default=1) <= 1


@given(masks=ragged_masks, lookback=lengths, horizon=lengths)
@settings(max_examples=60)
def test_a_split_without_a_usable_window_is_refused(masks, lookback, horizon):
    source = ragged_source(*masked_rows([([True] * len(mask), start) for mask, start in masks]), (), lookback, horizon)

    for name in SPLITS:
        with pytest.raises(InsufficientDataError, match=f"The {name} split must hold a window"):
            index_windows(source, Splits(20, 30, 45), name, 2, 0.5)


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_too_short_for_one_horizon_has_no_window(name):
    def sizes(others):
        return Splits(*np.cumsum([3 if each == name else others for each in SPLITS]).tolist())

    source, no_lookback_would_help = clock_source(time=13, lookback=2, horizon=4), r"shorten windows\.horizon\.$"

    with pytest.raises(
        InsufficientDataError, match=rf"The {name} .*enlarge split\.{name}, or {no_lookback_would_help}"
    ):
        index_windows(source, sizes(5), name, 1, 0.5)
    with pytest.raises(InsufficientDataError, match=rf"The {name} .*Give more data, or {no_lookback_would_help}"):
        index_windows(source, sizes(4), name, 1, 0.5)


def test_a_lookback_longer_than_the_series_has_no_window():
    with pytest.raises(InsufficientDataError, match=r"lookback 100, horizon 1, 81 steps.*or windows\.lookback\.$"):
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
        ({"train": "2024-01-10T00:00", "validation": "2024-01-12T00:00"}, (10, 12, 20)),
        ({"train": "2024-01-10", "validation": 4, "test": "2030-01-01"}, (10, 14, 20)),
    ],
)
def test_borders_are_shares_counts_or_last_dates(given_borders, expected):
    assert split_series(daily(20), SplitParams(**given_borders), "UTC") == Splits(*expected)


@pytest.mark.parametrize(
    ("given_borders", "least", "expected"),
    [
        ({}, 3, (14, 17, 20)),
        ({}, 4, (12, 16, 20)),
        ({"train": 0.2, "validation": 0.2}, 5, (4, 9, 20)),
        ({"train": 14, "validation": 3}, 4, (14, 17, 20)),
        ({"train": 0.7, "validation": 0.15, "test": 0.15}, 4, (14, 17, 20)),
    ],
    ids=["held", "made room for", "a long test", "counts", "a share of test"],
)
def test_shares_leave_validation_and_test_a_horizon(given_borders, least, expected):
    split = SplitParams(**given_borders)

    assert split_series(daily(20), split, "UTC", least) == Splits(*expected)
    assert train_steps(daily(20), split, "UTC", least) == expected[0]


@pytest.mark.parametrize(("zone", "last"), [("America/Los_Angeles", "2024-01-11T07"), ("Asia/Tokyo", "2024-01-10T14")])
def test_a_last_date_ends_with_its_local_day(zone, last):
    hours = pd.date_range("2024-01-01", periods=20 * 24, freq="h")

    splits = split_series(hours, SplitParams(train="2024-01-10", validation="2024-01-15"), zone)

    assert hours[splits.train - 1] == pd.Timestamp(last)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="it reads dates of one spelling, and refuses the others")
def test_a_date_of_another_spelling_holds_its_day_too():
    hours = pd.date_range("2024-01-01", periods=20 * 24, freq="h")
    spelled = [("2024-01-10", "2024-01-15"), ("20240110", "20240115"), ("2024-W02-3", "2024W031")]

    assert {split_series(hours, SplitParams(train=one, validation=two), "UTC") for one, two in spelled} == {
        Splits(240, 360, 480)
    }


@given(steps=st.integers(20, 3000), train=st.sampled_from([0.5, 0.6, 0.7, 0.8]))
@settings(max_examples=100)
def test_shares_that_add_up_to_one_fit_every_series(steps, train):
    rest = (1 - train) / 2

    splits = split_series(daily(steps), SplitParams(train=train, validation=rest, test=rest), "UTC")

    assert 0 < splits.train < splits.validation < splits.test <= steps


@pytest.mark.parametrize(
    "given_borders",
    [
        {"train": 0.9, "validation": 0.1},  # nothing left for test
        {"train": 0.7, "validation": 0.6},
        {"train": 25},
        {"train": 10, "validation": 5, "test": 6},
        {"train": "2024-01-15", "validation": "2024-01-10"},
        {"train": "2023-01-01"},
    ],
)
def test_borders_that_leave_a_split_empty_are_refused(given_borders):
    with pytest.raises(ParamsError, match="split"):
        split_series(daily(20), SplitParams(**given_borders), "UTC", 3)


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_none_of_whose_targets_was_observed_is_refused(name):
    splits = Splits(20, 30, 40)
    start, end = splits.bounds(name)
    values = np.arange(40.0)
    values[max(3, start) : end] = np.nan  # a train window has its own steps to look back on, and no others
    source = source_of(values[None], lookback=3, horizon=2)

    with pytest.raises(InsufficientDataError, match=f"The {name} split must hold observed targets"):
        index_windows(source, splits, name, 40, 0.9)
    for other in set(SPLITS) - {name}:
        assert len(index_windows(source, splits, other, 40, 0.9))
