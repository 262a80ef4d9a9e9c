"""Series that cannot be learned from, and what is done with them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from spline_lstm.data.layout import Layout
from spline_lstm.data.scaling import FARTHEST, constant
from spline_lstm.data.series import Panel
from spline_lstm.data.tables import NUMBERS
from spline_lstm.run.errors import DataError, InsufficientDataError, NothingToLearnError

log = logging.getLogger(__name__)

MOST_LOGGED = 10
FEWEST_TO_COMPARE = 20
FAR_OUT = 20  # times the range of 19 of 20 values: storms and rare orders lie nearer, wrong units farther
APART = 2  # times as far as the farthest of those that are near: of heavy rain there is heavier
NAMED, UNLEARNED = 0.02, 0.003  # shares of values that may lie so far out: what comes more often belongs to the series
DOUBTED = 3  # values far out to the same side, after which the series is believed to go there


@dataclass(frozen=True)
class Fault:
    """What a series breaks: it must do as the rule says, and something else was received; and what to do then."""

    rule: str
    received: str
    error: type[DataError] = DataError
    advice: str = "Mend the data."

    def __str__(self) -> str:
        return f"must {self.rule}; received: {self.received}"


def fault_of(values: np.ndarray, head: np.ndarray, shortest: int, spread: float | None = None) -> Fault | None:
    """What is wrong with a row, if anything.

    Args:
        values: `(steps,)`, all of it, NaN where nothing was observed.
        head: Its first steps, from which its scale comes.
        shortest: Steps it must have.
        spread: Its standard deviation, original units, if it is known already, so that it need not vary.
    """
    observed = values[~np.isnan(values)]
    if not observed.size:
        return Fault("hold observations", "none, all cells are empty")
    if spread is None and constant(observed):
        low, high = observed.min(), observed.max()
        received = f"{low:g} in every row" if low == high else f"{low} to {high}, too close to tell apart"
        return Fault("vary", received)
    if len(values) < shortest:
        return Fault(f"have {shortest} steps", str(len(values)), InsufficientDataError, "Give more rows.")
    if np.isnan(head).all():
        return Fault("hold observations in the train split", "none")
    known = head[~np.isnan(head)]
    if spread is None and constant(known):
        rule = "vary in the train split, or in its first window where it begins later"
        advice = "Remove the rows in which it had not begun, or mend the data."
        return Fault(rule, f"{known[0]:g} in every row of it", advice=advice)
    away = np.abs(observed - np.median(known))
    if away.max() > FARTHEST * (known.std() if spread is None else spread):
        return Fault(f"stay within {FARTHEST:g} standard deviations", f"{observed[away.argmax()]:g}")
    return None


def limits(row: np.ndarray, most: float) -> tuple[float, float]:
    """Beyond which a few values lie far from all others, as a wrong unit or a mark for nothing would.

    Args:
        row: `(steps,)`, NaN where nothing was observed.
        most: The share of values that may be such; where there are more, and more than one, nothing is far.

    Returns:
        Infinite where nothing is far.
    """
    observed = row[~np.isnan(row)]
    if len(observed) >= FEWEST_TO_COMPARE:
        low, middle, high = np.quantile(observed, [0.025, 0.5, 0.975])
        away, reach = np.abs(observed - middle), FAR_OUT * (high - low)
        reach = max(reach, APART * away[away <= reach].max())
        if high > low and np.sum(away > reach) <= max(1, most * len(observed)):
            return float(middle - reach), float(middle + reach)
    return -np.inf, np.inf


def far_out(row: np.ndarray, most: float) -> np.ndarray:
    """Where values of a row lie beyond its `limits`."""
    low, high = limits(row, most)
    return np.flatnonzero((row < low) | (row > high))


def doubtful(
    values: np.ndarray, layout: Layout, floor: np.ndarray, ceiling: np.ndarray, train: int, longest: int
) -> np.ndarray:
    """Which values lie too far from all train values of their row to be believed: `(steps,)`.

    Where half of the newest values lie far to one side, a series is believed to go there: from then on what lies twice
    as far is near. What is doubted depends on nothing later.

    Args:
        values: `(steps,)`, flat, NaN where nothing was observed.
        layout: Where the rows stand in it.
        floor: `(rows,)`, below which values are far.
        ceiling: `(rows,)`, above which they are.
        train: Steps of the train split, in which none of these is believed.
        longest: Steps of the longest gap that is filled; so many in a row are doubted at most.
    """
    result = np.zeros(len(values), bool)
    rows = zip(layout.split(values), layout.split(result), layout.starts, floor, ceiling, strict=True)
    for row, doubted, start, low, high in rows:
        doubted[:] = (row < low) | (row > high)
        later = max(0, train - start)
        if doubted[later:].any():
            observed = later + np.flatnonzero(~np.isnan(row[later:]))
            doubted[observed] = _doubtful(row[observed], low, high, min(DOUBTED, longest))
    return result


def _doubtful(row: np.ndarray, low: float, high: float, most: int) -> np.ndarray:
    """Which later values of one row are doubted, `(steps,)`: of `2 * most + 2` no more than `most` to one side."""
    middle, far, first = (low + high) / 2, np.zeros(len(row), bool), 0
    while True:
        beyond = {-1: row < low, 1: row > high}
        believed = {
            side: np.flatnonzero(there & (_recently(there, 2 * most + 2) > most))[:1] for side, there in beyond.items()
        }
        found = [(int(place[0]), side) for side, place in believed.items() if place.size]
        at, side = min(found, default=(len(row), 0))
        far[first:at] = (beyond[-1] | beyond[1])[first:at]
        if not side:
            return far
        reach = APART * (row[at] - middle)
        low, high, first = min(low, middle + reach), max(high, middle + reach), at


def _recently(there: np.ndarray, steps: int) -> np.ndarray:
    """How many of so many steps up to each are so: `(steps,)`."""
    total = np.append(0, np.cumsum(there))
    return total[1:] - total[np.maximum(np.arange(len(there)) + 1 - steps, 0)]


def usable_rows(
    panel: Panel,
    known_until: np.ndarray,
    shortest: int,
    drop: bool,
    before: int | None = None,
    spreads: Mapping[str, float] = MappingProxyType({}),
) -> tuple[np.ndarray, dict[str, str]]:
    """Which rows can be used, and why others cannot.

    Args:
        panel: All rows.
        known_until: `(rows,)`, steps of each row from which its scale comes.
        shortest: Steps each must have.
        drop: Whether rows may be left out.
        before: The calendar step up to which rows are judged; None: by all that they hold.
        spreads: The standard deviations, original units, of rows whose scale is known already, by their names.

    Returns:
        `(rows,)`, and what is wrong with each row that is left out.

    Raises:
        DataError: A row has a fault and may not be left out, or all have.
    """
    judged = panel.layout.before(panel.values, len(panel.timestamps) if before is None else before)
    rows = zip(panel.names, judged, known_until, strict=True)
    found = ((name, fault_of(row, row[:known], shortest, spreads.get(name))) for name, row, known in rows)
    faults = {name: fault for name, fault in found if fault}
    faults |= {name: Fault(f"hold {NUMBERS}", cell) for name, cell in panel.broken.items()}
    return sound_rows(panel.names, faults, drop), {name: str(fault) for name, fault in faults.items()}


def sound_rows(names: Sequence[str], faults: Mapping[str, Fault], drop: bool) -> np.ndarray:
    """Which rows have no fault, `(rows,)`.

    Raises:
        DataError: A row has a fault and may not be left out, or all have.
    """
    if faults and (not drop or len(faults) == len(names)):
        name, fault = next(iter(faults.items()))
        several = f" So it is with {len(faults) - 1} more series." if len(faults) > 1 else ""
        or_param = "set data.on_bad_series to drop" if len(faults) < len(names) else ""
        error = (
            NothingToLearnError if drop and any(each.error is DataError for each in faults.values()) else fault.error
        )
        raise error(f"Series {name!r} must {fault.rule}. Received: {fault.received}.{several} {fault.advice}", or_param)
    for name, fault in itertools.islice(faults.items(), MOST_LOGGED):
        log.warning("left out: %s %s", name, fault)
    if len(faults) > MOST_LOGGED:
        log.warning("left out: %d more", len(faults) - MOST_LOGGED)
    return np.array([name not in faults for name in names])
