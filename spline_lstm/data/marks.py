"""Cells as numbers, and what stands for nothing in them, as -999 and a question mark often do."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

FEWEST, FEWEST_OTHERS = 3, 20  # cells of a mark, and different numbers beside it
NINES = r"-99+(?:\.9+)?|-9+\.9+|999+(?:\.9+)?"  # 9.99 and 99 are prices and percentages
FAR, FAR_FOR_NINES = 100.0, 0.5  # of the range of all others


def numbers_of(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of a column, NaN where a cell is empty or holds no number, and where it holds none.

    A number is the same to its last bit whatever else the column holds.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column.astype("string")  # else it would be counted in nanoseconds
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if not pd.api.types.is_numeric_dtype(column):
        there = ~np.isnan(numbers)
        numbers[there] = [float(cell) for cell in column[there]]  # pandas reads some of them a bit off
    return numbers, np.isnan(numbers) & column.notna().to_numpy()


def without_marks(column: pd.Series, missing: Sequence[float | str]) -> pd.Series:
    """The same with cells that stand for nothing empty."""
    marks: list[float] = []
    for mark in missing:
        with contextlib.suppress(ValueError):
            marks.append(float(mark))
    with np.errstate(over="ignore"):
        in_32_bits = np.array(marks, np.float32)  # in which a column may be kept
    marked = np.isin(numbers_of(column)[0], [*marks, *in_32_bits[np.isfinite(in_32_bits)]])
    if not pd.api.types.is_numeric_dtype(column):
        marked |= column.astype("string").str.strip().isin(list(map(str, missing))).to_numpy(dtype=bool)
    return column.mask(marked)


def advice_on_marks(missing: Sequence[float | str], more: Iterable[float | str]) -> str:
    """What to set in params, so that more cells stand for nothing than those that do already."""
    marks = dict.fromkeys((*missing, *more))
    return f"set data.missing to [{', '.join(repr(mark).removesuffix('.0') for mark in marks)}]"


def mark_of(values: np.ndarray, series: np.ndarray) -> tuple[float, int] | None:
    """The number that seems to stand for nothing, if there is one, and how often it comes.

    It is the least or the greatest, comes again and again to the last digit, and lies far from all others: by a
    hundred times their range, or by half of it if it is written in nines, which may also be the only number below
    zero. Zero is none: it is what a closed shop sells. Nor is what a series is all the time.

    Args:
        values: `(rows,)`, NaN where nothing was observed.
        series: `(rows,)`, which series each is of.
    """
    known = ~np.isnan(values)
    observed = values[known]
    if not observed.size:
        return None
    for mark in (observed.min(), observed.max()):
        others = observed[observed != mark]
        count = len(observed) - len(others)
        if not mark or count < FEWEST or not len(others):
            continue
        low, high = others.min(), others.max()  # apart, as 20 differ
        nines = re.fullmatch(NINES, f"{mark:.6g}" if np.float32(mark) == mark else f"{mark:.15g}")
        away = max(low - mark, mark - high)
        far = away > (FAR_FOR_NINES if nines else FAR) * (high - low) or (nines and mark < 0 <= low)
        if far and len(np.unique(others)) >= FEWEST_OTHERS:
            with_mark, with_others = (np.unique(series[known][place]) for place in (observed == mark, observed != mark))
            if np.isin(with_mark, with_others).mean() > 0.5:
                return float(mark), count
    return None
