"""Pictures show what they are titled by, nothing silently left out, nothing cut off."""

import numpy as np
import pandas as pd
import pytest
from finished_runs import HORIZON, finished_run, hourly
from hypothesis import given
from hypothesis import strategies as st

from spline_lstm.pages.figures import DENSEST, png, thinned
from spline_lstm.pages.plots import DRAWN
from spline_lstm.run.contract import PICTURES

GAPS = {"longest": 6}


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    return finished_run(hourly(), tmp_path_factory.mktemp("complete"))


@pytest.fixture(scope="module")
def gappy(tmp_path_factory):
    """A gap of 30 steps, which is over the limit, and one of 4, which is filled."""
    table = hourly().drop(index=[*range(60, 90), *range(120, 124)])
    return finished_run(table, tmp_path_factory.mktemp("gappy"), gaps=GAPS)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Twelve series and twelve baselines, two of which are the same."""
    sizes = (1.5, *np.arange(2, 13))
    return finished_run(hourly(series=12), tmp_path_factory.mktemp("many"), errors=tuple(sizes))


def lines(axes, label):
    return [line for line in axes.lines if line.get_label() == label]


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_there_is_a_drawing_for_each_picture_of_the_contract():
    assert set(DRAWN) == set(PICTURES)


@pytest.mark.parametrize("name", sorted({*PICTURES} - {"backtest"}))  # which tests/pages/test_backtest_page.py has
@pytest.mark.parametrize("kind", ["complete", "gappy", "many"])
def test_a_picture_is_the_same_to_the_byte_and_its_legend_is_not_cut(request, name, kind):
    run = request.getfixturevalue(kind)

    figure = DRAWN[name](run)

    assert png(figure) == png(DRAWN[name](run))
    legend, page = figure.legends[0].get_window_extent(), figure.bbox
    assert page.x0 <= legend.x0 <= legend.x1 <= page.x1
    assert page.y0 <= legend.y0 <= legend.y1 <= page.y1
    assert all(legend.y1 <= axes.get_window_extent().y0 for axes in figure.axes)


def test_the_forecast_follows_the_history_with_its_intervals(complete):
    (axes,) = DRAWN["forecast"](complete).axes

    (history,), (forecast,) = lines(axes, "observed"), lines(axes, "forecast")
    assert history.get_xdata()[-1] < forecast.get_xdata()[0]
    np.testing.assert_array_equal(forecast.get_ydata(), complete.forecast["y_pred"])
    (interval,) = axes.collections
    heights = interval.get_paths()[0].vertices[:, 1]
    assert heights.min() == complete.forecast["y_lower"].min()
    assert heights.max() == complete.forecast["y_upper"].max()


def test_test_windows_are_a_stretch_that_can_be_read_and_one_window(complete):
    wide, zoom = DRAWN["test_windows"](complete).axes

    (actual,), (forecast,) = lines(wide, "observed"), lines(wide, "forecast")
    assert HORIZON * 2 <= len(forecast.get_xdata()) <= 200
    assert len(actual.get_xdata()) == len(forecast.get_xdata())
    (near,) = lines(zoom, "forecast")
    assert len(near.get_xdata()) == HORIZON
    newest = complete.predictions[complete.predictions["origin"] == complete.predictions["origin"].max()]
    np.testing.assert_array_equal(near.get_ydata(), newest["y_pred"])


def test_a_horizon_of_one_step_is_drawn(tmp_path):
    run = finished_run(hourly(), tmp_path, windows={"horizon": 1, "lookback": 24})

    for name in PICTURES:
        assert png(DRAWN[name](run)).startswith(b"\x89PNG")


def test_a_series_without_gaps_has_no_picture_of_a_gap(complete):
    figure = DRAWN["series"](complete)

    assert [axes.get_title(loc="left") for axes in figure.axes] == ["s00"]
    assert not any("filled" in label for label in labels(figure))


def test_splits_are_drawn_with_their_dates(complete):
    dated = labels(DRAWN["series"](complete))

    splits, clock = complete.prepared.splits, complete.prepared.timestamps
    for split in ("train", "validation", "test"):
        start, end = splits.bounds(split)
        assert f"{split}: {clock[start]:%Y-%m-%d %H:%M} to {clock[end - 1]:%Y-%m-%d %H:%M}" in dated


def test_a_gap_over_the_limit_is_not_drawn_as_filled(gappy):
    figure = DRAWN["series"](gappy)

    whole, over, filled = figure.axes
    assert "gap of 30 steps" in over.get_title(loc="left")
    assert "over the limit of 6, so not filled" in over.get_title(loc="left")
    assert "gap of 4 steps" in filled.get_title(loc="left")
    assert "as it was filled" in filled.get_title(loc="left")
    assert "gap over 6 steps, not filled" in labels(figure)
    clock = gappy.prepared.timestamps
    (dots,) = lines(whole, "filled")
    assert list(dots.get_xdata()) == list(clock[120:124])
    for axes in (over, filled):
        for label in ("filled, once the gap had closed", "filled, while it was open"):
            for line in lines(axes, label):
                drawn = pd.DatetimeIndex(line.get_xdata())[~np.isnan(line.get_ydata())]
                assert set(drawn) <= set(clock[120:124])
    (settled,) = lines(filled, "filled, once the gap had closed")
    expected = gappy.series("s00")["settled"].iloc[120:124]
    np.testing.assert_array_equal(settled.get_ydata()[~np.isnan(settled.get_ydata())], expected)


def test_every_one_of_a_few_series_is_shown(tmp_path):
    run = finished_run(hourly(series=7), tmp_path)

    for name in ("forecast", "series"):
        assert len(DRAWN[name](run).axes) == 7
    assert len(DRAWN["test_windows"](run).axes) == 14


def test_of_many_series_those_that_the_run_chose_are_shown(many):
    titles = [axes.get_title(loc="left") for axes in DRAWN["series"](many).axes]

    assert titles == many.shown
    assert len(titles) == 8


def test_no_baseline_is_left_out_however_many_there_are(many):
    axes, _ = DRAWN["error_by_horizon"](many).axes

    assert len(axes.lines) == 1 + 12
    colors = {line.get_color() if isinstance(line.get_color(), str) else tuple(line.get_color()) for line in axes.lines}
    assert len(colors) == 13


def test_what_intervals_held_is_shown_at_each_step_beside_what_was_wanted(tmp_path):
    run = finished_run(hourly(), tmp_path, evaluate={"coverage": [0.8, 0.95]})
    inside = run.predictions["y_true"].between(run.predictions["y_lower"], run.predictions["y_upper"])

    _, axes = DRAWN["error_by_horizon"](run).axes

    held, wanted = axes.lines
    np.testing.assert_allclose(held.get_ydata(), 100 * inside.groupby(run.predictions["step"]).mean())
    np.testing.assert_allclose(wanted.get_ydata(), 80)
    assert "80%" in axes.get_title(loc="left")


def test_baselines_that_are_the_same_are_one_line_with_both_names(tmp_path):
    run = finished_run(hourly(), tmp_path, errors=(2.0, 3.0))
    baselines, per_step = run.scores["baselines"], run.scores["per_step"]
    baselines["again"] = dict(baselines["off_by_2"])
    for row in per_step:
        row["again_rmse"] = row["off_by_2_rmse"]

    figure = DRAWN["error_by_horizon"](run)

    assert labels(figure) == ["model", "off by 2 = again", "off by 3", "coverage that was wanted"]


def test_a_dollar_in_a_name_is_no_formula(tmp_path):
    run = finished_run(hourly().assign(name=r"a$\b$c_d"), tmp_path)

    for name in PICTURES:
        assert png(DRAWN[name](run)).startswith(b"\x89PNG")


@given(seed=st.integers(0, 1000), steps=st.integers(DENSEST + 1, 3 * DENSEST), missing=st.floats(0, 1))
def test_thinning_keeps_extremes_and_invents_nothing(seed, steps, missing):
    rng = np.random.default_rng(seed)
    values = pd.Series(rng.normal(size=steps), pd.date_range("2024-01-01", periods=steps, freq="min"))
    values[rng.random(steps) < missing] = np.nan

    thin = thinned(values)

    assert len(thin) <= DENSEST
    pd.testing.assert_series_equal(thin, values[thin.index])
    np.testing.assert_equal([thin.min(), thin.max()], [values.min(), values.max()])


def test_no_line_crosses_closed_hours(tmp_path):
    table = hourly(steps=24 * 60)
    table = table[table["when"].dt.hour.between(8, 17)]
    run = finished_run(table, tmp_path, data={"closed": ["17:00-08:00"]})
    clock = run.prepared.timestamps
    assert (np.diff(clock) > pd.Timedelta("1h")).any()

    for name in ("forecast", "test_windows", "series"):
        for axes in DRAWN[name](run).axes:
            for label in ("observed", "forecast"):
                for line in lines(axes, label):
                    drawn = pd.Series(line.get_ydata(), pd.DatetimeIndex(line.get_xdata()))
                    joined = drawn.notna() & drawn.shift(-1).notna()
                    assert (drawn.index.to_series().diff().shift(-1)[joined] == pd.Timedelta("1h")).all()
                    assert set(drawn.dropna().index) <= set(clock.union(run.forecast["timestamp"]))


def test_an_observation_between_missing_ones_is_a_point(tmp_path):
    table = hourly()
    table = table.drop(index=[150, 152])
    run = finished_run(table, tmp_path, gaps=GAPS)

    whole = DRAWN["series"](run).axes[0]

    points = [line for line in whole.lines if line.get_linestyle() == "None" and line.get_label() != "filled"]
    assert [(len(line.get_xdata()), line.get_ydata()[0]) for line in points] == [(1, table["load"][151])]
