"""How far new data lies outside of what a run has seen, in level and in spread."""

from __future__ import annotations

import numpy as np

from spline_lstm.data.prepared import Series

MOST_WINDOWS = 1 << 10  # of a row, evenly spread
TOLD = 0.05  # of a range, or of a spread: less than that widens intervals without a word


def surprises(run: Series, new: Series, rows: np.ndarray, origins: np.ndarray) -> tuple[np.ndarray, dict[str, str]]:
    """By how much intervals grow where a newest window is unlike all that the run has seen of its series.

    A level outside of the range of all values adds how many ranges it lies outside; a spread over the largest one of
    any window multiplies by their ratio.

    Args:
        run: What was seen.
        new: What is to be forecast, in the run's scales.
        rows: `(windows,)`, of the new data.
        origins: `(windows,)`.

    Returns:
        Factors of 1 or more, `(windows,)`; what is unusual, by the name of the series.
    """
    number = {name: row for row, name in enumerate(run.names)}
    factors, unusual = np.ones(len(rows)), {}
    for index, (row, origin) in enumerate(zip(rows, origins, strict=True)):
        place = number.get(new.names[row])
        if place is None:
            continue
        low, high, widest = _seen(run, place)
        window = new.source.inputs(np.array([row]), np.array([origin]))[0]
        level, spread = float(window.mean()), float(window.std())
        outside = max(level - high, low - level, 0.0) / max(high - low, 1e-9)
        ratio = max(spread / max(widest, 1e-9), 1.0)
        factors[index] = (1 + outside) * ratio
        found = [f"its level lies {outside:.1f} ranges outside of all values"] if outside >= TOLD else []
        found += [f"its spread is {ratio:.1f} times the largest one"] if ratio >= 1 + TOLD else []
        if found:
            unusual[new.names[row]] = " and ".join(found)
    return factors, unusual


def _seen(run: Series, row: int) -> tuple[float, float, float]:
    """The least and the largest standardized value of a row, and the largest standard deviation of its windows."""
    layout, lookback = run.layout, run.source.lookback
    values = run.source.filled.settled[layout.offsets[row] : layout.offsets[row + 1]]
    first, last = layout.starts[row] + lookback - 1, layout.ends[row] - 1
    origins = np.unique(np.linspace(first, last, min(MOST_WINDOWS, last - first + 1)).round().astype(np.int64))
    windows = run.source.inputs(np.full(len(origins), row), origins)
    return float(values.min()), float(values.max()), float(windows.std(axis=1).max())
