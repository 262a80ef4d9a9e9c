"""Names and numbers as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spline_lstm.pages.labels import baseline_labels, number, table


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
