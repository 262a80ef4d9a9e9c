"""Runs side by side: their errors on the test targets that all of them forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from spline_lstm.run.errors import ArtifactError, ShapeError
from spline_lstm.scores import metrics
from spline_lstm.scores.doubt import skill_margins
from spline_lstm.scores.evaluation import EXACT
from spline_lstm.scores.forecasts import Forecasts
from spline_lstm.scores.predictions import WINDOW_COLUMNS


@dataclass(frozen=True)
class RunScore:
    """What one run scores on common targets.

    Attributes:
        run_id: Of the run.
        relative_rmse: Mean over series of its RMSE relative to that of the series' best run; but for those in which
            that one errs by rounding alone, unless it does in all.
        rmse: Of all targets.
        mae: Of all targets.
        coverage: Share of targets in its intervals.
        wins: In how many series it has the least RMSE.
        behind: Share of its relative RMSE that the best run saves; 0 for the best itself.
        margin: How far `behind` may be off, see `skill_margins`; NaN for the best itself.
        by_step: `(horizon,)`, RMSE at each step ahead; of several series in units of what their best run misses.
    """

    run_id: str
    relative_rmse: float
    rmse: float
    mae: float
    coverage: float
    wins: int
    behind: float
    margin: float
    by_step: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """Runs on common targets, the best one first.

    Attributes:
        runs: Their scores.
        series: How many series there are.
        windows: How many windows.
        targets: How many observed targets.
        first: When the first of these was observed.
        last: When the last was.
    """

    runs: tuple[RunScore, ...]
    series: int
    windows: int
    targets: int
    first: pd.Timestamp
    last: pd.Timestamp


@dataclass(frozen=True)
class _Windows:
    """Predictions by window.

    Attributes:
        keys: `(windows,)`, series and origin.
        values: By the name of a column, `(windows, horizon)`.
        timestamps: `(windows, horizon)`.
    """

    keys: pd.MultiIndex
    values: Mapping[str, np.ndarray]
    timestamps: np.ndarray

    @classmethod
    def of(cls, run_id: str, table: pd.DataFrame) -> _Windows:
        steps = table["step"].to_numpy()
        horizon = int(steps.max(initial=1))
        keys = pd.MultiIndex.from_frame(table.loc[::horizon, ["series_id", "origin"]].astype({"series_id": str}))
        if not np.array_equal(steps, np.tile(np.arange(1, horizon + 1), len(keys))) or not keys.is_unique:
            raise ArtifactError(
                f"Predictions of {run_id!r} must hold each window once, with all steps in order. "
                "Received: others. Run `dvc repro` with this run_id."
            )
        values = {name: table[name].to_numpy(float).reshape(-1, horizon) for name in WINDOW_COLUMNS[4:]}
        return cls(keys, values, table["timestamp"].to_numpy().reshape(-1, horizon))

    def at(self, keys: pd.MultiIndex, horizon: int) -> _Windows:
        chosen = self.keys.get_indexer(keys)
        values = {name: table[chosen, :horizon] for name, table in self.values.items()}
        return _Windows(keys, values, self.timestamps[chosen, :horizon])


def compare_runs(
    predictions: Mapping[str, pd.DataFrame], spreads: Mapping[str, float] = MappingProxyType({})
) -> Comparison:
    """Scores on common targets.

    Args:
        predictions: By run_id, two or more, with `WINDOW_COLUMNS`, as a run leaves them.
        spreads: Standard deviations by the names of series, which tell errors of rounding; 0 of others.

    Raises:
        ArtifactError: Predictions are not those of whole windows.
        ShapeError: Runs have no target in common, or other values of it.
    """
    common = _common({name: _Windows.of(name, table) for name, table in predictions.items()})
    first = next(iter(common.values()))
    rows, names = pd.factorize(first.keys.get_level_values(0))
    places = np.unique(first.timestamps, return_inverse=True)[1].reshape(first.timestamps.shape)
    origins = places[:, 0] - 1  # counted in times that any of the windows hold
    y_true = first.values["y_true"]
    observed = ~np.isnan(y_true)
    if not observed.any():
        raise ShapeError("Runs to compare must have observed targets in common. Received: none was observed.")

    y_pred = {name: windows.values["y_pred"] for name, windows in common.items()}
    squares = {name: np.where(observed, (y_true - table) ** 2, 0) for name, table in y_pred.items()}
    sums = {name: np.bincount(rows, table.sum(axis=1), len(names)) for name, table in squares.items()}
    least = np.min(list(sums.values()), axis=0)
    counts = np.bincount(rows, observed.sum(axis=1), len(names))
    rounding = EXACT * np.array([spreads.get(name, 0.0) for name in names])
    judged = (counts > 0) & (np.sqrt(least / np.maximum(counts, 1)) > rounding)
    judged |= ~judged.any()
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = {name: float(np.nanmean(np.sqrt(table / least)[judged])) for name, table in sums.items()}
    best = min(relative, key=lambda name: (relative[name], name))
    best_of_rows = [min(sums, key=lambda name: sums[name][row]) if judged[row] else "" for row in range(len(names))]
    without_intervals = (), *np.empty((2, 0, *y_true.shape))
    forecasts = Forecasts(rows, origins, y_true, y_pred[best], *without_intervals)
    margins, _ = skill_margins(forecasts, y_pred, best_of_rows)
    # Series of different units are averaged in those of their best run's errors.
    unit = np.where(judged & (least > 0), least / np.maximum(counts, 1), np.inf)[rows, None] if len(names) > 1 else 1.0
    of_steps = np.maximum(np.sum(observed & np.isfinite(unit), axis=0), 1)

    def score(name: str) -> RunScore:
        values = {key: table[observed] for key, table in common[name].values.items()}
        return RunScore(
            name,
            relative[name],
            metrics.rmse(values["y_true"], values["y_pred"]),
            metrics.mae(values["y_true"], values["y_pred"]),
            metrics.coverage(values["y_true"], values["y_lower"], values["y_upper"]),
            int((sums[name] == least).sum()),
            metrics.skill(relative[best], relative[name]),
            margins[name] if name != best else np.nan,
            np.sqrt(np.sum(squares[name] / unit, axis=0) / of_steps),
        )

    seen = first.timestamps[observed]
    return Comparison(
        tuple(score(name) for name in sorted(relative, key=lambda name: (relative[name], name))),
        *(len(names), len(first.keys), int(observed.sum()), pd.Timestamp(seen.min()), pd.Timestamp(seen.max())),
    )


def _common(runs: Mapping[str, _Windows]) -> dict[str, _Windows]:
    """The windows and steps that all runs have, of equal targets."""
    keys, horizon = None, min(windows.timestamps.shape[1] for windows in runs.values())
    for name, windows in runs.items():
        keys = windows.keys if keys is None else keys.intersection(windows.keys, sort=False)
        if not len(keys):
            raise ShapeError(
                "Runs to compare must have forecast some series from the same origins. "
                f"Received: none that {name!r} shares with {', '.join(other for other in runs if other != name)}. "
                "Compare runs of the same data, splits and frequency."
            )
    assert keys is not None
    common = {name: windows.at(keys, horizon) for name, windows in runs.items()}
    (first, reference), *rest = common.items()
    for name, windows in rest:
        for one, two, what in (
            (reference.timestamps, windows.timestamps, "times"),
            (reference.values["y_true"], windows.values["y_true"], "values"),
        ):
            same = (one == two) | (pd.isna(one) & pd.isna(two))
            if not same.all():
                window, step = np.argwhere(~same)[0]
                series, origin = keys[window]
                raise ShapeError(
                    f"Runs to compare must have the same targets. Received: other {what} in {first!r} and {name!r}, "
                    f"first in series {series!r}, origin {origin}, step {step + 1}: {one[window, step]} and "
                    f"{two[window, step]}. Compare runs of the same data and frequency."
                )
    return common
