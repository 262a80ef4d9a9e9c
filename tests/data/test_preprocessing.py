"""A lookback that is left open is long enough to see something and leaves train rows to learn from."""

from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.preprocessing import LONGEST_LOOKBACK, _derived_lookback


@given(train=st.integers(20, 100_000), season=st.integers(1, 2000), horizon=st.integers(1, 10))
@settings(max_examples=200)
def test_a_derived_lookback_is_whole_seasons_where_one_fits_and_never_degenerate(train, season, horizon):
    lookback = _derived_lookback(train, horizon, season)

    room = (train - horizon) // 2
    assert 1 <= lookback <= min(LONGEST_LOOKBACK, max(room, 1))
    if 2 * season <= min(LONGEST_LOOKBACK, room):
        assert lookback % season == 0 or lookback == room
        assert lookback >= 2 * season
    if season > LONGEST_LOOKBACK:
        assert lookback == min(LONGEST_LOOKBACK, room)
