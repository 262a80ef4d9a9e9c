"""Exponential smoothing of level, damped trend and season, as one linear map from a long past.

Holt (1957) and Winters (1960), the trend damped as by Gardner & McKenzie (1985). Four numbers are all that it learns:
where a series is too short for a map of many weights, or has just changed, it errs otherwise than a ridge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from spline_lstm.data.windows import WindowIndex, WindowSource
from spline_lstm.model.folded import past_and_ahead

# The combinations that are tried.
LEVELS = (0.02, 0.1, 0.3, 0.6, 1.0)
TRENDS = ((0.0, 1.0), (0.1, 0.8), (0.1, 0.9), (0.05, 0.98), (0.05, 1.0))  # as a share of the level's, and the damping
SEASONS = (0.0, 0.05, 0.2, 0.5)  # as a share of what the level leaves
FIRST_CYCLES = 3  # whose mean profile is the season to begin with
MOST_JUDGES = 128  # of each split, evenly spread


@dataclass(frozen=True)
class Smoothing:
    """How fast each state follows what it missed, from 0, never, to 1, at once; arrays where there are several.

    Attributes:
        level: Of the level.
        trend: Of the trend, as a share of the level's.
        damping: What is left of the trend after a step.
        season: Of the season, as a share of what the level leaves.
    """

    level: float | np.ndarray
    trend: float | np.ndarray
    damping: float | np.ndarray
    season: float | np.ndarray


def fit_holt_winters(
    source: WindowSource, train: WindowIndex, validation: WindowIndex, effects: np.ndarray, season: float, cycles: int
) -> np.ndarray:
    """Choose what errs least on train and validation windows over the whole horizon. A split counts by its windows,
    one whose past begins with its row does not.

    Args:
        source: Where windows are cut from.
        train: Windows to learn from.
        validation: Windows to learn from, too: the newest, and four numbers are soon learned.
        effects: `(1 + static, known + delayed + calendar)`, which are taken out first, see `Covariates.effect`.
        season: Steps, 2 or more.
        cycles: How many seasons of the past it reads.

    Returns:
        The map from the steps of the past, oldest first, to those ahead: `(cycles * phases, horizon)`, float32.
    """
    longer = source.with_cycles(cycles, season, effects)
    tried = [Smoothing(level, *trend, effect) for level, trend, effect in product(LEVELS, TRENDS, SEASONS)]
    together = Smoothing(*np.array([[*vars(each).values()] for each in tried]).T)
    errors = np.zeros(len(tried))
    for windows in (train, validation):
        error, count = _squared_errors(longer, windows.at_most(MOST_JUDGES), together)
        errors += len(windows) * error / max(count, 1)
    best = tried[int(np.argmin(errors))]
    seen = np.eye(cycles * longer.phases)
    steps = np.stack(list(smoothed(seen, longer.phases, source.horizon, best)), axis=1)
    return steps[:, :, 0].astype(np.float32)


def smoothed(past: np.ndarray, season: int, horizon: int, smoothing: Smoothing) -> Iterator[np.ndarray]:
    """Smooth all windows by all of several smoothings, and forecast.

    Args:
        past: `(windows, steps)`, whole cycles.
        season: Steps, 2 or more.
        horizon: Steps.
        smoothing: One or several.

    Yields:
        The forecast of each step of the horizon: `(windows, smoothings)`.
    """
    rates = [np.atleast_1d(rate) for rate in vars(smoothing).values()]
    of_level, of_trend, damping, of_season = rates[0], rates[0] * rates[1], rates[2], rates[3] * (1 - rates[0])
    first = past[:, : FIRST_CYCLES * season].reshape(len(past), -1, season)
    level = np.tile(first[:, 0].mean(axis=1)[:, None], len(damping))
    profile = (first - first.mean(axis=2, keepdims=True)).mean(axis=1)
    effects = np.tile(profile.T[:, :, None], len(damping))
    trend = np.zeros_like(level)
    for step, value in enumerate(past.T):
        expected = level + damping * trend
        missed = value[:, None] - expected - effects[step % season]
        level = expected + of_level * missed
        trend = damping * trend + of_trend * missed
        effects[step % season] += of_season * missed
    for step in range(horizon):
        trend = damping * trend
        level = level + trend
        yield level + effects[step % season]


def _squared_errors(source: WindowSource, windows: WindowIndex, smoothing: Smoothing) -> tuple[np.ndarray, int]:
    """Squared errors of several smoothings, summed over observed targets, and of how many windows."""
    errors, count = np.zeros(len(np.atleast_1d(smoothing.level))), 0
    for cycles, targets, reach in past_and_ahead(source, windows):
        whole = np.flatnonzero(reach == 1)
        if not whole.size:
            continue
        count += len(whole)
        past = np.swapaxes(cycles[whole], 1, 2).reshape(len(whole), -1)
        forecasts = smoothed(past, source.phases, source.horizon, smoothing)
        for forecast, target in zip(forecasts, targets[whole].T, strict=True):
            errors += np.nansum((forecast - target[:, None]) ** 2, axis=0)
    return errors, count
