"""The lengths of seasons, inferred from train data: the calendar's own first, else one of the series' own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import fdtrc

from spline_lstm.data.phases import group_means, phases
from spline_lstm.data.scaling import RELATIVE_ROUNDING

VOTERS = 100  # rows that decide; more of them would not change the mean
MIDDLE, FAR_OUT = (0.025, 0.975), 0.5  # quantiles, and how much of what lies between them a value may lie beyond

# A season of the calendar
LEAST_CYCLES = 2.5  # of two, a trend that bends can be half
BINS = 24  # of a cycle, at most: enough for its shape, few enough for a year of hours
ORDER = 3  # of the autoregression that takes out what neighbouring bins share
FEWEST_BINS = 3 * ORDER  # that it is fitted to
SIGNIFICANCE = 0.001

# A season of the series' own
LEAST_OWN_CYCLES = 6
LEAST_CORRELATION = 0.3
LEAST_DEVIATIONS = 4  # of the correlation of as many independent values as there are pairs
AS_GOOD = 0.9  # a shorter season is preferred when it correlates nearly as well


def infer_seasons(train: Iterable[np.ndarray], timestamps: pd.DatetimeIndex) -> tuple[float, ...]:
    """The calendar's seasons that repeat, each judged when the shorter ones are taken out, or the series' own.

    Args:
        train: Rows of `(steps,)`, NaN where nothing was observed. The longest `VOTERS` of them decide.
        timestamps: Labels of the grid.

    Returns:
        Steps in a season of each kind, ascending; none where nothing repeats.
    """
    rows = [_detrended(row) for row in longest_rows(train)]
    seasons = []
    for season in calendar_seasons(timestamps).values():
        if _repeats(rows, season):
            seasons.append(season)
            rows = [_without(row, season) for row in rows]
    if not seasons and (own := _own_season(rows)):
        seasons.append(float(own))
    return tuple(seasons)


def longest_rows(rows: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Those that decide for all."""
    return sorted(rows, key=len, reverse=True)[:VOTERS]


