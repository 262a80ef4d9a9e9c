"""Names and numbers as people read them."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spline_lstm.pages.labels import baseline_labels, number, skill_of, table, time_format


@given(value=st.floats(1e-3, 1e8), sign=st.sampled_from([-1, 1]), digits=st.integers(1, 8))
def test_a_number_keeps_its_first_digits_and_no_power_of_ten(value, sign, digits):
    written = number(sign * value, digits)

    assert "e" not in written
    assert float(written.replace(",", "")) == pytest.approx(sign * value, rel=10.0 ** (1 - digits), abs=0.5)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "n/a"),
        (math.nan, "n/a"),
        (0.0, "0.000"),
        (371.23456, "371.2"),
        (1234567.8, "1,234,568"),
        (1e12, "1.000e+12"),
    ],
)
def test_numbers_as_they_are_written(value, written):
    assert number(value) == written


def test_baselines_that_score_the_same_share_a_label():
    scores = {"naive": {"rmse": 1.0, "mae": 0.5}, "ridge": {"rmse": 1.0, "mae": 0.4}}
    scores["seasonal_naive"] = dict(scores["naive"])

    assert baseline_labels(scores) == {"naive": "naive = seasonal naive", "ridge": "ridge"}


def test_a_name_cannot_break_its_table():
    lines = table(["series", "x"], [["a|b\nc", 1]]).splitlines()

    assert lines[2] == "| a\\|b c | 1 |"
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("skill", "margin", "written"),
    [(None, None, "n/a"), (0.25, None, "25.0%"), (0.25, 0.1, "25.0% ± 10.0"), (-1.0, 17.2, "-100.0% ± more than 100")],
)
def test_a_skill_stands_with_its_margin(skill, margin, written):
    assert skill_of({"skill": skill, "skill_margin": margin}) == written


@pytest.mark.parametrize(
    ("times", "written"),
    [
        (["2024-01-01", "2024-01-02"], "2024-01-02"),
        (["2024-01-01", "2024-01-02 03:04"], "2024-01-02 03:04"),
        (["2024-01-01 00:00:05", "2024-01-02 03:04"], "2024-01-02 03:04:00"),
    ],
)
def test_a_time_is_written_as_precisely_as_others_ask_for(times, written):
    moments = pd.DatetimeIndex(pd.to_datetime(times, format="ISO8601"))

    assert moments[-1].strftime(time_format(moments)) == written
