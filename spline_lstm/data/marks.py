"""Numbers and texts that stand for nothing in a cell, as -999 and a question mark often do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

FEWEST, FEWEST_OTHERS = 3, 20  # cells of a mark, and different numbers beside it
NINES = r"-?9+(?:\.9+)?"
FAR, FAR_FOR_NINES = 3.0, 0.5  # of the range of all others


def texts_of(marks: Iterable[float | str]) -> list[str]:
    """Marks as cells of text: whole numbers without a point."""
    return [mark if isinstance(mark, str) else repr(mark).removesuffix(".0") for mark in marks]


def without_marks(column: pd.Series, missing: Sequence[float | str]) -> pd.Series:
    """The same with cells that stand for nothing empty."""
    marks: list[float | str] = [mark for mark in missing if not isinstance(mark, str)]
    if not pd.api.types.is_numeric_dtype(column):
        marks += texts_of(missing)
    return column.mask(column.isin(marks))


def advice_on_marks(missing: Sequence[float | str], more: Iterable[float | str]) -> str:
    """What to set in params, so that more cells stand for nothing than those that do already."""
    marks = list(dict.fromkeys((*missing, *more)))
    shown = (repr(mark) if isinstance(mark, str) else text for mark, text in zip(marks, texts_of(marks), strict=True))
    return f"set data.missing to [{', '.join(shown)}]"


def mark_of(values: np.ndarray) -> tuple[float, int] | None:
    """The number that seems to stand for nothing, if there is one, and how often it comes.

    It is the least or the greatest, comes again and again to the last digit, and lies far from all others: by three
    times their range, or by half of it if it is written in nines, which may also be the only number below zero. Zero
    is none: it is what a closed shop sells.

    Args:
        values: Any shape, NaN where nothing was observed.
    """
    observed = values[~np.isnan(values)]
    if not observed.size:
        return None
    for mark in (observed.min(), observed.max()):
        others = observed[observed != mark]
        count = len(observed) - len(others)
        if not mark or count < FEWEST or not len(others):
            continue
        low, high = others.min(), others.max()  # apart, as 20 differ
        nines = re.fullmatch(NINES, f"{mark:.15g}")  # -999.90 may be kept in 32 bits
        away = max(low - mark, mark - high)
        far = away > (FAR_FOR_NINES if nines else FAR) * (high - low) or (nines and mark < 0 <= low)
        if far and len(np.unique(others)) >= FEWEST_OTHERS:
            return float(mark), count
    return None
