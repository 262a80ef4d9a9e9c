"""Intervals that follow what is known at each origin, beside other ways to make them, on one set of forecasts.

On a series whose variance doubles in its test part, and on the files of the field. Writes a section of
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import bisect
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.field_scores import COVERAGES
from benchmarks.field_series import FIELD, SERIES, present
from benchmarks.page import BENCHMARKS, machine, spread, table, write_section
from benchmarks.quantile_heads import fitted_quantiles
from benchmarks.runs import ROOT, parser, project_params
from spline_lstm.data.prepared import Prepared
from spline_lstm.data.preprocessing import prepare
from spline_lstm.data.series import read_panel
from spline_lstm.model.fitting import TrainedForecaster, train_forecaster
from spline_lstm.run.params import parse_params
from spline_lstm.scores import metrics
from spline_lstm.scores.forecasts import Forecasts
from spline_lstm.scores.intervals import Certainty
from spline_lstm.scores.scoring import forecast_test

STEPS, HORIZON = 6000, 24
RATE = 0.005  # of adaptive conformal inference, as in its paper
DRIFT = "variance doubles"


def drifting() -> pd.DataFrame:
    """`time, load`: hours with a season of a day and autocorrelated noise whose variance doubles in the test part."""
    random, noise = np.random.default_rng(20260102), np.zeros(STEPS)
    scale = np.where(np.arange(STEPS) < 0.85 * STEPS, 1.0, math.sqrt(2))
    for step, shock in enumerate(random.normal(size=STEPS)):
        noise[step] = 0.7 * noise[step - 1] + scale[step] * shock
    clock = pd.date_range("2024-01-01", periods=STEPS, freq="h")
    return pd.DataFrame({"time": clock, "load": 100 + 5 * np.sin(np.arange(STEPS) * np.pi / 12) + noise})


def main() -> int:
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder.resolve() / "drift.csv"
    drifting().to_csv(file, index=False)
    columns = {"data.path": str(file), "data.timestamp": "time", "data.target": "load", "windows.horizon": HORIZON}
    there, _ = present(options.data)
    params = {DRIFT: columns, **{name: SERIES[name].params(options.data) for name in there}}
    rows = []
    for name, given in params.items():
        print(name, file=sys.stderr)
        found = [_scored({**given, "seed": seed}) for seed in options.seeds]
        for way in (key for key in found[0] if key != "windows"):
            scored = [each[way] for each in found]
            held = [spread([100 * each[f"{level}"] for each in scored], 1) for level in sorted(COVERAGES)]
            rows.append([f"{name}, {way}", *held, spread([each["wql"] for each in scored]), str(found[0]["windows"])])
    held = [f"held of {level:.0%}" for level in sorted(COVERAGES)]
    write_section(
        BENCHMARKS,
        "intervals",
        "\n\n".join(
            [
                f"Defaults; seeds {', '.join(map(str, options.seeds))}, mean ± standard deviation; all test windows. "
                "Fixed: the order statistic of what validation windows missed, of each row and step. "
                "Adaptive: adaptive conformal inference (Gibbs & Candès 2021), of each row and step. "
                "Quantile heads: a member over the ridge, trained by the pinball loss and conformalized (Romano et al. "
                "2019). "
                "The median is the forecast everywhere. "
                "Windows: of the test part, without overlap, of all series.",
                table(["intervals", *held, "weighted quantile loss", "windows"], rows),
                f"{machine()}.",
            ]
        ),
    )
    return 0


def _options() -> argparse.Namespace:
    result = parser(__doc__)
    result.add_argument("--data", type=Path, default=FIELD, help="folder of the files of the field (%(default)s)")
    return result.parse_args()


def _scored(values: dict[str, Any]) -> dict[str, Any]:
    """Coverage and loss of both kinds of interval, on the same forecasts."""
    content = project_params(values)
    params = parse_params({**content, "data": {**content["data"], "path": str(ROOT / content["data"]["path"])}})
    horizon = params.windows.horizon
    panel = read_panel(Path(params.data.path), params.data, params.covariates, horizon, split=params.split)
    prepared = prepare(panel, params)
    train, validation = prepared.windows("train"), prepared.windows("validation")
    trained = train_forecaster(prepared.source, train, validation, params, prepared.traits)
    prepared = prepared.seen_by(trained.source.covariates.used)
    levels = tuple(sorted(COVERAGES))
    test, certainty, _ = forecast_test(prepared, trained.model, levels, np.ones(len(prepared.names)))
    ways = {
        "as of the origin": (test.lower, test.upper),
        "fixed": _around(prepared, test, _fixed(test, certainty, len(validation))),
        "adaptive": _around(prepared, test, _adaptive(test, certainty, len(validation))),
        "quantile heads": _conformalized(prepared, trained, test, params.seed),
    }
    windows = sum(len(np.unique(test.origins[test.rows == row] // horizon)) for row in np.unique(test.rows))
    return {"windows": windows} | {way: _scores(test, *bounds) for way, bounds in ways.items()}


def _around(prepared: Prepared, test: Forecasts, widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends around forecasts, in original units, from half-widths; `(levels, windows, horizon)` each."""
    scaler = prepared.scaler
    logs = scaler.logs[test.rows, None]
    centre = np.where(logs, np.log(np.where(logs, test.y_pred, 1)), test.y_pred)
    centre = (centre - scaler.mean[test.rows, None]) / scaler.std[test.rows, None]
    return _restored(prepared, test, centre - widths), _restored(prepared, test, centre + widths)


