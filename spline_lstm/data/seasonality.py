"""The length of one season, inferred from train data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import find_peaks

LEAST_CORRELATION = 0.2
VOTERS = 100  # rows that decide; more of them would not change the mean
AS_GOOD = 0.9  # a shorter season is preferred when it correlates nearly as well


def autocorrelation(values: np.ndarray, most: int) -> np.ndarray:
    """Autocorrelation over the pairs of which both are observed.

    Args:
        values: `(time,)`, NaN where nothing was observed.
        most: Largest lag.

    Returns:
        `(most + 1,)`; zero where no pair was observed.
    """
    observed = ~np.isnan(values)
    centred = np.where(observed, values - np.nanmean(values), 0.0)
    size = next_fast_len(2 * len(values))
    spectra = rfft(np.stack([centred, observed.astype(float)]), size, axis=1)
    products, pairs = irfft(np.abs(spectra) ** 2, size, axis=1)[:, : most + 1]
    pairs = np.round(pairs)
    covariance = np.where(pairs > 0, products / np.maximum(pairs, 1), 0.0)
    return covariance / covariance[0] if covariance[0] > 0 else covariance


def infer_season(train: Sequence[np.ndarray]) -> int:
    """The shortest lag, up to a third of the series, at which the detrended series clearly repeats.

    Args:
        train: Rows of `(steps,)`, NaN where nothing was observed. The longest `VOTERS` of them vote, each lag with
            the mean correlation of the rows that are three times as long.

    Returns:
        Steps in one season, or 1 where there is none.
    """
    voters = sorted(train, key=len, reverse=True)[:VOTERS]
    most = len(voters[0]) // 3 if voters else 0
    if most < 3:
        return 1
    total, votes = np.zeros(most + 1), np.zeros(most + 1)
    for row in voters:
        reach = len(row) // 3
        total[: reach + 1] += autocorrelation(_detrended(row), reach)
        votes[: reach + 1] += 1
    correlation = total / votes
    peaks, _ = find_peaks(correlation, height=LEAST_CORRELATION, prominence=LEAST_CORRELATION)
    peaks = peaks[peaks > 1]
    if not peaks.size:
        return 1
    heights = correlation[peaks]
    return int(peaks[heights >= AS_GOOD * heights.max()][0])


def _detrended(row: np.ndarray) -> np.ndarray:
    """Take out a cubic trend, which would correlate at every lag."""
    observed = ~np.isnan(row)
    if observed.sum() < 5:
        return np.zeros_like(row)
    clock = np.linspace(-1, 1, len(row))
    trend = np.polynomial.legendre.Legendre.fit(clock[observed], row[observed], 3, domain=[-1, 1])
    return row - trend(clock)
