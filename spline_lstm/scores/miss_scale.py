"""How large what a run misses usually is: it grows with the level of many series, and at night loads are surer.

Intervals learn from misses in proportion to that, so that what was missed low down, or at night, tells of what will be
missed high up, or at noon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_HEIGHT = 0.3  # standard deviations that every forecast stands over the least value
MOST_HEIGHT = 100.0  # beyond which nobody knows how misses grow
HOURS = 24  # of a day
FEWEST_DAYS = 7  # that tell hours apart
LEAST_SHARE = 0.01  # of what is usually missed
CHUNK = 1 << 14  # windows


@dataclass(frozen=True)
class MissScale:
    """What misses are in proportion to.

    Attributes:
        power: Of a forecast's height over the least train value (Taylor 1961, Aggregation, variance and the mean).
        hourly: `(rows, HOURS)`, of the hour of the day of a target.
    """

    power: float
    hourly: np.ndarray

    def of(self, heights: np.ndarray, rows: np.ndarray, origins: np.ndarray, hours: np.ndarray) -> np.ndarray:
        """Of windows: `(windows, horizon)`, positive, float32.

        Args:
            heights: `(windows, horizon)`, see the function of this name.
            rows: `(windows,)`.
            origins: `(windows,)`.
            hours: `(time,)`, of the day of each calendar step, as far as horizons reach.
        """
        result = heights**self.power
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            result[part] *= self.hourly[rows[part, None], target_hours(hours, origins[part], heights.shape[1])]
        return result


def heights(forecasts: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """How far forecasts stand above the least train value of their rows: `(windows, horizon)`, float32.

    Args:
        forecasts: `(windows, horizon)`, standardized.
        lowest: `(windows,)`, standardized.
    """
    return np.clip(forecasts - lowest[:, None], 0, MOST_HEIGHT).astype(np.float32) + np.float32(LEAST_HEIGHT)


def target_hours(hours: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
    """The hours of what windows forecast, `(windows, horizon)`, from those of each calendar step, `(time,)`."""
    return hours[origins[:, None] + np.arange(1, horizon + 1)]


def hourly_misses(sizes: np.ndarray, hours: np.ndarray, days: float) -> np.ndarray:
    """What one row misses at each hour of the day, relative to what it misses so many steps ahead: `(HOURS,)`, float32.

    Means of hours are drawn towards one by the share of their scatter that chance explains (James & Stein 1961), if an
    hour's misses of one day are as one observation.

    Args:
        sizes: `(windows, horizon)`, absolute errors, NaN where nothing was observed.
        hours: `(windows, horizon)`, of the targets.
        days: That the targets span.
    """
    observed, result = ~np.isnan(sizes), np.ones(HOURS, np.float32)
    if days < FEWEST_DAYS or not observed.any():
        return result
    usual = np.where(observed, sizes, 0).sum(axis=0) / np.maximum(observed.sum(axis=0), 1)
    relative = np.where(usual > 0, sizes / np.where(usual > 0, usual, 1), 1)[observed]
    there, hour, seen = np.unique(hours[observed], return_inverse=True, return_counts=True)
    means = np.bincount(hour, relative) / seen
    chance = (np.bincount(hour, (relative - means[hour]) ** 2) / seen).mean() / days
    scatter = ((means - 1) ** 2).mean()
    if scatter > chance:
        result[there] = np.maximum(1 + (1 - chance / scatter) * (means - 1), LEAST_SHARE)
    return result
