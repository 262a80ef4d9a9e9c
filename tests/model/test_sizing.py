"""Derived sizes always make a model; given ones are kept as far as they fit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.model.sizing import BATCH, MOST_ROWS_IN_BATCH, NARROWEST, WIDEST, model_settings, train_settings
from spline_lstm.run.params import ModelParams, SplineParams, TrainParams

lengths = st.integers(1, 2000)
optional = st.none() | st.integers(1, 2000)


def sizes(spline=None, model=None, lookback=100, horizon=10, rows=1, windows=1000):
    return model_settings(spline or SplineParams(), model or ModelParams(), lookback, horizon, rows, windows)


@given(lookback=lengths, horizon=lengths, windows=st.integers(1, 10**8), segment=optional, coefficients=optional)
@settings(max_examples=150)
def test_coefficients_fit_their_segment_and_segments_their_window(lookback, horizon, windows, segment, coefficients):
    spline = SplineParams(segment=segment, coefficients=coefficients)

    found = sizes(spline, lookback=lookback, horizon=horizon, windows=windows)

    assert 1 <= found["coefficients"] <= found["segment"] <= lookback
    assert NARROWEST <= found["units"] <= WIDEST
    if segment is not None:
        assert found["segment"] == min(segment, lookback)
    if coefficients is not None:
        assert found["coefficients"] == min(coefficients, found["segment"])


@given(windows=st.lists(st.integers(1, 10**6), min_size=2, max_size=2).map(sorted))
@settings(max_examples=50)
def test_more_windows_never_make_a_narrower_model(windows):
    fewer, more = (sizes(windows=count)["units"] for count in windows)

    assert fewer <= more
    assert fewer & (fewer - 1) == 0, "a power of two"


@pytest.mark.parametrize("windows", [0, 1, 10**9])
def test_the_width_stays_in_its_range_at_the_extremes(windows):
    assert sizes(windows=windows)["units"] == (NARROWEST if windows < 2 else WIDEST)


def test_what_params_give_is_passed_on():
    spline = SplineParams(segment=12, coefficients=6, degree=2, penalty=0.5)
    model = ModelParams(cell="gru", units=24, dropout=0.1, linear=False, members=[24, 96])

    assert sizes(spline, model, lookback=48, horizon=5, rows=3) == {
        "lookback": 48,
        "horizon": 5,
        "rows": 3,
        "members": [24, 48],
        "segment": 12,
        "coefficients": 6,
        "degree": 2,
        "penalty": 0.5,
        "cell": "gru",
        "units": 24,
        "dropout": 0.1,
        "linear": False,
    }


@pytest.mark.parametrize(("rows", "batch_size"), [(1, BATCH), (7, 7 * BATCH), (5000, MOST_ROWS_IN_BATCH * BATCH)])
def test_a_batch_holds_windows_of_every_row_up_to_a_limit(rows, batch_size):
    found = train_settings(TrainParams(epochs=5), rows)

    assert found == TrainParams(epochs=5, batch_size=batch_size, augment=rows > 1)


@pytest.mark.parametrize("augment", [True, False])
def test_what_training_params_give_is_kept(augment):
    given_ = TrainParams(batch_size=5, augment=augment)

    assert train_settings(given_, 1) == train_settings(given_, 7) == given_
