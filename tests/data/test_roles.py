"""Columns of covariates: what is held, what is unknown, what is lacking ahead, and what cannot be."""

import json

import numpy as np
import pandas as pd
import pytest

from spline_lstm.data.encoding import Column
from spline_lstm.data.roles import Encoding, lacking_ahead, series_layout
from spline_lstm.data.series import read_panel
from spline_lstm.run.errors import DataError
from spline_lstm.run.params import CovariateParams, DataParams

HORIZON, TRAIN = 3, 20
ALL = np.ones(2, bool)


def table(steps=30):
    """Two series, the second of which begins later; prices are known over the horizon."""
    rng = np.random.default_rng(0)
    parts = []
    for name, start in (("a", 0), ("b", 10)):
        clock = pd.date_range("2024-01-01", periods=steps + HORIZON, freq="h")[start:]
        part = pd.DataFrame({"site": name, "when": clock, "load": rng.normal(size=len(clock)).round(3)})
        part["price"] = np.arange(start, steps + HORIZON) % 7 + 10.0
        part["plan"] = np.where(np.arange(len(part)) % 3 == 0, "off", "on")
        part["wind"] = rng.normal(size=len(part)).round(3)
        part["size"], part["kind"] = 2.0 if name == "a" else 5.0, f"kind {name}"
        part.loc[part.index[-HORIZON:], ["load", "wind"]] = np.nan
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def read(tmp_path):
    def _read(content, categorical=None, **roles):
        path = tmp_path / "panel.csv"
        content.to_csv(path, index=False)
        data = DataParams(path=str(path), timestamp="when", target="load", series_id="site", frequency="h")
        return read_panel(path, data, CovariateParams(**roles), HORIZON, categorical=categorical)

    return _read


def encoding_of(panel, **roles):
    return Encoding.fit(panel, TRAIN, CovariateParams(calendar=False, **roles), "UTC")


def changed(column, value, site, hours):
    content = table().astype({column: object})
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(hours, unit="h")
    content.loc[(content["site"] == site) & content["when"].isin(times), column] = value
    return content


def test_a_series_ends_with_its_target_and_its_future_goes_on_for_a_horizon(read):
    panel = read(table(), future="price", past="wind")

    layout = series_layout(panel)
    assert layout.starts.tolist() == [0, 10]
    assert layout.ends.tolist() == [30, 30]
    assert len(panel.past["wind"].values) == layout.size
    assert len(panel.future["price"].values) == layout.size + 2 * HORIZON
    np.testing.assert_array_equal(panel.future["price"].values[:33], np.arange(33) % 7 + 10)


def test_a_missing_known_value_takes_the_one_before_it_and_the_mean_at_the_begin_of_a_series(read):
    panel = read(changed("price", np.nan, "b", [10, 11, 25, 26]), future="price")
    encoding = encoding_of(panel, future="price")

    known = encoding.known(panel, ALL)

    expected = encoding.future["price"].encode(Column(np.arange(10, 33) % 7 + 10.0))
    expected[[15, 16]] = expected[14]
    expected[[0, 1]] = 0  # and not the last price of series a
    np.testing.assert_allclose(known[33:], expected, atol=1e-6)


def test_series_that_are_left_out_take_their_known_and_static_values_with_them(read):
    panel = read(table(), future="price", static=["size", "kind"], past="wind")
    encoding = encoding_of(panel, future="price", static=["size", "kind"], past="wind")
    only_b = np.array([False, True])

    np.testing.assert_array_equal(encoding.known(panel, only_b), encoding.known(panel, ALL)[33:])
    np.testing.assert_array_equal(encoding.statics(panel, only_b), encoding.statics(panel, ALL)[1:])
    wind, layout = encoding.past_rows(panel, only_b)
    np.testing.assert_array_equal(wind, panel.past["wind"].values[30:])
    assert (layout.starts.tolist(), layout.lengths.tolist()) == ([10], [20])


