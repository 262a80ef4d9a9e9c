"""What stands for nothing is an empty cell in CSV and Parquet alike, and is told of where it is not named."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spline_lstm.data.columns import read_columns
from spline_lstm.data.marks import advice_on_marks, mark_of
from spline_lstm.data.series import read_panel
from spline_lstm.run.params import CovariateParams, DataParams

CLOCK = pd.date_range("2024-01-01", periods=6, freq="h")
MISSING = (-999.0, "?")
LOADS = {
    "CSV: whole numbers": [1, -999, 4, -9, 5, 8],
    "CSV: decimals": [1.5, -999.0, 0.1 + 0.2, -9, 5, 8],
    "CSV: texts": ["1.5", "?", "0.30000000000000004", "-999", "-999.00", "8"],
    "Parquet: whole numbers": np.array([1, -999, 4, -9, 5, 8], np.int16),
    "Parquet: decimals": [1.5, -999.0, 0.1 + 0.2, -9, 5, 8],
    "Parquet: texts": ["1.5", "?", "-999", "-9", "5", "8"],
    "Parquet: exact decimals": [Decimal(number) for number in ("1.5", "-999", "4", "-9", "5", "8")],
}


@pytest.mark.parametrize("kind", LOADS)
def test_named_cells_are_empty_and_all_others_keep_their_last_bit(kind, tmp_path):
    table = pd.DataFrame({"time": CLOCK.astype(str), "load": LOADS[kind]})
    path = tmp_path / ("table.csv" if kind.startswith("CSV") else "table.parquet")
    table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)

    found = pd.to_numeric(read_columns(path, ["time"], ["load"], missing=MISSING)["load"])

    expected = [np.nan if cell == "?" or float(cell) == -999 else float(cell) for cell in LOADS[kind]]
    np.testing.assert_array_equal(found.to_numpy(float), expected)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_categories_lose_their_marks_but_ids_and_timestamps_have_none(suffix, tmp_path):
    sites = ["?"] * 6 + ["north"] * 6
    kinds = ["wet", "?", "dry", "-999", "wet", "dry"] * 2
    loads = [1.0, 2, 4, 5, 7, 9] * 2
    table = pd.DataFrame({"time": [*CLOCK.astype(str)] * 2, "site": sites, "kind": kinds, "load": loads})
    path = tmp_path / f"table.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    data = DataParams(path=str(path), timestamp="time", target="load", series_id="site", missing=MISSING)

    panel = read_panel(path, data, CovariateParams(past="kind"))

    assert panel.ids == ("?", "north")
    assert panel.past["kind"].categories == ("dry", "wet")
    np.testing.assert_array_equal(panel.past["kind"].values, [1, np.nan, 0, np.nan, 1, 0] * 2)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([-999.0, -9999.0, 99999.0, 1e20, -32768.0]),
    st.floats(0.01, 0.9),
    st.booleans(),
)
def test_a_mark_among_noise_is_found_however_often_it_comes(seed, mark, share, grown):
    random = np.random.default_rng(seed)
    values = random.normal(20, 8, 600)
    values = np.abs(values) if grown else values
    values[random.random(600) < 0.1] = np.nan
    marked = np.where(random.random(600) < share, mark, values)
    count = int((marked == mark).sum())

    expected = (mark, count) if count >= 3 and len(np.unique(marked[~np.isnan(marked)])) > 20 else None
    assert mark_of(marked) == expected
    assert mark_of(values) is None


HONEST = {
    "a shop that is closed on Sundays": lambda random: np.where(
        np.arange(400) % 7 == 6, 0, random.normal(1e3, 50, 400)
    ),
    "rare demand": lambda random: random.binomial(1, 0.2, 400) * random.poisson(30, 400),
    "a capacity that is reached": lambda random: np.minimum(random.normal(90, 20, 400), 100),
    "degrees in whole numbers": lambda random: random.normal(5, 8, 400).round(),
    "counts of which one is 99": lambda random: np.minimum(random.poisson(60, 400), 99),
    "few levels": lambda random: random.choice([1, 2, 3, 50], 400),
    "no observation": lambda _: np.full(400, np.nan),
    "a constant": lambda _: np.full(400, -999.0),
    "two of a kind": lambda random: np.append(random.normal(0, 1, 400), [99, 99]),
}


@pytest.mark.parametrize("kind", HONEST)
def test_what_belongs_to_a_series_is_no_mark(kind):
    assert mark_of(HONEST[kind](np.random.default_rng(3))) is None


def test_sales_of_thousands_hide_no_number_below_zero_that_is_written_in_nines():
    sales = np.random.default_rng(3).integers(0, 5000, 400).astype(float)
    sales[::50] = -99

    assert mark_of(sales) == (-99, 8)


def test_advice_keeps_what_is_named_already():
    assert advice_on_marks(["?", -1.0], [-999.25, -1.0]) == "set data.missing to ['?', -1, -999.25]"
