"""Closed-form linear forecasts: what is known in advance by regression, the rest by ridge from level-free windows.

It is a baseline by itself and the linear part under the recurrent forecaster.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from spline_lstm.data.lags import lag_basis
from spline_lstm.data.windows import WindowIndex, WindowSource
from spline_lstm.model.effects import fit_effects, move
from spline_lstm.model.evidence import clear_gain
from spline_lstm.model.linear import Remainder, RidgeForecaster

log = logging.getLogger(__name__)

PENALTIES = np.logspace(-5, 1, 13)  # shares of the mean variance of an input step
PAST_WEIGHTS = (1.0, 0.3, 0.1, 0.0)  # of past covariates beside the window; the smaller, the more they are penalised
MOST_WINDOWS = 1 << 17  # of a split that closed forms read, evenly spread: neighbours say much the same
CHUNK_FLOATS = 1 << 22  # inputs in memory at a time
IMPUTATIONS = 4  # passes that let missing targets take the model's own forecast
ROUNDS = 2  # in which effects and kernel take turns
LARGE_GAIN = 0.1  # share of the squared error: delays that take it off are believed, sure or not
MOST_DELAYED = 512  # regressors of delayed covariates
MOST_FLOATS = 1 << 27  # of delayed covariates, half a gigabyte


def fit_ridge(source: WindowSource, train: WindowIndex, validation: WindowIndex) -> RidgeForecaster:
    """Solve on train windows for every penalty, and keep what has the least validation error.

    Effects of known covariates and the kernel of what they leave take turns (Cochrane & Orcutt 1949): each is
    solved in closed form while the other stands. The kernel without effects comes first, so that what the series
    repeats by itself is no effect of a covariate that happens to repeat, too. Effects that do not pay on validation
    windows are left out; those of the clock and the year, for which nobody asked, where they do not pay clearly.
    """
    train, validation = train.at_most(MOST_WINDOWS), validation.at_most(MOST_WINDOWS)
    plain = _fit(source.without_clock(), train, validation)
    if not (optional := source.covariates.optional):
        return plain
    plain = replace(plain, effects=np.pad(plain.effects, ((0, 0), (0, optional))))
    with_clock = _fit(source, train, validation)
    before, after = (_errors_of_windows(source, validation, ridge) for ridge in (plain, with_clock))
    return with_clock if clear_gain(before, after, validation.origins, source.horizon) else plain


def fit_delays(
    source: WindowSource, train: WindowIndex, validation: WindowIndex, ridge: RidgeForecaster
) -> tuple[WindowSource, RidgeForecaster]:
    """What known covariates do later, too (a distributed lag), where that pays on validation windows.

    Somebody has said that these covariates matter, so less proof is asked than of the clock: a gain that is clear, or
    one that is large where windows are too few to be sure.

    Args:
        source: Without delays.
        train: Windows to learn from.
        validation: Windows that choose.
        ridge: Of this source.

    Returns:
        The source with delays and a ridge with their effects, or else what was given.
    """
    delayed = source.with_delays()
    channels, steps = delayed.covariates.channels, len(source.covariates.known)
    regressors = channels["delayed"] * (1 + channels["static"])
    if not regressors:
        return source, ridge
    floats = steps * channels["delayed"]
    if regressors > MOST_DELAYED or floats > MOST_FLOATS:
        log.warning(
            "not tried: what known covariates do at later steps, which would take %d regressors and %.2f GB "
            "(at most: %d and %.2f); to try it, name fewer in covariates.future",
            *(regressors, 4e-9 * floats, MOST_DELAYED, 4e-9 * MOST_FLOATS),
        )
        return source, ridge
    later, validation = fit_ridge(delayed, train, validation), validation.at_most(MOST_WINDOWS)
    before, after = _errors_of_windows(source, validation, ridge), _errors_of_windows(delayed, validation, later)
    large = after.sum(dtype=float) < (1 - LARGE_GAIN) * before.sum(dtype=float)
    pays = large or clear_gain(before, after, validation.origins, source.horizon)
    return (delayed, later) if pays else (source, ridge)


def _fit(source: WindowSource, train: WindowIndex, validation: WindowIndex) -> RidgeForecaster:
    nothing = np.zeros(source.covariates.effects_shape, np.float32)
    candidates = [_fit_kernel(source, train, validation, nothing)]
    if nothing.size:
        for _ in range(ROUNDS):
            effects = fit_effects(source, train, validation, candidates[-1][0].kernel)
            candidates.append(_fit_kernel(source, train, validation, effects))
        if not move(effects, source, validation):  # which then cannot say what they are worth
            return candidates[-1][0]
    return min(candidates, key=lambda candidate: candidate[1])[0]


def _fit_kernel(
    source: WindowSource, train: WindowIndex, validation: WindowIndex, effects: np.ndarray
) -> tuple[RidgeForecaster, float]:
    """The kernel beside given effects, and its squared validation error.

    Missing targets must not count. They are replaced by the model's own forecast and the solution
    is repeated, whose fixed point solves the normal equations of the observed targets alone
    (the EM view of least squares with missing values).
    """
    lookback, horizon = source.lookback, source.horizon
    inputs = lookback + source.covariates.past * lag_basis(lookback).shape[1]
    level = RidgeForecaster(np.zeros((inputs, horizon), np.float32), effects, 0.0)
    gram = _gram(source, train, level)
    cross, incomplete = _cross(source, train, level)
    solvers = [_Solver(gram, lookback, weight) for weight in (PAST_WEIGHTS if inputs > lookback else (1.0,))]
    candidates = [(solver, penalty) for solver in solvers for penalty in PENALTIES]
    ridges = [
        RidgeForecaster(solver.kernel(penalty, cross), effects, float(penalty), solver.weight)
        for solver, penalty in candidates
    ]
    errors = _squared_errors(source, validation, ridges)
    best = int(np.argmin(errors))
    ridge, error = ridges[best], errors[best]
    if incomplete:
        ridge = _imputed(source, train, ridge, candidates[best][0])
        error = _squared_errors(source, validation, [ridge])[0]
    return ridge, float(error)


def refit_ridge(source: WindowSource, windows: WindowIndex, ridge: RidgeForecaster) -> RidgeForecaster:
    """The kernel that other windows ask for, with the penalty that was chosen, beside the same effects."""
    windows = windows.at_most(MOST_WINDOWS)
    solver = _Solver(_gram(source, windows, ridge), source.lookback, ridge.past_weight)
    return _imputed(source, windows, ridge, solver)


def _imputed(source: WindowSource, windows: WindowIndex, ridge: RidgeForecaster, solver: _Solver) -> RidgeForecaster:
    """Solved again with the ridge's own forecasts for missing targets, until that changes little."""
    for _ in range(IMPUTATIONS):
        cross, incomplete = _cross(source, windows, ridge)
        ridge = replace(ridge, kernel=solver.kernel(ridge.penalty, cross))
        if not incomplete:
            break
    return ridge


