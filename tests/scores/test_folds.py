"""Folds walk forward: their borders by a slow loop, what fits, and who is fitted with whom."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spline_lstm.run.errors import InsufficientDataError
from spline_lstm.run.params import Params, parse_params
from spline_lstm.scores.folds import fitted_together, train_part, train_share, walk_forward


def params_of(horizon: int = 5, **sections: object) -> Params:
    return parse_params(
        {
            "run_id": "r",
            "data": {"path": "x.csv", "timestamp": "when", "target": "load"},
            "windows": {"horizon": horizon},
            **sections,
        }
    )


def days(count: int) -> pd.DatetimeIndex:
    return pd.date_range("2024-01-01", periods=count, freq="D")


@given(
    time=st.integers(30, 300),
    horizon=st.integers(1, 12),
    windows=st.integers(1, 9),
    step=st.none() | st.integers(1, 30),
    rows=st.none() | st.integers(20, 200),
)
def test_borders_are_those_of_a_loop_that_walks_back_from_the_end(time, horizon, windows, step, rows):
    labels = days(time)
    try:
        folds = walk_forward(
            labels, params_of(horizon, backtest={"windows": windows, "step": step, "input": rows}), "UTC"
        )
    except InsufficientDataError:
        assume(False)

    end = time
    for fold in reversed(folds):
        origins = [at for at in range(end) if at + horizon < end and at + max(step or 0, horizon) >= end - 1]
        cutoff = origins[0]  # the first step from which all targets lie in the test part
        assert fold.until == labels[end - 1]
        assert fold.cutoff == labels[cutoff]
        assert fold.span == end - 1 - cutoff
        known = [at for at in range(cutoff + 1) if fold.since is None or labels[at] > fold.since]
        assert known[-1] == cutoff
        assert len(known) == (cutoff + 1 if rows is None else min(rows, cutoff + 1))
        end -= step or horizon
    assert [fold.number for fold in folds] == list(range(1, windows + 1))


def test_a_step_of_one_horizon_gives_one_origin_and_targets_that_neither_overlap_nor_leave_any_out():
    labels = days(100)

    folds = walk_forward(labels, params_of(7, backtest={"windows": 4}), "UTC")

    assert all(fold.span == 7 for fold in folds)
    assert [fold.cutoff for fold in folds[1:]] == [fold.until for fold in folds[:-1]]
    assert folds[-1].until == labels[-1]


def test_the_message_says_how_many_folds_fit():
    with pytest.raises(InsufficientDataError, match=r"50 folds of 5 steps in 100 steps, of which (\d+) fit") as caught:
        walk_forward(days(100), params_of(backtest={"windows": 50}), "UTC")
    fit = int(str(caught.value).split(" fit.")[0].split()[-1])

    assert len(walk_forward(days(100), params_of(backtest={"windows": fit}), "UTC")) == fit
    with pytest.raises(InsufficientDataError):
        walk_forward(days(100), params_of(backtest={"windows": fit + 1}), "UTC")


def test_more_folds_than_there_could_be_are_refused_without_a_list_of_them():
    with pytest.raises(InsufficientDataError, match=f"{2**31 - 1} folds of 5 steps in 100 steps, of which 1"):
        walk_forward(days(100), params_of(backtest={"windows": 2**31 - 1}), "UTC")


def test_what_is_enough_for_a_run_is_enough_for_a_fold_but_for_its_own_horizon():
    params = params_of(12, backtest={"windows": 1})

    assert len(walk_forward(days(3 * 13 + 12), params, "UTC")) == 1


def test_too_little_input_is_told_before_anything_is_fitted():
    with pytest.raises(InsufficientDataError, match="of which 0 fit"):
        walk_forward(
            days(100), params_of(windows={"horizon": 5, "lookback": 20}, backtest={"windows": 8, "input": 26}), "UTC"
        )


@pytest.mark.parametrize(
    ("refit", "expected"),
    [
        (True, [[1], [2], [3], [4], [5]]),
        (1, [[1], [2], [3], [4], [5]]),
        (2, [[1, 2], [3, 4], [5]]),
        (False, [[1, 2, 3, 4, 5]]),
    ],
)
def test_folds_go_with_the_newest_fit_before_them(refit, expected):
    folds = walk_forward(days(200), params_of(backtest={"windows": 5}), "UTC")

    assert [[fold.number for fold in group] for group in fitted_together(folds, refit)] == expected


def test_train_and_validation_share_what_is_known_as_they_share_the_series():
    shares = params_of(split={"train": 0.6, "validation": 0.2}).split
    counts = params_of(split={"train": 60, "validation": 20}).split
    dates = params_of(split={"train": "2024-02-29", "validation": "2024-03-20"}).split

    for split in (shares, counts, dates):
        assert train_share(days(100), split, "UTC", 2) == pytest.approx(0.75)
    assert train_share(days(7), shares, "UTC", 2) == train_share(days(1000), shares, "UTC", 2)
    assert train_part(80, 0.75, 2) == 60
    assert train_part(10, 0.76, 2) == 8  # the nearest number of steps
    assert train_part(10, 0.76, 3) == 7
    assert [train_part(2, share, 1) for share in (0.01, 0.99)] == [1, 1]
