"""Numbers come to one scale and categories to indicators, by what train rows hold and nothing else."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.encoding import FEWEST_OF_A_CURVE, MOST_CATEGORIES, Column, Encoder

numbers = st.lists(st.floats(-1e6, 1e6) | st.just(np.nan), min_size=1, max_size=40).map(np.array)
words = st.lists(st.sampled_from(["", "dry", "wet", "hail"]), min_size=1, max_size=40)


def categorical(cells):
    """A column as it is read; an empty text is an empty cell."""
    categories = tuple(sorted(set(cells) - {""}))
    return Column(np.array([categories.index(cell) if cell else np.nan for cell in cells]), categories)


@given(train=numbers, later=numbers, bent=st.booleans())
@settings(max_examples=100)
def test_numbers_are_standardized_by_train_rows_and_empty_cells_stay_missing(train, later, bent):
    encoder = Encoder.fit(Column(train), bent)

    features = encoder.encode(Column(later))

    known = train[~np.isnan(train)]
    if encoder.varies:
        np.testing.assert_allclose(features[:, 0], (later - known.mean()) / known.std(), rtol=1e-6, atol=1e-6)
    else:
        assert not known.size or known.max() - known.min() <= 1e-12 * abs(known).max()
        assert features.shape == (len(later), 0)
    np.testing.assert_array_equal(np.isnan(features), np.isnan(later)[:, None] & np.ones_like(features, bool))
    assert features.shape[1] == len(encoder.names("price"))


@given(count=st.integers(1, 20))
def test_a_response_may_be_bent_where_train_rows_hold_enough_numbers(count):
    encoder = Encoder.fit(Column(np.arange(count, dtype=float)), bent=True)

    assert bool(encoder.bends) == (count >= FEWEST_OF_A_CURVE)
    assert not Encoder.fit(Column(np.arange(count, dtype=float))).bends


def test_with_bends_a_kinked_response_is_linear_in_the_features():
    train = np.random.default_rng(0).normal(10, 3, 400)
    encoder = Encoder.fit(Column(train), bent=True)
    median = np.quantile(train, 0.5)
    response = np.where(train > median, 2 * (train - median), -0.5 * (train - median))

    features = np.column_stack([np.ones(400), encoder.encode(Column(train))])

    weights = np.linalg.lstsq(features, response, rcond=None)[0]
    np.testing.assert_allclose(features @ weights, response, atol=1e-8)


@given(train=words, later=words)
@settings(max_examples=100)
def test_categories_are_indicators_of_what_train_rows_hold(train, later):
    encoder, column = Encoder.fit(categorical(train)), categorical(later)
    if not column.categories or not categorical(train).categories:
        return  # columns of empty cells are no categories

    features = encoder.encode(column)

    known = sorted(set(train) - {""})
    told = known if len(known) > 1 else []
    for cell, row in zip(later, features, strict=True):
        expected = [np.nan] * len(told) if not cell else [float(cell == category) for category in told]
        np.testing.assert_array_equal(row, expected)
    assert encoder.unknown(column) == sorted(set(later) - {""} - set(known))
    assert encoder.names("sky") == [f"sky={category}" for category in told]


@pytest.mark.parametrize("train", [Column(np.array([3.0, np.nan, 3.0])), categorical(["dry", "dry"])])
def test_what_train_rows_tell_nothing_of_is_no_feature_whatever_comes(train):
    encoder, later = Encoder.fit(train, bent=True), replace(train, values=np.array([1e30, 0.0, np.nan]))

    assert encoder.encode(later).shape == (3, 0)
    assert encoder.names("price") == []


def test_a_category_that_no_train_row_holds_has_no_indicator():
    column = categorical(["dry", "wet", "hail"])

    encoder = Encoder.fit(column.at(np.array([0, 1])))

    np.testing.assert_array_equal(encoder.encode(column), [[1, 0], [0, 1], [0, 0]])


def test_categories_of_which_train_rows_hold_none_are_all_unknown():
    column = categorical(["", "", "dry", "wet"])

    encoder = Encoder.fit(column.at(np.array([0, 1])))

    assert encoder.names("sky") == []
    assert encoder.encode(column).shape == (4, 0)
    assert encoder.unknown(column) == ["dry", "wet"]


def test_of_many_categories_the_most_frequent_are_told_apart():
    cells = [f"c{number:03}" for number in range(MOST_CATEGORIES + 5) for _ in range(number + 1)]

    encoder = Encoder.fit(categorical(cells))

    assert encoder.categories == tuple(f"c{number:03}" for number in range(5, MOST_CATEGORIES + 5))


@pytest.mark.parametrize(
    "column",
    [Column(np.arange(20.0)), categorical(["dry", "wet", ""]), categorical(["dry", ""]).at(np.array([1]))],
    ids=["numbers", "categories", "none in train"],
)
def test_an_encoder_survives_json(column):
    encoder = Encoder.fit(column, bent=True)

    assert Encoder.restore(json.loads(json.dumps(encoder.content()))) == encoder