class _Solver:
    """Ridge regression for one weight of past covariates, from one decomposition for all penalties.

    Args:
        gram: `(inputs, inputs)`, mean products of inputs.
        lookback: How many of them are of the window; the others are of past covariates.
        weight: By which the latter are multiplied.
    """

    def __init__(self, gram: np.ndarray, lookback: int, weight: float) -> None:
        self.weight = weight
        self.weights = np.where(np.arange(len(gram)) < lookback, 1.0, weight)
        values, self.vectors = np.linalg.eigh(gram * self.weights * self.weights[:, None])
        self.values = np.maximum(values, 0)
        self.unit = np.trace(gram[:lookback, :lookback]) / lookback + np.finfo(float).tiny

    def kernel(self, penalty: float, cross: np.ndarray) -> np.ndarray:
        """`(inputs, horizon)`, float32."""
        rotated = self.vectors.T @ (cross * self.weights[:, None])
        solution = self.vectors @ (rotated / (self.values + penalty * self.unit)[:, None])
        return (solution * self.weights[:, None]).astype(np.float32)


def typical_sizes(source: WindowSource, windows: WindowIndex, effects: np.ndarray) -> tuple[float, float]:
    """Root mean squares of inputs and of targets, both without the effects of known covariates and without level."""
    totals, counts = np.zeros(2), np.zeros(2)
    for parts in _chunks(Remainder(source, effects), windows.at_most(MOST_WINDOWS)):
        totals += [np.nansum(part**2, dtype=float) for part in (parts[0][:, : source.lookback], parts[1])]
        counts += [np.isfinite(part).sum() for part in (parts[0][:, : source.lookback], parts[1])]
    sizes = np.sqrt(totals / np.maximum(counts, 1))
    return tuple(float(size) if size > 0 else 1.0 for size in sizes)  # type: ignore[return-value]


def _chunks(remainder: Remainder, windows: WindowIndex) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Linear inputs and level-free targets, some at a time."""
    source = remainder.source
    size = max(1, CHUNK_FLOATS // ((source.lookback + source.horizon) * (1 + source.covariates.past)))
    for rows, origins in windows.chunks(size):
        inputs, level, ahead = remainder.linear_inputs(rows, origins)
        yield inputs, source.outputs(rows, origins) - level - ahead


def _gram(source: WindowSource, windows: WindowIndex, imputer: RidgeForecaster) -> np.ndarray:
    """Mean products of inputs with themselves."""
    gram = np.zeros((len(imputer.kernel), len(imputer.kernel)))
    for inputs, _ in _chunks(Remainder(source, imputer.effects), windows):
        gram += inputs.T @ inputs
    return gram / len(windows)


def _cross(source: WindowSource, windows: WindowIndex, imputer: RidgeForecaster) -> tuple[np.ndarray, bool]:
    """Mean products of inputs with targets, missing ones imputed; whether there were any."""
    cross, incomplete = np.zeros((len(imputer.kernel), source.horizon)), False
    for inputs, targets in _chunks(Remainder(source, imputer.effects), windows):
        missing = np.isnan(targets)
        if missing.any():
            incomplete = True
            targets = np.where(missing, inputs @ imputer.kernel, targets)
        cross += inputs.T @ targets
    return cross / len(windows), incomplete


def _squared_errors(source: WindowSource, windows: WindowIndex, candidates: list[RidgeForecaster]) -> np.ndarray:
    """Of ridges with the same effects."""
    totals = np.zeros(len(candidates))
    for inputs, targets in _chunks(Remainder(source, candidates[0].effects), windows):
        for index, candidate in enumerate(candidates):
            totals[index] += np.nansum((inputs @ candidate.kernel - targets) ** 2, dtype=float)
    return totals


def _errors_of_windows(source: WindowSource, windows: WindowIndex, ridge: RidgeForecaster) -> np.ndarray:
    """Sums of squared errors over observed targets, `(windows,)`."""
    parts = _chunks(Remainder(source, ridge.effects), windows)
    return np.concatenate([np.nansum((inputs @ ridge.kernel - targets) ** 2, axis=1) for inputs, targets in parts])
