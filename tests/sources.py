"""Window sources of small arrays, whose values count as standardized, and forecasts of their windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spline_lstm.data.covariates import Covariates
from spline_lstm.data.gaps import fill_gaps
from spline_lstm.data.layout import Layout
from spline_lstm.data.windows import Windows, WindowSource
from spline_lstm.scores.forecasts import Forecasts


def layout_of(rows: Sequence[np.ndarray], starts: Sequence[int]) -> Layout:
    return Layout(np.array(starts, np.int64), np.array([len(row) for row in rows], np.int64))


def ragged_source(
    rows: Sequence[np.ndarray],
    starts: Sequence[int],
    seasons: Sequence[float] = (),
    lookback: int = 1,
    horizon: int = 1,
    decay: float | None = None,
) -> WindowSource:
    """Rows of `(steps,)` each, NaN where nothing was observed, known to the model by their numbers from 1."""
    filled = fill_gaps(np.concatenate(rows).astype(float), layout_of(rows, starts), seasons, decay)
    numbers = np.arange(1, len(rows) + 1, dtype=np.int32)
    return WindowSource(filled, lookback, horizon, numbers, Covariates.none(filled.layout, horizon))


def source_of(
    values: np.ndarray,
    seasons: Sequence[float] = (),
    lookback: int = 1,
    horizon: int = 1,
    decay: float | None = None,
) -> WindowSource:
    """Rows that all span the whole calendar: `(rows, time)`."""
    return ragged_source(list(values), [0] * len(values), seasons, lookback, horizon, decay)


def bare_windows(values: np.ndarray, missing: np.ndarray, rows: np.ndarray, horizon: int) -> Windows:
    """Windows without covariates."""
    count, lookback = values.shape
    past, known = (np.zeros((count, steps, 0), np.float32) for steps in (lookback, lookback + horizon))
    static, level, reach = np.zeros((3, count, 0), np.float32)
    cycles = np.zeros((count, 0, 1), np.float32)
    return Windows(values, missing, past, known, known, known, static, rows, cycles, level, reach)


def symmetric_forecasts(
    rows: np.ndarray,
    origins: np.ndarray,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    half_widths: np.ndarray | float = 1.0,
    levels: Sequence[float] = (0.9,),
) -> Forecasts:
    """Forecasts whose intervals reach as far down as up; further levels twice as far as the one before."""
    widths = np.stack([half_widths * 2.0**number * np.ones_like(y_pred) for number in range(len(levels))])
    return Forecasts(rows, origins, y_true, y_pred, tuple(levels), y_pred - widths, y_pred + widths)


def waves(lookback, horizon, starts=(0,), steps=300, missing=0.1):
    """Rows of a noisy season of eight steps."""
    rng = np.random.default_rng(0)
    rows = [np.sin(np.arange(start, steps) * 2 * np.pi / 8) + 0.1 * rng.normal(size=steps - start) for start in starts]
    for row in rows:
        row[rng.random(len(row)) < missing] = np.nan
    return ragged_source(rows, starts, (8.0,), lookback, horizon)
