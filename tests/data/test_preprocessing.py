"""A lookback that is left open is long enough to see something and leaves train rows to learn from."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.preprocessing import LONGEST_LOOKBACK, _derived_lookback

some_seasons = st.lists(st.integers(2, 2000) | st.floats(2, 2000), max_size=3).map(lambda found: tuple(sorted(found)))


@given(train=st.integers(20, 100_000), seasons=some_seasons, horizon=st.integers(1, 10))
@settings(max_examples=300)
def test_a_derived_lookback_is_whole_seasons_where_one_fits_and_never_degenerate(train, seasons, horizon):
    lookback = _derived_lookback(train, horizon, seasons)

    most = max(1, min(LONGEST_LOOKBACK, (train - horizon) // 2))
    assert 1 <= lookback <= most
    held = [season for season in seasons if round(season) <= most]
    if held:
        assert lookback == most or lookback == round(round(lookback / held[0]) * held[0])
        assert all(round(season) <= lookback for season in held)
        assert all(2 * season <= lookback + 1 for season in held if 2 * season <= most)
    elif seasons:
        assert lookback == most


@pytest.mark.parametrize(
    ("train", "seasons", "lookback"),
    [
        (8640, (24.0,), 480),
        (8640, (24.0, 168.0), 480),
        (8640, (24.0, 8766.0), 480),
        (1400, (24.0, 168.0), 336),
        (2400, (45.0, 315.0), 315),
        (2556, (365.25,), 365),
        (1500, (7.0, 365.25), 371),
        (1598, (365.25 / 7,), 157),
        (100, (12.0,), 24),
        (8640, (), 480),
        (1000, (), 100),
        (20_000, (8766.0,), 480),
    ],
)
def test_lookbacks_of_common_calendars(train, seasons, lookback):
    assert _derived_lookback(train, 24, seasons) == lookback
