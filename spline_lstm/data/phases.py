"""Cycles and phases of seasons that need not be whole steps long."""

from __future__ import annotations

import numpy as np

ROUNDING = 1e-9  # of a product that should be whole


def phases(time: int, season: float) -> tuple[np.ndarray, np.ndarray]:
    """Which cycle each step of a row is in, and how many steps of it lie before.

    Args:
        time: Steps.
        season: Steps in one cycle, two at least. Cycle `c` begins at the first step not before `c * season`.

    Returns:
        `(time,)` each.
    """
    begins = np.ceil(np.arange(time // season + 2) * season - ROUNDING).astype(np.int64)
    steps = np.arange(time)
    cycle = np.searchsorted(begins, steps, side="right") - 1
    return cycle, steps - begins[cycle]


def group_means(values: np.ndarray, groups: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the observations of each group, zero where there is none, and how many there are: `(count,)` each."""
    observed = ~np.isnan(values)
    sizes = np.bincount(groups[observed], minlength=count)
    totals = np.bincount(groups[observed], values[observed], minlength=count)
    return totals / np.maximum(sizes, 1), sizes
