"""Every window is accompanied by the covariates of its own series, whatever rows stand or were left out beside it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.covariates import DELAY_GROWTH, FINE_DELAYS, LONGEST_DELAY, Covariates
from spline_lstm.data.encoding import Column
from spline_lstm.data.lags import lag_operator
from spline_lstm.data.layout import Layout
from spline_lstm.data.preprocessing import prepare
from spline_lstm.data.series import read_panel
from spline_lstm.run.params import parse_params

HORIZON, LOOKBACK = 5, 12
STARTS, LENGTHS = (0, 40, 10, 0, 70), (200, 130, 190, 200, 100)
SKIES = np.array(["dry", "hail", "wet"])


@st.composite
def covariates(draw):
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    count, widths = draw(st.integers(1, 4)), draw(st.lists(st.integers(0, 3), min_size=3, max_size=3))
    layout = Layout(rng.integers(0, 5, count), rng.integers(4, 9, count))
    known, calendar, static = (
        rng.normal(size=(length, width)).astype(np.float32)
        for length, width in zip((layout.size, 14, count), widths, strict=True)
    )
    plain = Covariates(np.arange(count), 0, layout, known, calendar, widths[1] // 2, static)
    return plain.with_delays(draw(st.integers(0, 12)))


@given(covariates=covariates(), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_an_effect_is_the_sum_of_slopes_that_static_covariates_shift(covariates, seed):
    channels = covariates.channels
    width = channels["known"] + channels["delayed"] + channels["calendar"]
    effects = np.random.default_rng(seed).normal(size=(1 + channels["static"], width)).astype(np.float32)

    effect, layout = covariates.effect(effects), covariates.layout
    known, delayed = (list(layout.split(table)) for table in (covariates.known, covariates.delayed))
    for series, static in enumerate(covariates.static):
        whole = np.array([series]), layout.starts[[series]], layout.lengths[series]
        for step, value in enumerate(covariates.effect_steps(effect, *whole)[0]):
            shared = covariates.calendar[layout.starts[series] + step]
            now = np.concatenate([known[series][step], delayed[series][step], shared])
            expected = sum(now @ effect * factor for effect, factor in zip(effects, [1, *static], strict=True))
            assert value == pytest.approx(expected, abs=1e-4)


@given(covariates=covariates())
def test_delays_are_means_of_earlier_steps_under_lag_splines(covariates):
    longest = covariates.longest_delay
    operator = lag_operator(1 + longest, FINE_DELAYS, DELAY_GROWTH)
    known, delayed = (list(covariates.layout.split(table)) for table in (covariates.known, covariates.delayed))
    for own, later in zip(known, delayed, strict=True):
        held = np.concatenate([np.repeat(own[:1], longest, axis=0), own])  # before a series begins it was as then
        for step, row in enumerate(later):
            expected = operator[:, 1:].T @ held[step : step + longest + 1]
            np.testing.assert_allclose(row, expected.ravel(), atol=1e-5)
    assert covariates.with_delays(10_000).longest_delay == LONGEST_DELAY


@given(covariates=covariates())
def test_without_the_clock_the_last_features_of_the_calendar_are_gone(covariates):
    plain = covariates.without_clock()

    left = covariates.calendar.shape[1] - covariates.optional
    np.testing.assert_array_equal(plain.calendar, covariates.calendar[:, :left])
    assert plain.optional == 0
    assert plain.channels == covariates.channels | {"calendar": left}


def test_rows_without_covariates_have_none():
    none = Covariates.none(Layout(np.array([0, 3]), np.array([5, 4])), HORIZON)

    assert none.channels == {"past": 0, "known": 0, "delayed": 0, "calendar": 0, "static": 0}
    assert none.known[none.places(np.array([1]), np.array([3]), 4 + HORIZON)].shape == (1, 4 + HORIZON, 0)


def ragged_table():
    """Five series of two targets, the third of which is constant, the last of which lies in the test split alone."""
    rng = np.random.default_rng(0)
    parts = []
    for number, (start, length) in enumerate(zip(STARTS, LENGTHS, strict=True)):
        clock = pd.date_range("2024-01-01", periods=200 + HORIZON, freq="h")[start : start + length + HORIZON]
        part = pd.DataFrame({"site": f"s{number}", "when": clock})
        part[["load", "heat"]] = rng.normal(size=(len(part), 2)).cumsum(axis=0).round(3)
        part["wind"], part["price"] = rng.normal(number, 1 + number, size=(2, len(part))).round(3)
        part["sky"], part["size"] = SKIES[rng.integers(0, 3, len(part))], 10.0 * number
        part.loc[part.index[-HORIZON:], ["load", "heat", "wind", "sky"]] = np.nan  # of the future, only the price
        parts.append(part)
    parts[2]["load"] = parts[2]["load"].where(parts[2]["load"].isna(), 7.0)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    path = tmp_path_factory.mktemp("panel") / "panel.csv"
    table = ragged_table()
    table.to_csv(path, index=False)
    params = parse_params(
        {
            "run_id": "panel",
            "data": {
                "path": str(path), "timestamp": "when", "target": ["load", "heat"], "series_id": "site",
                "on_bad_series": "drop",
            },
            "covariates": {"past": ["wind", "sky"], "future": "price", "static": "size", "calendar": False},
            "windows": {"horizon": HORIZON, "lookback": LOOKBACK},
        }
    )  # fmt: skip
    panel = read_panel(path, params.data, params.covariates, HORIZON, split=params.split)
    return table.set_index(["site", "when"]), prepare(panel, params)


def test_a_row_that_is_left_out_takes_no_covariate_from_the_others(prepared):
    _, prepared = prepared

    assert list(prepared.dropped) == ["s2/load"]
    assert prepared.names == tuple(
        f"s{n}/{target}" for n in range(5) for target in ("load", "heat") if (n, target) != (2, "load")
    )
    past = ("wind", "sky=dry", "sky=hail", "sky=wet")
    assert prepared.channels[9:] == tuple(f"s{number}/{name}" for number in range(5) for name in past)
    assert prepared.lacking == {}
    assert prepared.source.covariates.channels == {"past": 4, "known": 4, "delayed": 0, "calendar": 0, "static": 1}


@pytest.mark.parametrize("row", range(9))
def test_a_window_holds_the_covariates_of_its_own_series(prepared, row):
    table, prepared = prepared
    layout, clock = prepared.layout, prepared.timestamps
    series, target = prepared.names[row].split("/")
    encoders = prepared.encoding
    for origin in (layout.starts[row] + LOOKBACK - 1, layout.ends[row] - 20, layout.ends[row] - 1):
        window = prepared.source.windows(np.array([row]), np.array([origin]))

        last = clock[origin]
        past = table.loc[series].loc[last - pd.Timedelta(hours=LOOKBACK - 1) : last]
        ahead = table.loc[series].loc[past.index[0] : last + pd.Timedelta(hours=HORIZON)]
        channels = [past["wind"].to_numpy(), *(past["sky"].eq(sky).to_numpy(float) for sky in SKIES)]
        names = [f"{series}/wind", *(f"{series}/sky={sky}" for sky in SKIES)]
        for number, (name, expected) in enumerate(zip(names, channels, strict=True)):
            place = prepared.channels.index(name)
            scaled = (expected - prepared.scaler.mean[place]) / prepared.scaler.std[place]
            np.testing.assert_allclose(window.past[0, :, number], scaled, atol=1e-5)
        price = encoders.future["price"].encode(Column(ahead["price"].to_numpy()))
        np.testing.assert_allclose(window.known[0], price, atol=1e-5)
        size = encoders.static["size"].encode(Column(past["size"].to_numpy()[:1]))
        np.testing.assert_allclose(window.static, size, atol=1e-6)
        values = (past[target] - prepared.scaler.mean[row]) / prepared.scaler.std[row]
        np.testing.assert_allclose(window.values[0], values, atol=1e-5)


def test_scales_of_past_covariates_come_from_train_rows_of_their_own_series(prepared):
    table, prepared = prepared
    border = prepared.timestamps[prepared.splits.train - 1]
    for number in range(4):
        wind = table.loc[f"s{number}", "wind"].loc[:border]

        place = prepared.channels.index(f"s{number}/wind")
        assert prepared.scaler.mean[place] == pytest.approx(wind.mean())
        assert prepared.scaler.std[place] == pytest.approx(wind.std(ddof=0))
