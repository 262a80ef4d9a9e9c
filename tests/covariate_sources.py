"""Window sources of small generated series with covariates, whose values count as standardized."""

from __future__ import annotations

import numpy as np

from spline_lstm.data.covariates import Covariates
from spline_lstm.data.gaps import fill_gaps
from spline_lstm.data.layout import Layout
from spline_lstm.data.windows import WindowSource, origins_of

LOOKBACK, HORIZON = 12, 5
STARTS, LENGTHS = np.array([0, 6]), np.array([60, 50])


def source_with(
    rows: np.ndarray, known: np.ndarray, static: np.ndarray | None = None, lookback: int = LOOKBACK
) -> WindowSource:
    """Rows of equal length, `(rows, time)`, a series each, with covariates known in advance, `(rows, time + horizon,
    known)`, and static ones, `(rows, static)`.
    """
    count, time = rows.shape
    layout = Layout.rectangular(count, time)
    ahead = layout.longer(known.shape[1] - time)
    covariates = Covariates(
        np.arange(count),
        0,
        ahead,
        known.reshape(ahead.size, -1).astype(np.float32),
        np.empty((known.shape[1], 0), np.float32),
        0,
        (np.empty((count, 0)) if static is None else static).astype(np.float32),
    )
    filled = fill_gaps(rows.ravel().astype(float), layout, (), None)
    numbers = np.arange(1, count + 1, dtype=np.int32)
    return WindowSource(filled, lookback, known.shape[1] - time, numbers, covariates)


def accompanied(past: int = 2, known: int = 3, calendar: int = 2, static: int = 1, delayed: int = 0) -> WindowSource:
    """Two ragged series of noise with covariates of every role; with delays where there are to be such features."""
    series = Layout(STARTS, LENGTHS)
    layout = series.followed_by(Layout(np.repeat(STARTS, past), np.repeat(LENGTHS, past)))
    values = np.concatenate([_noise(number, length) for number, length in enumerate(layout.lengths)])
    ahead, time = series.longer(HORIZON), int(series.ends.max()) + HORIZON
    covariates = Covariates(
        np.arange(len(series)),
        past,
        ahead,
        _noise(10, ahead.size, known),
        _noise(11, time, calendar),
        calendar,
        _noise(12, len(series), static),
    )
    filled, numbers = fill_gaps(values, layout, (), None), np.array([1, 2], np.int32)
    source = WindowSource(filled, LOOKBACK, HORIZON, numbers, covariates)
    return source.with_delays() if delayed else source


def some_windows(source: WindowSource) -> tuple[np.ndarray, np.ndarray]:
    """Rows and origins of every seventh window."""
    rows, origins = origins_of(source.targets, (0, int(source.layout.ends.max())), LOOKBACK, 0)
    return rows[::7], origins[::7]


def _noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