def calendar_seasons(timestamps: pd.DatetimeIndex) -> dict[str, float]:
    """Steps in a day, a week and a year of 365.25 days, those of two steps or more, ascending.

    Where labels are not equally far apart, a day and a week have as many as they mostly have.
    """
    if len(timestamps) < 2:
        return {}
    one, elapsed = pd.Timedelta("1D"), np.diff(timestamps.asi8)
    if np.ptp(elapsed) == 0:
        day = one / (timestamps[1] - timestamps[0])
        seasons = [day, 7 * day, 365.25 * day]
    else:
        days = (timestamps - pd.Timestamp(0)) // one
        year = 365.25 * len(elapsed) / ((timestamps[-1] - timestamps[0]) / one)
        whole = round(year)  # months are unequal, yet a year has twelve of them
        seasons = [_labels_each(days), _labels_each(days // 7), whole if abs(year - whole) < 0.05 else year]
    names = {float(season): name for season, name in zip(seasons, ("day", "week", "year"), strict=True)}
    return {name: season for season, name in sorted(names.items()) if season >= 2}


def _labels_each(periods: pd.Index) -> float:
    return float(np.median(np.unique(periods, return_counts=True)[1]))


def _repeats(rows: Sequence[np.ndarray], season: float) -> bool:
    """Whether the phases of a season differ by more than their own scatter over the cycles of a typical row.

    Rows often move together, so many of them are no surer than one.
    """
    tables = [_analysis_of_variance(row, season) for row in rows if len(row) >= LEAST_CYCLES * season]
    found = [table for table in tables if table]
    if not found:
        return False
    ratio = float(np.mean([ratio for ratio, _, _ in found]))
    between, within = np.median([degrees for _, *degrees in found], axis=0)
    return bool(fdtrc(between, within, ratio) < SIGNIFICANCE)


def _analysis_of_variance(row: np.ndarray, season: float) -> tuple[float, int, int] | None:
    """F of the phases of one row, and its degrees of freedom; None where it cannot be told.

    The row is averaged in bins of a cycle. An autoregression, fitted to what the phases leave, takes out what
    bins owe to those before them: the phases of what is left are independent under a random walk, too.
    """
    bins = int(min(BINS, season))
    slots = np.floor(np.arange(len(row)) * bins / season + 1e-9).astype(np.int64)
    means, sizes = group_means(row, slots, int(slots[-1]) + 1)
    observed = sizes > 0
    if observed.sum() < FEWEST_BINS:
        return None
    phase = np.arange(len(means)) % bins
    shocks = _shocks(np.where(observed, means, np.nan), phase, bins)
    profile, sizes = group_means(shocks, phase, bins)
    count, between = int(sizes.sum()), int((sizes > 0).sum()) - 1
    within = count - between - 1
    if between < 1 or within < 1:
        return None
    explained = float(sizes @ (profile - np.nanmean(shocks)) ** 2) / between
    scatter = float(np.nansum((shocks - profile[phase]) ** 2)) / within
    if explained + scatter == 0:
        return None
    return explained / max(scatter, 1e-9 * explained), between, within


def _shocks(values: np.ndarray, phase: np.ndarray, bins: int) -> np.ndarray:
    """What an autoregression does not foresee of each observed value, NaN at others and at the begin."""
    observed, steps = ~np.isnan(values), np.arange(len(values))
    rest = values - group_means(values, phase, bins)[0][phase]
    past = np.stack([rest[ORDER - lag : len(rest) - lag] for lag in range(1, ORDER + 1)], axis=1)
    complete = ~np.isnan(past).any(axis=1) & observed[ORDER:]
    weights = np.zeros(ORDER)
    if complete.sum() >= FEWEST_BINS:
        weights = np.linalg.lstsq(past[complete], rest[ORDER:][complete], rcond=None)[0]
    bridged = np.interp(steps, steps[observed], values[observed])
    shocks = values.copy()
    for lag, weight in enumerate(weights, 1):
        shocks[ORDER:] -= weight * bridged[ORDER - lag : len(values) - lag]
    shocks[:ORDER] = np.nan
    return shocks


def _without(row: np.ndarray, season: float) -> np.ndarray:
    """Take out the mean of each phase."""
    _, phase = phases(len(row), season)
    return row - group_means(row, phase, int(np.ceil(season)))[0][phase]


def _own_season(rows: Sequence[np.ndarray]) -> int:
    """The shortest lag at which detrended rows clearly correlate, seen six times or more; 0 where there is none.

    Args:
        rows: `(steps,)` each, longest first. Each lag has the mean correlation of the rows that are long enough.
    """
    from scipy.signal import find_peaks  # half a second, which most stages, that seek no season, do without

    longest = _reach(rows[0]) if rows else 0
    if longest < 3:
        return 0
    total, votes = np.zeros(longest + 1), np.zeros(longest + 1)
    for row in rows:
        reach = _reach(row)
        total[: reach + 1] += autocorrelation(row, reach)
        votes[: reach + 1] += 1
    correlation = total / votes
    observed = max(1, np.sum(~np.isnan(rows[0])))  # of random gaps their square's share of pairs is
    least = max(LEAST_CORRELATION, LEAST_DEVIATIONS * np.sqrt(len(rows[0])) / observed)
    peaks, _ = find_peaks(correlation, height=least, prominence=least)
    peaks = peaks[(peaks > 1) & (peaks <= len(rows[0]) // LEAST_OWN_CYCLES)]
    peaks = peaks[[any(_pairs(row, lag) >= LEAST_OWN_CYCLES for row in rows) for lag in peaks]]
    if not peaks.size:
        return 0
    heights = correlation[peaks]
    return int(peaks[heights >= AS_GOOD * heights.max()][0])


def _pairs(row: np.ndarray, lag: int) -> float:
    """How many equal pairs would correlate as much; of rare pulses two that meet by chance are all there is."""
    centred = row - np.nanmean(row)
    products = centred[lag:] * centred[:-lag]
    squares = np.nansum(products**2)
    return float(max(np.nansum(products), 0) ** 2 / squares) if squares > 0 else 0.0


def _reach(row: np.ndarray) -> int:
    """The largest lag that is looked at: beyond that of a season, or the last peak would have no far side."""
    return len(row) * 3 // (LEAST_OWN_CYCLES * 2)


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


def _detrended(row: np.ndarray) -> np.ndarray:
    """Take out a cubic trend, which would correlate at every lag; what is left by rounding alone is nothing.

    Values far from all others are brought nearer: one of them would hide what the others repeat.
    """
    observed = ~np.isnan(row)
    if observed.sum() < 5:
        return np.zeros_like(row)
    rounding = RELATIVE_ROUNDING * np.nanmax(np.abs(row))
    row = _without_outliers(row - np.nanmean(row))  # so that the fit rounds by what varies alone
    clock = np.linspace(-1, 1, len(row))
    trend = np.polynomial.legendre.Legendre.fit(clock[observed], row[observed], 3, domain=[-1, 1])
    rest = row - trend(clock)
    return rest if np.nanstd(rest) > 1e-9 * np.nanmax(np.abs(row)) + rounding else np.zeros_like(row)


def _without_outliers(row: np.ndarray) -> np.ndarray:
    low, high = np.nanquantile(row, MIDDLE)
    reach = FAR_OUT * (high - low)
    return np.clip(row, low - reach, high + reach) if reach > 0 else row
