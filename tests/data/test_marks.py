"""What stands for nothing is an empty cell in CSV and Parquet alike, and is told of where it is not named."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spline_lstm.data.marks import advice_on_marks, mark_of
from spline_lstm.data.series import read_panel
from spline_lstm.data.tables import read_table
from spline_lstm.run.params import CovariateParams, DataParams

CLOCK = pd.date_range("2024-01-01", periods=6, freq="h")
MISSING = (-999.9, "?", "-77", -(2**63), 1e100)
LOADS = {
    "CSV: whole numbers": [1, -77, 4, -9, -(2**63), 8],
    "CSV: decimals": [1.5, -999.9, 0.1 + 0.2, -9, 5, 8],
    "CSV: texts": ["1.5", "?", "0.30000000000000004", "-999.9", "-77.00", "8"],
    "CSV: blanks": [" 1.5", " ?", " 0.30000000000000004", " -999.90", " -77", "8"],
    "Parquet: whole numbers": np.array([1, -77, 4, -9, 5, 8], np.int16),
    "Parquet: 32 bits": np.array([1.5, -999.9, 4, -9, 5, 8], np.float32),
    "Parquet: decimals": [1.5, -999.9, 0.1 + 0.2, -9, 5, 8],
    "Parquet: texts": ["1.5", "?", "-999.90", "-77", "5", "8"],
    "Parquet: exact decimals": [Decimal(number) for number in ("1.5", "-999.90", "4.25", "-9", "5", "8")],
}


def load_of(tmp_path, cells, suffix, **params):
    path = tmp_path / f"table.{suffix}"
    table = pd.DataFrame({"time": pd.date_range(CLOCK[0], periods=len(cells), freq="h").astype(str), "load": cells})
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    return read_table(path, DataParams(path=str(path), timestamp="time", target="load", **params)).values[:, 0]


@pytest.mark.parametrize("kind", LOADS)
def test_named_cells_are_empty_and_all_others_keep_their_last_bit(kind, tmp_path):
    cells = LOADS[kind]

    found = load_of(tmp_path, cells, "csv" if kind.startswith("CSV") else "parquet", missing=MISSING)

    marks = {-999.9, float(np.float32(-999.9)), -77, -(2**63)}
    numbers = [np.nan if str(cell).strip() == "?" else float(cell) for cell in cells]
    np.testing.assert_array_equal(found, [np.nan if number in marks else number for number in numbers])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100), min_size=5))
def test_a_text_in_another_row_changes_no_bit_of_a_number(tmp_path_factory, numbers):
    folder = tmp_path_factory.mktemp("tables")
    written = [*map(repr, numbers), "-999.0"]

    alone = load_of(folder, written, "csv", missing=-999, on_bad_series="drop")
    beside = load_of(folder, [*written, "much"], "csv", missing=-999, on_bad_series="drop")

    np.testing.assert_array_equal(alone, [np.nan if number == -999 else number for number in (*numbers, -999)])
    np.testing.assert_array_equal(beside[:-1], alone)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_categories_lose_their_marks_but_ids_and_timestamps_have_none(suffix, tmp_path):
    sites = ["?"] * 6 + ["north"] * 6
    kinds = ["wet", "?", "dry", "-77", "wet", "dry"] * 2
    loads = [1.0, 2, 4, 5, 7, 9] * 2
    table = pd.DataFrame({"time": [*CLOCK.astype(str)] * 2, "site": sites, "kind": kinds, "load": loads})
    path = tmp_path / f"table.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    data = DataParams(path=str(path), timestamp="time", target="load", series_id="site", missing=MISSING)

    panel = read_panel(path, data, CovariateParams(past="kind"))

    assert panel.ids == ("?", "north")
    assert panel.past["kind"].categories == ("dry", "wet")
    np.testing.assert_array_equal(panel.past["kind"].values, [1, np.nan, 0, np.nan, 1, 0] * 2)


def found_in(values):
    return mark_of(values, np.zeros(len(values), int))


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([-99.9, -999.0, -9999.0, 99999.0, 1e20, -32768.0]),
    st.floats(0.01, 0.9),
    st.booleans(),
)
def test_a_mark_among_noise_is_found_however_often_it_comes(seed, mark, share, kept_in_32_bits):
    random = np.random.default_rng(seed)
    values = np.abs(random.normal(20, 8, 600))
    values[random.random(600) < 0.1] = np.nan
    marked = np.where(random.random(600) < share, mark, values)
    if kept_in_32_bits:
        mark, marked = float(np.float32(mark)), marked.astype(np.float32).astype(float)
    count = int((marked == mark).sum())

    expected = (mark, count) if count >= 3 and len(np.unique(marked[~np.isnan(marked)])) > 20 else None
    assert found_in(marked) == expected
    assert found_in(values) is None


HONEST = {
    "a shop that is closed on Sundays": lambda random: np.where(
        np.arange(400) % 7 == 6, 0, random.normal(1e3, 50, 400)
    ),
    "rare demand": lambda random: random.binomial(1, 0.2, 400) * random.poisson(30, 400),
    "a capacity that is reached": lambda random: np.minimum(random.normal(90, 20, 400), 100),
    "degrees in whole numbers": lambda random: random.normal(5, 8, 400).round(),
    "counts of which one is 99": lambda random: np.minimum(random.poisson(60, 400), 99),
    "percentages": lambda random: np.append(random.normal(35, 5, 400).round(1), [99, 99, 99]),
    "prices": lambda random: np.append(random.uniform(0.49, 5.49, 400).round(2), [9.99] * 5),
    "dear prices": lambda random: np.append(random.uniform(1, 60, 400).round(2), [99.99] * 5),
    "a frost": lambda random: np.append(random.uniform(0, 30, 400).round(), [-9.0] * 3),
    "a price of power at its cap": lambda random: np.append(random.normal(50, 20, 400), [3000.0] * 5),
    "a price of power at its floor": lambda random: np.append(random.normal(50, 20, 400), [-500.0] * 5),
    "few levels": lambda random: random.choice([1, 2, 3, 50], 400),
    "no observation": lambda _: np.full(400, np.nan),
    "a constant": lambda _: np.full(400, -999.0),
    "two of a kind": lambda random: np.append(random.normal(0, 1, 400), [99999, 99999]),
}


@pytest.mark.parametrize("kind", HONEST)
def test_what_belongs_to_a_series_is_no_mark(kind):
    assert found_in(HONEST[kind](np.random.default_rng(3))) is None


def test_what_a_series_is_all_the_time_is_no_mark():
    values = np.append(np.random.default_rng(3).normal(size=400), [99999.0] * 100)

    assert mark_of(values, np.append(np.zeros(400), np.ones(100))) is None


def test_sales_of_thousands_hide_no_number_below_zero_that_is_written_in_nines():
    sales = np.random.default_rng(3).integers(0, 5000, 400).astype(float)
    sales[::50] = -99

    assert found_in(sales) == (-99, 8)


def test_advice_keeps_what_is_named_already():
    assert advice_on_marks(["?", -1.0], [-999.25, -1.0]) == "set data.missing to ['?', -1, -999.25]"
