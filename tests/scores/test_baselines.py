"""What a user would try first, spelled out with loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import ragged_source, source_of

from spline_lstm.data.windows import WindowIndex, origins_of
from spline_lstm.model.linear import RidgeForecaster
from spline_lstm.scores.baselines import CHUNK, baseline_forecasts, moving_average, naive, seasonal_naive


@given(steps=st.integers(1, 9), horizon=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_the_rules_forecast_what_their_names_say(steps, horizon, seed):
    history = np.random.default_rng(seed).normal(size=(3, steps))
    for window in range(3):
        for ahead in range(horizon):
            assert naive(history, horizon)[window, ahead] == history[window, -1]
            assert moving_average(history, horizon)[window, ahead] == pytest.approx(sum(history[window]) / steps)
            assert seasonal_naive(history, horizon)[window, ahead] == history[window, ahead % steps]


NO_EFFECTS = np.zeros((1, 0))
STARTS = [0, 7]  # of two rows; the second ends with the calendar


def source_and_windows(time, lookback, horizon):
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=time - start).cumsum().astype(np.float32) for start in STARTS]
    source = ragged_source(rows, STARTS, (), lookback, horizon)
    return rows, source, WindowIndex(*origins_of(source.layout, (0, time), lookback, horizon), dropped=0)


@pytest.mark.parametrize(("season", "averaged", "repeated"), [(1, 8, 1), (3, 3, 3), (8, 8, 8)])
def test_baselines_see_one_season_or_where_there_is_none_the_whole_lookback(season, averaged, repeated):
    rows, source, windows = source_and_windows(time=60, lookback=8, horizon=5)
    ridge = RidgeForecaster(np.eye(8, 5), NO_EFFECTS, penalty=0.1)

    forecasts = baseline_forecasts(source, windows, season, ridge)

    assert set(forecasts) == {"naive", "moving_average", "seasonal_naive", "ridge"}
    assert set(windows.rows) == {0, 1}
    for window, (row, origin) in enumerate(zip(windows.rows, windows.origins, strict=True)):
        last = origin - STARTS[row]
        known = rows[row][last - 7 : last + 1]
        np.testing.assert_array_equal(forecasts["naive"][window], np.full(5, known[-1]))
        np.testing.assert_allclose(forecasts["moving_average"][window], np.full(5, known[-averaged:].mean()), rtol=1e-5)
        np.testing.assert_array_equal(
            forecasts["seasonal_naive"][window], [known[i % repeated - repeated] for i in range(5)]
        )
        linear = (known - known[-1]) @ ridge.kernel + known[-1]
        np.testing.assert_allclose(forecasts["ridge"][window], linear, rtol=1e-5, atol=1e-5)


def test_a_season_repeats_at_its_own_phase():
    source = source_of(np.tile(np.arange(4, dtype=float), (2, 15)), lookback=12, horizon=6)
    windows = WindowIndex(*origins_of(source.layout, (0, 60), 12, 6), dropped=0)

    forecasts = baseline_forecasts(source, windows, 4, RidgeForecaster(np.zeros((12, 6)), NO_EFFECTS, 0.1))

    np.testing.assert_array_equal(forecasts["seasonal_naive"], source.outputs(windows.rows, windows.origins))


def test_every_window_beyond_the_first_chunk_is_forecast_too():
    rows, source, windows = source_and_windows(time=CHUNK // 2 + 50, lookback=2, horizon=1)
    assert len(windows) > CHUNK

    forecasts = baseline_forecasts(source, windows, 1, RidgeForecaster(np.zeros((2, 1)), NO_EFFECTS, 0.1))

    last = np.concatenate([row[1:-1] for row in rows])
    for name in ("naive", "ridge"):
        np.testing.assert_array_equal(forecasts[name][:, 0], last)
