"""What is known in advance explains of a series, by one regression over all rows, steps and horizons."""

from __future__ import annotations

import math

import numpy as np

from spline_lstm.data.windows import WindowIndex, WindowSource
from spline_lstm.model.linear import Remainder

PENALTIES = np.logspace(-6, 0, 7)  # shares of the mean variance of a regressor
MOST_WINDOWS = 2048  # of a split that the regression reads, evenly spread
CHUNK_FLOATS = 1 << 23  # regressors in memory at a time
LEAST_MOVE = 1e-3  # standard deviations


def fit_effects(source: WindowSource, train: WindowIndex, validation: WindowIndex, kernel: np.ndarray) -> np.ndarray:
    """The effects of known covariates beside a kernel that forecasts what they leave.

    With `d` the covariates ahead of an origin less their values at it, less what the kernel forecasts of them from
    their own window, the error of a forecast is `e - d @ effects`, with `e` its error without effects. So the best
    effects solve normal equations; their penalty is chosen on validation windows.

    Args:
        source: Where windows are cut from.
        train: Windows to learn from.
        validation: Windows that choose the penalty.
        kernel: `(inputs, horizon)`, of a `RidgeForecaster`.

    Returns:
        `(1 + static, known + delayed + calendar)`, float32.
    """
    gram, cross = _moments(source, train, kernel)
    gram_beyond, cross_beyond = _moments(source, validation, kernel)
    unit = np.trace(gram) / len(gram) + np.finfo(float).tiny
    solutions = [np.linalg.solve(gram + penalty * unit * np.eye(len(gram)), cross) for penalty in PENALTIES]
    best = min(solutions, key=lambda effects: effects @ gram_beyond @ effects - 2 * effects @ cross_beyond)
    return best.reshape(source.covariates.effects_shape).astype(np.float32)


def move(effects: np.ndarray, source: WindowSource, windows: WindowIndex) -> bool:
    """Whether effects change from an origin to the steps ahead of it, in any window.

    Args:
        effects: See `fit_effects`.
        source: Where windows are cut from.
        windows: Some of them.
    """
    covariates, length = source.covariates, 1 + source.horizon
    effect = covariates.effect(effects)
    return any(
        np.ptp(covariates.effect_steps(effect, covariates.series[rows], origins, length), axis=1).max() > LEAST_MOVE
        for rows, origins in windows.chunks(max(1, CHUNK_FLOATS // length))
    )


def _moments(source: WindowSource, windows: WindowIndex, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean products of regressors with themselves and with the errors that they are to explain."""
    size = math.prod(source.covariates.effects_shape)
    remainder = Remainder(source, np.zeros(size))
    gram, cross, count = np.zeros((size, size)), np.zeros(size), 0
    windows = windows.at_most(MOST_WINDOWS)
    chunk = max(1, CHUNK_FLOATS // (size * (source.lookback + source.horizon)))
    for rows, origins in windows.chunks(chunk):
        inputs, level, _ = remainder.linear_inputs(rows, origins)
        error = source.outputs(rows, origins) - level - inputs @ kernel
        window = source.windows(rows, origins)
        in_advance = np.concatenate([window.known, window.delayed, window.calendar], axis=2)
        stands_out = in_advance - in_advance[:, [source.lookback - 1]]
        own = np.einsum("wlk,lh->whk", stands_out[:, : source.lookback], kernel[: source.lookback], optimize=True)
        static = np.column_stack([np.ones(len(rows), np.float32), window.static])
        regressors = np.einsum("whk,ws->whsk", stands_out[:, source.lookback :] - own, static)
        observed = ~np.isnan(error)
        table, explained = regressors.reshape(*error.shape, size)[observed], error[observed]
        gram += table.T @ table
        cross += table.T @ explained
        count += len(table)
    return gram / max(count, 1), cross / max(count, 1)