def test_past_covariates_become_rows_one_series_after_the_other(read):
    content = table()
    content["sky"] = np.where(np.arange(len(content)) % 2, "dry", "wet")
    panel = read(content, past=["wind", "sky"])
    encoding = encoding_of(panel, past=["wind", "sky"])

    rows, layout = encoding.past_rows(panel, ALL)

    assert encoding.past_names() == ["wind", "sky=dry", "sky=wet"]
    for number, row in enumerate(layout.split(rows)):
        of_series = content[content["site"] == "ab"[number // 3]]
        expected = [of_series["wind"], of_series["sky"] == "dry", of_series["sky"] == "wet"][number % 3]
        np.testing.assert_array_equal(row, expected.to_numpy(float))


@pytest.mark.parametrize(("hours", "first"), [([31], 31), ([30, 32], 30), ([32], 32)])
def test_what_is_lacking_ahead_is_named_with_its_first_time(read, hours, first):
    complete = read(table(), future=["plan", "price"])
    panel = read(changed("price", np.nan, "b", hours), future=["plan", "price"])
    encoding = encoding_of(complete, future=["plan", "price"])

    since = pd.Timestamp("2024-01-01") + pd.Timedelta(hours=first)
    assert lacking_ahead(complete, encoding) == {}
    assert lacking_ahead(panel, encoding) == {1: f"no 'price' at {since}"}


def test_what_is_not_used_may_be_lacking(read):
    panel = read(changed("price", np.nan, "b", [31]).assign(price=lambda each: each["price"] * 0), future="price")

    assert lacking_ahead(panel, encoding_of(panel, future="price")) == {}


def test_a_gap_before_the_end_of_a_series_is_not_lacking(read):
    panel = read(changed("price", np.nan, "b", [28, 29]), future="price")

    assert lacking_ahead(panel, encoding_of(panel, future="price")) == {}


def test_a_category_after_the_train_rows_is_unknown_and_has_no_indicator(read):
    panel = read(changed("plan", "storm", "a", [25, 31]), future="plan")
    encoding = encoding_of(panel, future="plan")

    known = encoding.known(panel, ALL)

    assert encoding.unknown(panel) == {"plan": ["storm"]}
    np.testing.assert_array_equal(known[[25, 31]], np.zeros((2, 2)))
    np.testing.assert_array_equal(known[[24, 26]], [[1, 0], [0, 1]])
    assert encoding.findings(panel)["plan"] == {
        "role": "future",
        "categories": 2,
        "unknown": ["storm"],
        "constant": False,
        "missing_share": 0.0,
    }


def test_a_past_covariate_that_train_rows_do_not_hold_has_no_rows(read):
    content = table().assign(sky="")
    content.loc[content["when"] >= "2024-01-01 20:00", "sky"] = "dry"
    panel = read(content, past="sky")
    encoding = encoding_of(panel, past="sky")

    rows, layout = encoding.past_rows(panel, ALL)

    assert (encoding.past_names(), len(rows), len(layout)) == ([], 0, 0)
    assert encoding.unknown(panel) == {"sky": ["dry"]}


def test_an_empty_static_covariate_counts_as_the_mean(read):
    content = table()
    third = content[content["site"] == "a"].assign(site="c", size=np.nan, kind=None)
    panel = read(pd.concat([content, third]), static=["size", "kind"])

    statics = encoding_of(panel, static=["size", "kind"]).statics(panel, np.ones(3, bool))

    np.testing.assert_array_equal(statics, [[-1, 1, 0], [1, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize(
    ("column", "value", "said"), [("size", 7.5, "5 and 7.5"), ("kind", "other", "kind b and other")]
)
def test_a_static_covariate_that_varies_is_refused_by_column_and_series(read, column, value, said):
    with pytest.raises(DataError, match=f"'{column}' of series 'b' must have one value. Received: {said}"):
        read(changed(column, value, "b", [15]), static=["size", "kind"])


def test_an_encoding_survives_json(read):
    roles = {"past": "wind", "future": ["price", "plan"], "static": ["size", "kind"]}
    panel = read(table(), **roles)
    encoding = Encoding.fit(panel, TRAIN, CovariateParams(**roles, holidays="DE"), "Europe/Berlin")

    again = Encoding.restore(json.loads(json.dumps(encoding.content())))

    assert again == encoding
    np.testing.assert_array_equal(again.known(panel, ALL), encoding.known(panel, ALL))


def test_the_run_tells_numbers_from_texts_in_new_data(read):
    encoding = encoding_of(read(table(), future=["price", "plan"]), future=["price", "plan"])
    assert encoding.categorical == {"plan"}
    new = table().assign(plan="3", price="broken")

    panel = read(new, future="plan", categorical=encoding.categorical)

    assert panel.future["plan"].categories == ("3",)
    with pytest.raises(DataError, match=r"Column 'price' of series 'a' must hold finite numbers.* 'broken'"):
        read(new, future=["price", "plan"], categorical=encoding.categorical)


@pytest.mark.parametrize("column", ["price", "plan"])
def test_new_data_may_lack_every_value_of_a_column(read, column):
    encoding = encoding_of(read(table(), future=["price", "plan"]), future=["price", "plan"])
    new = table().assign(**{column: np.nan})

    panel = read(new, future=["price", "plan"], categorical=encoding.categorical)

    place = slice(0, 1) if column == "price" else slice(-2, None)
    assert not encoding.known(panel, ALL)[:, place].any()