def _restored(prepared: Prepared, test: Forecasts, bounds: np.ndarray) -> np.ndarray:
    return np.stack([prepared.restore(each, test.rows, test.origins) for each in bounds])


def _fixed(test: Forecasts, certainty: Certainty, count: int) -> np.ndarray:
    """Half-widths, `(levels, windows, horizon)`, from the first misses, those of validation windows."""
    missed = certainty.misses.of(np.arange(count))
    return np.stack([_by_row(missed.sizes, missed.rows, level, test.rows) for level in test.levels])


def _adaptive(test: Forecasts, certainty: Certainty, count: int) -> np.ndarray:
    """Half-widths of adaptive conformal inference, `(levels, windows, horizon)`, of each row and step.

    After each target that was observed the level that is asked for moves by `RATE` of what it was missed by (Gibbs &
    Candès 2021), and the miss joins those of which the half-width is a quantile: the largest one where more is asked.
    """
    misses, widths = certainty.misses, np.empty((len(test.levels), *test.y_pred.shape))
    for row in np.unique(test.rows):
        earlier, asked = np.flatnonzero(misses.rows[:count] == row), np.flatnonzero(test.rows == row)
        for step in range(test.y_pred.shape[1]):
            sizes, later = misses.sizes[earlier, step], misses.sizes[count + asked, step]
            known = np.sort(sizes[~np.isnan(sizes)]).tolist()
            asking, done = list(test.levels), 0
            for window in asked:
                while test.origins[asked[done]] + step + 1 <= test.origins[window]:
                    if not np.isnan(later[done]):
                        for place, level in enumerate(test.levels):
                            held = later[done] <= widths[place, asked[done], step]
                            asking[place] += RATE * (level - held)
                        bisect.insort(known, float(later[done]))
                    done += 1
                for place, level in enumerate(asking):
                    rank = min(max(math.ceil((len(known) + 1) * level), 1), len(known))
                    widths[place, window, step] = known[rank - 1]
    return widths


def _conformalized(
    prepared: Prepared, trained: TrainedForecaster, test: Forecasts, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ends by conformalized quantile regression (Romano, Patterson & Candès 2019), of each row and step."""
    tails = [((1 - level) / 2, (1 + level) / 2) for level in test.levels]
    taus = sorted({tau for pair in tails for tau in pair})
    quantiles_of = fitted_quantiles(prepared, trained, taus, seed)
    validation = prepared.windows("validation")
    calibrating, asked = quantiles_of(validation), quantiles_of(prepared.windows("test"))
    truth = prepared.source.outputs(validation.rows, validation.origins)
    lower, upper = [], []
    for level, tail in zip(test.levels, tails, strict=True):
        low, high = map(taus.index, tail)
        outside = np.maximum(calibrating[..., low] - truth, truth - calibrating[..., high])
        widened = _by_row(outside, validation.rows, level, test.rows)
        lower.append(asked[..., low] - widened)
        upper.append(asked[..., high] + widened)
    return _restored(prepared, test, np.stack(lower)), _restored(prepared, test, np.stack(upper))


def _by_row(sizes: np.ndarray, rows: np.ndarray, level: float, asked: np.ndarray) -> np.ndarray:
    """The order statistic of each asked row and step, `(asked, horizon)`; that of all rows where one has too few."""
    pooled = _order_statistic(sizes, level)
    pooled = np.where(np.isnan(pooled), np.nanmax(sizes, axis=0), pooled)
    own = np.stack([_order_statistic(sizes[rows == row], level) for row in range(asked.max() + 1)])
    return np.where(np.isnan(own), pooled, own)[asked]


def _order_statistic(sizes: np.ndarray, level: float) -> np.ndarray:
    """Of each step the `ceil((n + 1) * level)`-th smallest; NaN where there are too few."""
    result = np.full(sizes.shape[1], np.nan)
    for step, column in enumerate(sizes.T):
        known = np.sort(column[~np.isnan(column)])
        rank = math.ceil((len(known) + 1) * level)
        if rank <= len(known):
            result[step] = known[rank - 1]
    return result


def _scores(test: Forecasts, lower: np.ndarray, upper: np.ndarray) -> dict[str, float]:
    observed = ~np.isnan(test.y_true)
    truth, quantiles, held = test.y_true[observed], {0.5: test.y_pred[observed]}, {}
    for level, low, high in zip(test.levels, lower, upper, strict=True):
        held[str(level)] = metrics.coverage(truth, low[observed], high[observed])
        quantiles |= {(1 - level) / 2: low[observed], (1 + level) / 2: high[observed]}
    return {**held, "wql": metrics.weighted_quantile_loss(truth, quantiles)}


if __name__ == "__main__":
    sys.exit(main())
