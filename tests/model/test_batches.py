"""Batches hold every window once a pass, whole; what is added to them are windows, too."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from sources import bare_windows, waves

from spline_lstm.data.windows import UNKNOWN, WindowIndex, origins_of
from spline_lstm.model.batches import NAMELESS, MemberInputs, TrainBatches, augment
from spline_lstm.model.linear import Remainder

LOOKBACK, HORIZON = 12, 4


def batches_of(source, count, size=8, augmented=False):
    windows = WindowIndex.of(*origins_of(source.layout, (0, 300), LOOKBACK, HORIZON))
    seen = MemberInputs(Remainder(source, np.zeros((1, 0))), np.zeros(1, int))
    return windows, list(islice(TrainBatches(seen, windows, size, np.random.default_rng(0), augmented), count))


def test_a_pass_over_ragged_rows_holds_every_window_once_and_whole():
    source = waves(LOOKBACK, HORIZON, starts=(0, 270, 284), missing=0.0)
    windows, batches = batches_of(source, count=302 // 8)
    assert len(windows) == 285 + 15 + 1

    found = np.vstack([np.hstack([batch.values, targets]) for batch, targets in batches])

    rows = source.layout.split(source.filled.settled)
    every = np.vstack([np.lib.stride_tricks.sliding_window_view(row, LOOKBACK + HORIZON) for row in rows])
    every = every - every[:, [LOOKBACK - 1]]
    indices = [np.flatnonzero((every == window).all(axis=1)) for window in found]
    assert all(len(index) == 1 for index in indices)
    assert len({int(index[0]) for index in indices}) == 296


@pytest.mark.parametrize("augmented", [False, True])
def test_of_several_rows_some_windows_do_not_say_whose_they_are(augmented):
    source = waves(LOOKBACK, HORIZON, starts=(0, 100))
    source = replace(source, identities=np.array([2, 1], np.int32))
    windows, batches = batches_of(source, count=400, augmented=augmented)

    told = np.concatenate([batch.rows for batch, _ in batches])

    assert told.dtype == np.int32
    assert np.mean(told == UNKNOWN) == pytest.approx(NAMELESS, abs=0.02)
    # Whether a window tells does not depend on whose it is.
    assert np.mean(told[told != UNKNOWN] == 2) == pytest.approx(np.mean(windows.rows == 0), abs=0.02)


def test_windows_that_say_whose_they_are_say_the_truth():
    source = waves(LOOKBACK, HORIZON, starts=(0, 100), missing=0.0)
    _, batches = batches_of(source, count=40)

    first = np.lib.stride_tricks.sliding_window_view(next(source.layout.split(source.filled.settled)), LOOKBACK)
    first = first - first[:, -1:]
    for batch, _ in batches:
        for window, row in zip(batch.values, batch.rows, strict=True):
            assert row in (UNKNOWN, 1 if (first == window).all(axis=1).any() else 2)


def test_one_row_is_always_known():
    _, batches = batches_of(waves(LOOKBACK, HORIZON), count=100)

    assert all((batch.rows == 1).all() for batch, _ in batches)


def test_augmented_windows_are_sums_of_mirrored_windows():
    rng = np.random.default_rng(0)
    values, targets = rng.normal(size=(6, 8)).astype("float32"), rng.normal(size=(6, 3)).astype("float32")
    targets[2, 1] = np.nan

    batch = bare_windows(values, np.zeros_like(values), np.ones(6, np.int32), 3)

    found, wanted = augment(batch, targets, np.random.default_rng(1))

    whole = np.hstack([values, targets])
    for window, new in enumerate(np.hstack([found.values, wanted])):
        assert sum(is_sum(new, whole[window], other) for other in whole) == 1


def is_sum(new, window, other):
    """Whether `new` is the window or its mirror image plus a multiple of another, missing where either is."""
    known = np.isfinite(window + other)
    if not np.array_equal(known, np.isfinite(new)):
        return False
    design = np.stack([window, other], axis=1)[known]
    weights, *_ = np.linalg.lstsq(design, new[known], rcond=None)
    sign = weights.sum() if window is other else weights[0]
    return np.allclose(design @ weights, new[known], atol=1e-4) and (window is other or abs(abs(sign) - 1) < 1e-4)
