"""Whether validation windows say that one of two models is better, or whether it may be chance."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

PAYS = 0.01  # share of the squared error: what gains less is not worth having
SURE = 0.975  # one-sided


def clear_gain(without: np.ndarray, with_it: np.ndarray, origins: np.ndarray, horizon: int) -> bool:
    """Whether squared errors fall by 1 % or more, and by more than chance explains.

    Windows that begin within one horizon share most of their targets, and rows share the calendar. So what counts
    are sums over stretches of one horizon, whose paired differences are put to a t-test (Diebold & Mariano 1995,
    with stretches for the correction of overlap).

    Args:
        without: `(windows,)`, sums of squared errors.
        with_it: The same windows' with what is to be judged.
        origins: `(windows,)`.
        horizon: Steps.
    """
    stretches = (origins - origins.min()) // horizon
    differences = np.bincount(stretches, without.astype(float) - with_it)[np.unique(stretches)]
    count, gain = len(differences), differences.sum()
    if count < 2 or gain < PAYS * without.sum(dtype=float):
        return False
    return bool(gain > stdtrit(count - 1, SURE) * np.sqrt(count * differences.var(ddof=1)))
