"""What is left open is resolved on train rows: seasons, and a lookback that leaves rows to learn from."""

import re
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, SHARED
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.data.prepared import Fitted, fitted, preprocessor_content
from spline_lstm.data.preprocessing import LONGEST_LOOKBACK, _derived_lookback, prepare, prepare_for_forecast
from spline_lstm.data.series import read_panel
from spline_lstm.data.windows import SPLITS
from spline_lstm.run.errors import DataError, InsufficientDataError
from spline_lstm.run.files import read_pickle, write_pickle
from spline_lstm.run.params import parse_params

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


LIMITS = ("floor", "ceiling")  # told by quantiles, in which a wrong value counts as one


def prepared_from(path, timestamp, target, data=MappingProxyType({}), split=MappingProxyType({}), **windows):
    params = parse_params(
        {
            "run_id": "demo",
            "data": {"path": str(path), "timestamp": timestamp, "target": target, **data},
            "windows": {"horizon": 24, **windows},
            "split": dict(split),
        }
    )
    return prepare(read_panel(Path(path), params.data), params), params


@pytest.fixture
def load(tmp_path):
    """Half a year of hours with a day and a week."""
    steps = np.arange(24 * 7 * 26)
    values = np.sin(2 * np.pi * steps / 24) + np.where(steps // 24 % 7 < 5, 0.5, -1.25)
    values += 0.2 * np.random.default_rng(0).normal(size=len(steps))
    path = tmp_path / "load.csv"
    clock = pd.date_range("2024-01-01", periods=len(steps), freq="h")
    pd.DataFrame({"when": clock, "load": values}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("split", [{}, {"train": 0.7, "validation": 0.15, "test": 0.15}], ids=["left", "shares"])
@pytest.mark.parametrize("horizon", [1, 6, 8, 14])
def test_as_many_rows_as_a_message_asks_for_are_enough(load, tmp_path, horizon, split):
    def first(rows):
        pd.read_csv(load).head(rows).to_csv(tmp_path / "first.csv", index=False)
        return tmp_path / "first.csv"

    with pytest.raises(InsufficientDataError, match=f"for a horizon of {horizon} in three") as refused:
        prepared_from(first(5), "when", "load", split=split, horizon=horizon)
    asked = int(re.search(r"Give (\d+) steps", str(refused.value))[1])
    prepared, _ = prepared_from(first(asked), "when", "load", split=split, horizon=horizon)

    assert all(len(prepared.windows(split)) for split in SPLITS)


def test_all_seasons_are_kept_and_those_are_used_that_the_lookback_holds(load):
    whole, _ = prepared_from(load, "when", "load")
    short, _ = prepared_from(load, "when", "load", lookback=100)

    assert whole.settings.seasons == whole.settings.used_seasons == short.settings.seasons == (24, 168)
    assert (whole.settings.lookback, whole.settings.season) == (336, 168)
    assert (short.settings.used_seasons, short.settings.season) == ((24,), 24)


def test_settings_are_read_back_as_they_were(load, tmp_path):
    prepared, params = prepared_from(load, "when", "load")
    write_pickle(tmp_path / "preprocessor.pkl", preprocessor_content(prepared, params.data, params.covariates))

    assert fitted(read_pickle(tmp_path / "preprocessor.pkl")).settings == prepared.settings


def test_later_rows_have_no_part_in_the_settings(load, tmp_path):
    before, _ = prepared_from(load, "when", "load")
    table = pd.read_csv(load)
    later = table.index >= before.splits.train
    table["load"] = table["load"].where(~later, 100 * np.random.default_rng(1).normal(size=len(table)))
    table.to_csv(tmp_path / "altered.csv", index=False)

    after, _ = prepared_from(tmp_path / "altered.csv", "when", "load")

    assert after.settings == before.settings


def test_weeks_of_carbon_dioxide_have_a_year():
    settings = prepared_from(ROOT / "data/raw/co2_weekly.csv", "date", "co2")[0].settings

    assert settings.seasons == pytest.approx((365.25 / 7,))
    assert (settings.season, settings.lookback) == (52, 157)


@pytest.mark.parametrize(("season", "found"), [(0.0, ()), (0.2, (7,))])
@pytest.mark.parametrize("seed", range(3))
def test_the_season_of_what_grows_is_sought_in_logarithms(season, found, seed, tmp_path):
    """Eight weeks of days, the last season thirty times the first one."""
    steps, noise = np.arange(56), np.random.default_rng(seed).normal(0, 0.05, 56)
    values = 20 * np.exp(3.5 * steps / 56 + season * np.sin(2 * np.pi * steps / 7) + noise)
    days = pd.date_range("2024-01-01", periods=56, freq="D")
    pd.DataFrame({"day": days, "sold": values}).to_csv(tmp_path / "sold.csv", index=False)

    settings = prepared_from(tmp_path / "sold.csv", "day", "sold", horizon=7)[0].settings

    assert settings.log or not season
    assert settings.seasons == pytest.approx(found)


@pytest.mark.skipif(not (SHARED / "data/ETTh1.csv").exists(), reason="its licence lets no copy stand here")
def test_hours_of_transformers_have_a_day():
    settings = prepared_from(SHARED / "data/ETTh1.csv", "date", ["HUFL", "MULL", "OT"])[0].settings

    assert (settings.seasons, settings.lookback) == ((24,), 480)


@pytest.fixture
def sold(tmp_path):
    """Two products of positive sales, with the weather, as a run with logarithms prepares them; and the file."""
    rng, path = np.random.default_rng(0), tmp_path / "sold.csv"
    days = pd.date_range("2024-01-01", periods=200, freq="D")
    parts = [
        pd.DataFrame({"day": days, "item": name, "sold": rng.gamma(9, 2, 200) + 1, "temp": rng.normal(size=200)})
        for name in ("a", "b")
    ]
    table = pd.concat(parts)
    table.to_csv(path, index=False)
    columns = {"path": str(path), "timestamp": "day", "target": "sold", "series_id": "item", "log": True}
    sections = {"data": columns, "covariates": {"past": ["temp"]}, "windows": {"horizon": 5, "lookback": 14}}
    params = parse_params({"run_id": "sold", **sections})
    return prepare(read_panel(path, params.data, params.covariates), params), params, table, path


def fit_of(run):
    return Fitted(run.channels, run.settings, run.scaler, run.source.identities, run.encoding)


def again(sold, table, before=None):
    """Another file, prepared as the run was."""
    run, params, _, path = sold
    table.to_csv(path, index=False)
    last = run.timestamps[run.splits.train - 1]
    panel = read_panel(path, params.data, params.covariates)
    return prepare_for_forecast(panel, fit_of(run), params.data, last, before)


def assert_same_scales(one, other):
    for name, statistic in vars(one.scaler).items():
        np.testing.assert_array_equal(getattr(other.scaler, name), statistic, err_msg=name)


def test_a_known_series_may_be_zero_or_the_same_all_through_a_new_file(sold):
    before, _, table, _ = sold
    rows = (table["item"] == "a").to_numpy() & (table["day"] > "2024-06-20").to_numpy()

    with_zeros = again(sold, table.assign(sold=table["sold"].mask(rows, 0.0)))
    same = again(sold, table.assign(sold=table["sold"].mask(table["item"] == "a", 7.0)))

    for series in (with_zeros, same):
        assert series.names[:2] == ("a", "b")
        assert not series.dropped
        np.testing.assert_array_equal(series.scaler.mean, before.scaler.mean)
        assert np.isfinite(series.source.filled.settled).all()


def test_a_new_series_must_vary_and_have_logarithms(sold):
    table = sold[2]
    other = table[table["item"] == "a"].assign(item="c")

    for values, said in ((7.0, "'c' must vary"), (-other["sold"], "'c' must be above zero for data.log")):
        with pytest.raises(DataError, match=said):
            again(sold, pd.concat([table, other.assign(sold=values)]))


def test_a_series_that_began_since_a_fit_has_the_scale_of_rows_before_the_cutoff(sold):
    table, before = sold[2], 170
    new = table[table["item"] == "a"].assign(item="c")
    later = new["day"] >= sold[0].timestamps[before]

    one, other = (
        again(sold, pd.concat([table, new.assign(sold=new["sold"].where(~later, factor * new["sold"]))]), before)
        for factor in (1, 3)
    )

    assert "c" in one.names
    assert_same_scales(one, other)


def test_a_series_that_begins_late_has_the_scale_of_its_first_lookback(sold):
    run, params, table, path = sold
    first = 170
    late = table[(table["item"] == "a") | (table["day"] >= run.timestamps[first])]
    beyond = (late["item"] == "b") & (late["day"] >= run.timestamps[first + run.settings.lookback])
    prepared = []
    for factor in (1, 3):
        late.assign(sold=late["sold"].where(~beyond, factor * late["sold"])).to_csv(path, index=False)
        prepared.append(prepare(read_panel(path, params.data, params.covariates), params))

    assert prepared[0].splits.train < first
    assert_same_scales(*prepared)


def test_a_new_series_has_no_limits_of_another(sold):
    table = sold[2]
    far = table[table["item"] == "a"].assign(item="c", sold=lambda each: each["sold"] + 1e5)

    series = again(sold, pd.concat([table, far]))

    assert "c" in series.names
    assert series.source.filled.observed.all()


def test_a_new_series_with_the_name_of_a_past_covariate_is_unknown(sold):
    table = sold[2]
    named = sold[0].channels[2:]

    series = again(sold, pd.concat([table, table[table["item"] == "a"].assign(item=named[0])]))

    assert series.source.identities.tolist() == [1, 0, 2]


def test_a_series_that_training_does_not_see_changes_nothing_of_what_it_sees(tmp_path):
    days = pd.date_range("2024-01-01", periods=200, freq="D")
    noise = np.random.default_rng(0).normal(size=(3, 200))
    parts = [
        pd.DataFrame({"day": days, "item": item, "sold": row, "size": size})
        for item, row, size in zip(["a", "b", "c"], noise, [9, 1, 2], strict=True)
    ]
    parts[0] = parts[0].tail(25)  # within the test split
    params = parse_params(
        {
            "run_id": "a",
            "data": {"path": "t.csv", "timestamp": "day", "target": "sold", "series_id": "item", "frequency": "D"},
            "covariates": {"static": "size"},
            "windows": {"horizon": 3, "lookback": 7},
        }
    )
    prepared = []
    for number, chosen in enumerate((parts, parts[1:])):
        path = tmp_path / f"{number}.csv"
        pd.concat(chosen).to_csv(path, index=False)
        prepared.append(prepare(read_panel(path, params.data, params.covariates, split=params.split), params))

    late, without = prepared
    assert late.source.identities.tolist() == [0, 1, 2]
    assert without.source.identities.tolist() == [1, 2]
    assert late.source.trained == without.source.trained == 2
    for split in ("train", "validation"):
        one, other = late.windows(split), without.windows(split)
        np.testing.assert_array_equal(one.origins, other.origins)
        for before, after in zip(
            late.source.windows(one.rows, one.origins), without.source.windows(other.rows, other.origins), strict=True
        ):
            np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("length", "lookback"), [(40, 12), (15, 9), (8, 2)])
def test_many_short_series_look_back_further_as_far_as_each_holds_a_window(tmp_path, length, lookback):
    months = pd.date_range("2016-01-01", periods=40, freq="MS")
    noise = np.random.default_rng(0).normal(size=(30, 40))
    parts = [pd.DataFrame({"month": months, "item": f"{item:02}", "sold": row}) for item, row in enumerate(noise)]
    parts[7] = parts[7].head(length)
    settings = []
    for late in ([], [parts[9].tail(4).assign(item="late")]):  # which begins in the test split
        pd.concat([*parts, *late]).to_csv(tmp_path / "many.csv", index=False)
        data = {"path": "many.csv", "timestamp": "month", "target": "sold", "series_id": "item"}
        params = parse_params({"run_id": "many", "data": {**data, "on_bad_series": "drop"}, "windows": {"horizon": 6}})
        panel = read_panel(tmp_path / "many.csv", params.data, split=params.split)
        settings.append(prepare(panel, params).settings)

    assert settings[0].lookback == settings[1].lookback == min(lookback, (28 - 6) // 2)


@pytest.mark.parametrize("place", [1, 700, 1500])
def test_a_train_value_far_from_all_others_is_as_if_it_were_missing(load, tmp_path, place):
    table, prepared = pd.read_csv(load), []
    for value in (np.nan, 1e5):
        table.assign(load=table["load"].where(table.index != place, value)).to_csv(
            tmp_path / "changed.csv", index=False
        )
        prepared.append(prepared_from(tmp_path / "changed.csv", "when", "load")[0])

    missing, far = prepared
    assert far.settings == missing.settings
    for name, statistic in vars(missing.scaler).items():
        np.testing.assert_allclose(getattr(far.scaler, name), statistic, rtol=1e-3 if name in LIMITS else 0)
    for name in ("settled", "held", "observed"):
        np.testing.assert_array_equal(getattr(far.source.filled, name), getattr(missing.source.filled, name))


def test_a_row_that_begins_with_a_value_far_from_all_others_begins_unobserved(load, tmp_path):
    table = pd.read_csv(load)
    table.loc[0, "load"] = -1e5
    table.to_csv(tmp_path / "changed.csv", index=False)

    filled = prepared_from(tmp_path / "changed.csv", "when", "load")[0].source.filled

    assert not filled.observed[0]
    assert np.abs(filled.settled).max() < 5


def test_values_far_from_all_others_that_come_again_and_again_are_learned_from(load, tmp_path):
    table = pd.read_csv(load)
    table.loc[::100, "load"] = 1e5
    table.to_csv(tmp_path / "changed.csv", index=False)

    assert prepared_from(tmp_path / "changed.csv", "when", "load")[0].source.filled.observed.all()


def test_later_values_far_from_all_others_are_targets_but_not_seen(load, tmp_path):
    table, prepared = pd.read_csv(load), []
    for value in (np.nan, 1e5):
        table.loc[4000, "load"] = value
        table.to_csv(tmp_path / "changed.csv", index=False)
        prepared.append(prepared_from(tmp_path / "changed.csv", "when", "load")[0])

    missing, far = prepared
    assert far.splits.train < 4000
    assert far.values[4000] == 1e5
    for name in ("settled", "held", "observed", "since"):
        np.testing.assert_array_equal(getattr(far.source.filled, name), getattr(missing.source.filled, name))


@pytest.mark.parametrize(("lookback", "doubted"), [(48, [4000, 4001, 4002]), (8, [4000, 4001])])
def test_a_series_that_goes_far_away_is_followed_and_loses_no_window(load, tmp_path, lookback, doubted):
    table = pd.read_csv(load)
    table.loc[4000:, "load"] += 1e5
    table.to_csv(tmp_path / "changed.csv", index=False)

    prepared = prepared_from(tmp_path / "changed.csv", "when", "load", lookback=lookback)[0]

    assert np.flatnonzero(~prepared.source.filled.observed).tolist() == doubted
    assert prepared.windows("test").dropped == 0


def test_a_late_series_has_no_scale_of_what_is_doubted(tmp_path):
    random, days = np.random.default_rng(0), pd.date_range("2024-01-01", periods=1000, freq="D")
    parts = [pd.DataFrame({"day": days, "item": item, "sold": random.normal(100, 5, 1000)}) for item in "ab"]
    parts[1] = parts[1].tail(380)
    parts[1].loc[720, "sold"] = 1e7
    pd.concat(parts).to_csv(tmp_path / "late.csv", index=False)
    data = {"path": "late.csv", "timestamp": "day", "target": "sold", "series_id": "item"}
    params = parse_params({"run_id": "late", "data": data, "windows": {"horizon": 7, "lookback": 200}})

    prepared = prepare(read_panel(tmp_path / "late.csv", params.data), params)

    assert prepared.splits.train == 700
    assert prepared.scaler.std == pytest.approx([5, 5], rel=0.2)


@pytest.mark.parametrize("first", [0, 1000, 3500])
def test_a_file_of_a_run_holds_what_the_run_has_seen_wherever_it_begins(load, tmp_path, first):
    table = pd.read_csv(load)
    table.loc[[700, 1500, 1501, 1502, 1503, 1504], "load"] = 1e20  # of train rows
    table.loc[[4000, 4200], "load"] = -1e6
    path = tmp_path / "changed.csv"
    table.to_csv(path, index=False)
    run, params = prepared_from(path, "when", "load")
    table.loc[first:].to_csv(path, index=False)
    last = run.timestamps[run.splits.train - 1]

    panel = read_panel(path, params.data, anchor=run.timestamps[0])
    series = prepare_for_forecast(panel, fit_of(run), params.data, last)

    np.testing.assert_array_equal(series.source.filled.observed, run.source.filled.observed[first:])
    seen = series.source.filled.observed
    np.testing.assert_array_equal(series.source.filled.settled[seen], run.source.filled.settled[first:][seen])
    assert seen.sum() == len(table) - first - 2 - (1 if first <= 700 else 0) - (5 if first <= 1500 else 0)


def test_a_number_for_a_missing_one_right_after_a_cutoff_is_no_target(load, tmp_path):
    run, params = prepared_from(load, "when", "load")
    table, before, path = pd.read_csv(load), run.splits.validation, tmp_path / "changed.csv"
    table.loc[before, "load"] = 9.969e36
    table.to_csv(path, index=False)
    last = run.timestamps[run.splits.train - 1]

    series = prepare_for_forecast(read_panel(path, params.data), fit_of(run), params.data, last, before)

    assert np.flatnonzero(np.isnan(series.values)).tolist() == [before]


def panel_of(tmp_path, drop=True, **columns):
    """Three series of 300 days whose load is noise, and what else is given; the last 5 days are ahead."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=305, freq="D")
    parts = []
    for name in ("a", "b", "c"):
        table = pd.DataFrame({"day": days, "site": name, "load": rng.normal(size=305)})
        for column, (site, values) in columns.items():
            usual = rng.normal(size=305) if column not in table else table[column]
            table[column] = values if name == site else usual
        table.loc[300:, "load"] = np.nan
        parts.append(table)
    path = tmp_path / "panel.csv"
    pd.concat(parts).to_csv(path, index=False)
    roles = {role: column for column in columns for role in [{"temp": "past", "price": "future"}.get(column)] if role}
    params = parse_params(
        {
            "run_id": "demo",
            "data": {
                "path": str(path),
                "timestamp": "day",
                "target": "load",
                "series_id": "site",
                "on_bad_series": "drop" if drop else "fail",
            },
            "covariates": roles,
            "windows": {"horizon": 5, "lookback": 28},
        }
    )
    return prepare(read_panel(path, params.data, params.covariates, 5), params)


@pytest.mark.parametrize(
    ("given", "bounds"),
    [
        ({}, (0, 1)),
        ({"minimum": False, "maximum": False}, (-np.inf, np.inf)),
        ({"minimum": -1, "maximum": 2}, (-1, 2)),
        ({"minimum": 1}, (1, np.inf)),
        ({"maximum": -3}, (-np.inf, -3)),
    ],
    ids=["found", "none", "given", "no room above", "no room below"],
)
def test_bounds_are_found_where_params_leave_them_open_and_room_for_them(load, tmp_path, given, bounds):
    table = pd.read_csv(load)
    table["load"] = np.random.default_rng(1).beta(0.3, 0.2, len(table)).round(2)
    table.to_csv(tmp_path / "shares.csv", index=False)

    prepared, _ = prepared_from(tmp_path / "shares.csv", "when", "load", data=given)

    assert (prepared.scaler.minimum[0], prepared.scaler.maximum[0]) == bounds


def test_what_is_fitted_is_of_train_rows_alone(tmp_path):
    columns = zip(["load", "temp", "price"], np.random.default_rng(1).normal(size=(3, 305)), strict=True)
    usual = {name: ("b", values) for name, values in columns}
    altered = {name: ("b", np.append(values[:210], 3 * values[210:] + 1)) for name, (_, values) in usual.items()}

    one, other = (panel_of(tmp_path, **each) for each in (usual, altered))

    assert one.splits.train == 210
    assert one.encoding.content() == other.encoding.content()
    assert_same_scales(one, other)


def test_a_series_that_stands_still_in_train_rows_has_no_scale_and_may_be_left_out(tmp_path):
    launched = np.append(np.zeros(230), np.arange(75) * 1e4)

    prepared = panel_of(tmp_path, load=("b", launched))

    assert prepared.names == ("a", "c")
    assert prepared.dropped["b"].startswith("must vary in the train split")
    with pytest.raises(DataError, match="'b' must vary in the train split"):
        panel_of(tmp_path, drop=False, load=("b", launched))


def test_a_past_covariate_that_stands_still_in_one_series_has_the_spread_of_all(tmp_path):
    still = np.append(np.full(230, 3.0), np.full(75, 5.0))

    prepared = panel_of(tmp_path, temp=("b", still))

    rows = dict(zip(prepared.channels, prepared.scaler.std, strict=True))
    assert 1 < rows["b/temp"] == prepared.encoding.past["temp"].std
    assert rows["a/temp"] < rows["b/temp"]
    settled = dict(zip(prepared.channels, prepared.layout.split(prepared.source.filled.settled), strict=True))
    assert settled["b/temp"][-1] == pytest.approx(2 / rows["b/temp"])


@pytest.mark.parametrize(
    ("column", "step", "said"),
    [
        ("load", 270, "Series 'b'"),
        ("price", 270, "'price'"),
        ("price", 303, "'price'"),
    ],
)
def test_a_number_that_stands_for_a_missing_one_is_refused(tmp_path, column, step, said):
    values = np.random.default_rng(1).normal(size=305)
    values[step] = 9.969e36

    with pytest.raises(DataError, match=rf"{said} must stay within 1e\+12 standard deviations"):
        panel_of(tmp_path, drop=False, **{column: ("b", values)})
    if column == "load":
        assert panel_of(tmp_path, load=("b", values)).names == ("a", "c")


def test_a_past_covariate_without_train_rows_in_one_series_has_the_scale_of_all(tmp_path):
    volts = np.append(np.full(230, np.nan), 230 + np.random.default_rng(2).normal(size=75))

    prepared = panel_of(tmp_path, temp=("b", volts))

    encoder = prepared.encoding.past["temp"]
    row = prepared.channels.index("b/temp")
    assert (prepared.scaler.mean[row], prepared.scaler.std[row]) == (encoder.mean, encoder.std)
