"""How well a series repeats itself one season later: what the seasonal naive forecast errs on train rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def seasonal_difference(row: np.ndarray, season: int) -> float:
    """Mean absolute difference of observations one season apart; NaN where there is no such pair.

    Args:
        row: `(time,)`, NaN where nothing was observed. Pairs need both ends observed.
        season: Steps.
    """
    differences = np.abs(row[season:] - row[:-season])
    differences = differences[~np.isnan(differences)]
    return float(differences.mean()) if differences.size else float("nan")


def best_repeated(rows: Iterable[np.ndarray], seasons: Sequence[float]) -> int:
    """The season, in whole steps, whose repetition errs least over rows, each in units of its own spread.

    Args:
        rows: `(time,)` each, NaN where nothing was observed. Rows that hold no pair of some season have no say.
        seasons: Steps in a season of each kind, ascending.

    Returns:
        Steps; the shortest where no row has a say, 1 where there is no season.
    """
    whole = [round(season) for season in seasons] or [1]
    errors = np.zeros(len(whole))
    for row in rows if len(whole) > 1 else ():
        differences = np.array([seasonal_difference(row, season) for season in whole])
        if np.isfinite(differences).all() and (spread := np.nanstd(row)) > 0:
            errors += differences / spread
    return whole[int(errors.argmin())]
