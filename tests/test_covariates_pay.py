"""What covariates are worth on generated panels, of which it is known how well they can be forecast.

Each forecast comes by the library's whole way, from a file to predictions of test windows. Its error is measured
against the floor: that of a forecast that knows the generator, but not the future. Measured with 16 units:

| covariate | floor | with | shuffled | without |
|---|---|---|---|---|
| future | 1 | 1.031 | 1.596 | 1.591 |
| past, leads by 6 of 12 steps | 1.323 | 1.386 | 1.639 | 1.639 |
| static, of series never seen | 1 | 1.084 | | 1.533 |
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spline_lstm.data.preprocessing import prepare
from spline_lstm.data.series import read_panel
from spline_lstm.model.fitting import train_forecaster
from spline_lstm.model.training import predict
from spline_lstm.run.params import parse_params

LOOKBACK, HORIZON, LEAD = 24, 12, 6
SERIES, TIME = 10, 700
NEAR_FLOOR, NO_WORSE = 1.15, 1.02  # factors of a floor, and of the error without a covariate
CLOCK = pd.date_range("2024-01-01", periods=TIME + HORIZON, freq="h")
SEASON = np.sin(np.arange(TIME + HORIZON) * 2 * np.pi / 24)
DRIVEN = np.sqrt(1.5)  # of white noise: half of the variance, the other half of which is season and noise


def panel(values, driver, start=0, first=0, **statics):
    """Rows of `(series, time)` as a long table; the driver is known over the horizon, the values are not."""
    parts = []
    for number, (row, column) in enumerate(zip(values, driver, strict=True)):
        part = pd.DataFrame({"when": CLOCK, "load": np.append(row[:TIME], np.full(HORIZON, np.nan)), "driver": column})
        part = part.assign(site=f"s{first + number:02}", **{name: column[number] for name, column in statics.items()})
        parts.append(part.iloc[start:])
    return pd.concat(parts, ignore_index=True)


def errors_by_step(folder, table, wanted=None, **roles):
    """Root mean squared errors of test windows of some series, `(horizon,)`, in original units."""
    path = folder / "panel.csv"
    table.to_csv(path, index=False)
    params = parse_params(
        {
            "run_id": "generated",
            "data": {"path": str(path), "timestamp": "when", "target": "load", "series_id": "site", "frequency": "h"},
            "covariates": {"calendar": False, **roles},
            "windows": {"horizon": HORIZON, "lookback": LOOKBACK},
            "model": {"units": 16},
            "train": {"epochs": 4},
        }
    )
    prepared = prepare(read_panel(path, params.data, params.covariates, HORIZON, split=params.split), params)
    train, validation, test = (prepared.windows(split) for split in ("train", "validation", "test"))
    trained = train_forecaster(prepared.source, train, validation, params, prepared.traits)
    scaled = predict(trained.model, trained.source, test.rows, test.origins)
    forecast = prepared.restore(scaled, test.rows, test.origins)
    chosen = np.isin(test.rows, [prepared.names.index(name) for name in wanted or prepared.names])
    return np.sqrt(np.nanmean((prepared.targets(test) - forecast)[chosen] ** 2, axis=0))


def rmse(errors):
    return np.sqrt(np.mean(errors**2))


def shuffled(table):
    """The driver of each series in an order that tells nothing."""
    rng = np.random.default_rng(9)
    return table.assign(driver=table.groupby("site")["driver"].transform(rng.permutation))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_future_covariate_that_drives_half_of_the_variance(tmp_path, rng):
    driver = rng.normal(size=(SERIES, TIME + HORIZON))
    noise = rng.normal(size=driver.shape)
    table = panel(rng.normal(0, 10, (SERIES, 1)) + SEASON + DRIVEN * driver + noise, driver)
    floor = 1.0  # the noise

    found = {
        "with": rmse(errors_by_step(tmp_path, table, future="driver")),
        "shuffled": rmse(errors_by_step(tmp_path, shuffled(table), future="driver")),
        "without": rmse(errors_by_step(tmp_path, table.dropna())),
    }

    assert found["with"] < NEAR_FLOOR * floor, found
    assert found["shuffled"] < NO_WORSE * found["without"], found
    assert found["without"] > 1.4 * floor, found


def test_a_past_covariate_that_leads_by_some_steps(tmp_path, rng):
    driver = rng.normal(size=(SERIES, TIME + HORIZON))
    values = rng.normal(0, 10, (SERIES, 1)) + SEASON + rng.normal(size=driver.shape)
    values[:, LEAD:] += DRIVEN * driver[:, :-LEAD]
    table = panel(values, driver).dropna()
    # Beyond the lead the driver has not been seen yet.
    floors = np.where(np.arange(1, HORIZON + 1) <= LEAD, 1.0, np.sqrt(1 + DRIVEN**2))

    errors = errors_by_step(tmp_path, table, past="driver")
    found = {
        "with": rmse(errors),
        "shuffled": rmse(errors_by_step(tmp_path, shuffled(table), past="driver")),
        "without": rmse(errors_by_step(tmp_path, table)),
    }

    assert found["with"] < NEAR_FLOOR * rmse(floors), found
    assert (errors < NEAR_FLOOR * floors).all(), errors
    assert found["shuffled"] < NO_WORSE * found["without"], found
    assert found["without"] > NEAR_FLOOR * rmse(floors), found


def test_a_static_covariate_that_sets_the_response_of_series_never_seen(tmp_path, rng):
    seen, unseen = 30, 6
    driver = rng.normal(size=(seen + unseen, TIME + HORIZON))
    # Evenly spread: a few drawn at random may all lie near the mean response, at which nothing need be known of them.
    amplitude = np.concatenate([rng.permutation(np.linspace(0, 4, seen)), np.linspace(0, 4, unseen)])
    # Most of the variance is a season: else its scale, which one lookback tells, would tell how a series responds.
    values = rng.normal(0, 10, (seen + unseen, 1)) + 3 * SEASON + amplitude[:, None] * driver
    values += rng.normal(size=driver.shape)
    begin = int(0.85 * (TIME + HORIZON)) - LOOKBACK  # so that every window of them is in the test split
    old, new = slice(seen), slice(seen, None)
    table = pd.concat(
        [
            panel(values[old], driver[old], size=amplitude[old]),
            panel(values[new], driver[new], begin, seen, size=amplitude[new]),
        ]
    )
    names = [f"s{number:02}" for number in range(seen, seen + unseen)]
    floor = 1.0  # the noise

    found = {
        "with": rmse(errors_by_step(tmp_path, table, names, future="driver", static="size")),
        "without": rmse(errors_by_step(tmp_path, table, names, future="driver")),
    }

    assert found["with"] < NEAR_FLOOR * floor, found
    assert found["with"] < found["without"], found
    assert found["without"] > NEAR_FLOOR * floor, found
