"""Rows of unequal length in one flat array, against lists of lists."""

from itertools import zip_longest

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import layout_of

from spline_lstm.data.layout import Layout

rows_and_starts = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), max_size=5)


def build(sizes):
    """Rows as lists, each cell of them another number, and their layout."""
    numbers = iter(range(1000))
    rows = [np.array([next(numbers) for _ in range(length)], float) for length, _ in sizes]
    return rows, layout_of(rows, [start for _, start in sizes])


def flat_of(rows):
    return np.concatenate([np.empty(0), *rows])


def as_lists(rows):
    return [row.tolist() for row in rows]


def steps_of(rows, layout):
    """Every step of every row: number of the row, calendar step, value."""
    return [
        (number, start + step, value)
        for number, (row, start) in enumerate(zip(rows, layout.starts.tolist(), strict=True))
        for step, value in enumerate(row)
    ]


@given(sizes=rows_and_starts)
@settings(max_examples=60)
def test_every_step_of_a_row_stands_where_positions_say(sizes):
    rows, layout = build(sizes)
    steps = steps_of(rows, layout)

    numbers, calendar, values = (np.array(column, int) for column in zip(*steps, strict=True)) if steps else [[]] * 3

    assert (len(layout), layout.size) == (len(rows), len(steps))
    assert layout.ends.tolist() == [start + length for length, start in sizes]
    if steps:
        np.testing.assert_array_equal(layout.positions(numbers, calendar), np.arange(len(steps)))
        np.testing.assert_array_equal(flat_of(rows)[layout.positions(numbers, calendar)], values)


@given(sizes=rows_and_starts, length=st.integers(1, 6))
@settings(max_examples=60)
def test_a_cut_holds_the_steps_of_its_row(sizes, length):
    rows, layout = build(sizes)
    fitting = [
        (number, layout.starts[number] + step, row[step : step + length].tolist())
        for number, row in enumerate(rows)
        for step in range(len(row) - length + 1)
    ]
    if not fitting:
        return
    numbers, starts, expected = zip(*fitting, strict=True)

    found = layout.cut(flat_of(rows), np.array(numbers), np.array(starts), length)

    assert found.tolist() == list(expected)


@given(sizes=rows_and_starts, border=st.integers(0, 25))
@settings(max_examples=60)
def test_rows_and_their_beginnings_come_back(sizes, border):
    rows, layout = build(sizes)
    earlier = [
        [value for step, value in enumerate(row) if start + step < border]
        for row, (_, start) in zip(rows, sizes, strict=True)
    ]

    assert as_lists(layout.split(flat_of(rows))) == as_lists(rows)
    assert as_lists(layout.before(flat_of(rows), border)) == earlier


@given(sizes=rows_and_starts, data=st.data())
@settings(max_examples=60)
def test_rows_that_are_kept_stay_as_they_were(sizes, data):
    rows, layout = build(sizes)
    kept = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))

    flat, smaller = layout.keep(flat_of(rows), np.array(kept, bool))

    remaining = [(row, size) for row, size, keep in zip(rows, sizes, kept, strict=True) if keep]
    assert as_lists(smaller.split(flat)) == as_lists(row for row, _ in remaining)
    assert smaller.starts.tolist() == [start for _, (_, start) in remaining]


@given(sizes=rows_and_starts, most=st.integers(1, 30))
@settings(max_examples=60)
def test_chunks_are_all_rows_in_order_as_many_at_a_time_as_fit(sizes, most):
    rows, layout = build(sizes)

    chunks = [list(range(len(rows))[chunk]) for chunk in layout.chunks(most)]

    assert [number for chunk in chunks for number in chunk] == list(range(len(rows)))
    for chunk, following in zip_longest(chunks, chunks[1:], fillvalue=[]):
        steps = sum(len(rows[number]) for number in chunk)
        assert chunk
        assert len(chunk) == 1 or steps <= most
        assert not following or steps + len(rows[following[0]]) > most


def test_a_rectangle_spans_the_calendar_in_every_row():
    layout = Layout.rectangular(3, 7)

    assert (layout.starts.tolist(), layout.ends.tolist(), layout.size) == ([0, 0, 0], [7, 7, 7], 21)
