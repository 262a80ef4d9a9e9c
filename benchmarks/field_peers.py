"""Forecasts of one peer for the windows that field.py compares; run by it in an environment of its own.

    python benchmarks/field_peers.py METHOD FILE

METHOD is one of `METHODS`, FILE what field_windows.py left. The last line of stdout is JSON: `forecasts`
`(windows, horizon, quantiles)`, `seconds` from reading the file to forecasts, `package` and `version`.
"""

import json
import math
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightgbm  # type: ignore[import-not-found]
import numpy as np
import pandas as pd
from statsforecast import models  # type: ignore[import-not-found]

Arrays = dict[str, np.ndarray]
ETS_SEASON = 24  # the longest that AutoETS takes
NEAREST, GROWTH = 24, 1.25  # LightGBM sees each of the nearest lags, and further ones ever more thinly
TWO_YEARS = 2 * 365 * 24 * 3600 * 10**9  # nanoseconds
ROUNDS, PATIENCE, LEAVES = 2000, 50, (7, 31)
TREES = {"objective": "regression", "learning_rate": 0.05, "seed": 1, "deterministic": True, "verbosity": -1}


def auto_ets(seasons: list[int]) -> object:
    return models.AutoETS(season_length=max((season for season in seasons if season <= ETS_SEASON), default=1))


def auto_theta(seasons: list[int]) -> object:
    return models.AutoTheta(season_length=max(seasons))


def mstl(seasons: list[int]) -> object:
    return models.MSTL(season_length=seasons)


def statistical(make: Callable[[list[int]], object]) -> Callable[[Arrays], np.ndarray]:
    """Fit anew at each origin, to the history as of it."""

    def forecast(known: Arrays) -> np.ndarray:
        horizon, quantiles = int(known["horizon"]), known["quantiles"]
        found = [_fit_and_forecast(make(known["seasons"].tolist()), y, horizon, quantiles) for y in known["histories"]]
        return np.stack(found)

    return forecast


def _fit_and_forecast(model: object, history: np.ndarray, horizon: int, quantiles: np.ndarray) -> np.ndarray:
    """`(horizon, quantiles)`; the point forecast stands for the median."""
    levels = [round(100 * abs(1 - 2 * quantile)) for quantile in quantiles]
    asked = sorted({level for level in levels if level})
    found = model.forecast(history[~np.isnan(history)], h=horizon, level=asked)  # type: ignore[attr-defined]
    sides = np.where(quantiles < 0.5, "lo", "hi")
    names = [f"{side}-{level}" if level else "mean" for side, level in zip(sides, levels, strict=True)]
    return np.stack([found[name] for name in names], axis=-1)


def light_gbm(known: Arrays) -> np.ndarray:
    """One model for all series and steps, learned once from train windows; validation windows stop and size it.

    It forecasts by how much a target departs from the last value, in units of the series' spread, since trees
    cannot follow a trend. Quantiles are those of validation residuals at each step.
    """
    known |= {"test_inputs": known["histories"][:, -int(known["lookback"]) :]}
    train, validation = (_rows(known, split) for split in ("train", "validation"))
    model = min((_trees(leaves, train, validation) for leaves in LEAVES), key=lambda trees: trees.best_score["v"]["l2"])
    horizon, quantiles = int(known["horizon"]), known["quantiles"]
    residuals = (validation[1] - model.predict(validation[0])).reshape(-1, horizon)
    spread = np.nanquantile(residuals, quantiles, axis=0).T
    spread[:, quantiles == 0.5] = 0
    departures = model.predict(_features(known, "test")).reshape(-1, horizon)[..., None] + spread
    last, unit = (values[:, None, None] for values in (known["histories"][:, -1], _units(known, "test")))
    return last + unit * departures


def _trees(leaves: int, train: tuple[pd.DataFrame, np.ndarray], validation: tuple[pd.DataFrame, np.ndarray]) -> Any:
    seen = [lightgbm.Dataset(*_observed(*rows), categorical_feature=["series"]) for rows in (train, validation)]
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    return lightgbm.train(
        {**TREES, "num_leaves": leaves}, seen[0], ROUNDS, valid_sets=seen[1:], valid_names=["v"], callbacks=[stop]
    )


def _observed(features: pd.DataFrame, targets: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    seen = ~np.isnan(targets)
    return features[seen], targets[seen]


def _rows(known: Arrays, split: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Features and targets, `(windows * horizon, ...)`."""
    departures = known[f"{split}_targets"] - known[f"{split}_inputs"][:, -1:]
    return _features(known, split), (departures / _units(known, split)[:, None]).ravel()


def _units(known: Arrays, split: str) -> np.ndarray:
    return known["spread"][known[f"{split}_rows"]]


def _features(known: Arrays, split: str) -> pd.DataFrame:
    """Level, lags, rolling means, the same phase of earlier seasons, step, series and calendar of each target."""
    inputs = known[f"{split}_inputs"] / _units(known, split)[:, None]
    horizon, lookback = int(known["horizon"]), inputs.shape[1]
    last, steps = inputs[:, -1:], np.arange(1, horizon + 1)
    seasons = [season for season in known["seasons"].tolist() if season <= lookback]
    of_windows = {"level": last[:, 0]}
    of_windows |= {f"lag {lag}": inputs[:, -1 - lag] - last[:, 0] for lag in _lags(lookback)}
    of_windows |= {
        f"mean {length}": inputs[:, -length:].mean(axis=1) - last[:, 0]
        for length in sorted({4, 12, horizon, *seasons, lookback})
        if length <= lookback
    }
    columns = {name: np.repeat(values.astype(np.float32), horizon) for name, values in of_windows.items()}
    for season in seasons:
        for cycle in (1, 2):
            places = lookback - 1 + steps - season * (-(-steps // season) + cycle - 1)
            if places.min() >= 0:
                columns[f"season {season} back {cycle}"] = (inputs[:, places] - last).astype(np.float32).ravel()
    times = pd.DatetimeIndex(known["clock"][(known[f"{split}_origins"][:, None] + steps).ravel()])
    columns |= {
        "step": np.tile(steps, len(inputs)),
        "series": np.repeat(known[f"{split}_rows"], horizon),
        "hour": (times.hour + times.minute / 60).to_numpy(),
        "weekday": times.dayofweek.to_numpy(),
    }
    if np.ptp(known["clock"][known["train_origins"]]) >= TWO_YEARS:  # a month seen once says nothing of the next
        columns |= {"month": times.month.to_numpy(), "day of the year": times.dayofyear.to_numpy()}
    return pd.DataFrame(columns)


def _lags(lookback: int) -> list[int]:
    lags = list(range(1, min(NEAREST, lookback - 1) + 1))
    while (further := math.ceil(lags[-1] * GROWTH)) < lookback:
        lags.append(further)
    return lags


METHODS: dict[str, tuple[str, Callable[[Arrays], np.ndarray]]] = {
    "AutoETS": ("statsforecast", statistical(auto_ets)),
    "AutoTheta": ("statsforecast", statistical(auto_theta)),
    "MSTL": ("statsforecast", statistical(mstl)),
    "LightGBM": ("lightgbm", light_gbm),
}


def main() -> None:
    name, file = sys.argv[1:]
    warnings.filterwarnings("ignore")
    package, forecast = METHODS[name]
    start = time.perf_counter()
    with np.load(Path(file)) as content:
        found = forecast(dict(content))
    seconds = time.perf_counter() - start
    result = {"forecasts": found.tolist(), "seconds": seconds, "package": package, "version": version(package)}
    print(json.dumps(result, allow_nan=False))


if __name__ == "__main__":
    main()
