"""What all pictures share: panels, colours, clocks, legends, and PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

ACTUAL, MODEL = "#222222", "#d1495b"
SETTLED, HELD, UNFILLED = "#00798c", "#edae49", "#8d96a3"
WIDTH, PANEL_HEIGHT, LEGEND_HEIGHT = 10.0, 2.6, 0.5
LEGEND_LETTERS, LETTERS_OF_KEY = 135, 8  # of one line of a legend, and those that a line or patch takes
DENSEST = 2000  # points of a line in a panel; of more than these, the extremes of stretches are drawn
MARKED = 150  # points of a line that are marked one by one


def panels(rows: int, columns: int = 1, height: float = PANEL_HEIGHT, **layout: Any) -> tuple[Figure, np.ndarray]:
    """A figure and its axes, `(rows, columns)`."""
    figure = Figure(figsize=(WIDTH, height * rows + LEGEND_HEIGHT), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **layout)


def finish(axes: Axes, title: str, ylabel: str = "", xlabel: str = "") -> None:
    """Title and labels as they are spelled: a `$` in the name of a series is no formula."""
    axes.set_title(title, loc="left", fontsize=10, parse_math=False)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel, parse_math=False)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def use_clock(axes: Axes) -> None:
    """Few, short dates below a panel."""
    locator = AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """One for all panels, below them, where it hides nothing."""
    entries = {label: handle for each in axes for handle, label in zip(*each.get_legend_handles_labels(), strict=True)}
    columns = max(1, min(len(entries), LEGEND_LETTERS // (max(map(len, entries)) + LETTERS_OF_KEY)))
    figure.legend(
        entries.values(), entries.keys(), loc="outside lower center", ncols=columns, frameon=False, fontsize=9
    )


def marker(points: int) -> str:
    """Single points are marked where there is room."""
    return "." if points <= MARKED else ""


def draw_line(axes: Axes, values: pd.Series, **style: Any) -> None:
    """A line over `(time,)`, broken where values are missing; a value between missing ones is a point."""
    mark, known = marker(len(values)), values.notna()
    axes.plot(values.index, values, marker=mark, **style)
    alone = known & ~known.shift(1, fill_value=False) & ~known.shift(-1, fill_value=False)
    if not mark and alone.any():
        axes.plot(values.index[alone], values[alone], ".", ms=2, color=style["color"])


def thinned(values: pd.Series) -> pd.Series:
    """The lowest and the highest value of each short stretch, where there are more than can be told apart."""
    if len(values) <= DENSEST:
        return values
    flat, kept = values.to_numpy(), []
    for part in np.array_split(np.arange(len(flat)), DENSEST // 2):
        known = part[~np.isnan(flat[part])]
        kept += sorted({known[flat[known].argmin()], known[flat[known].argmax()]}) if known.size else [part[0]]
    return values.iloc[kept]


def colors(count: int) -> np.ndarray:
    """As many colours as are asked for, none of them the model's: `(count, 4)`."""
    return colormaps["viridis"](np.linspace(0.1, 0.85, count))


def png(figure: Figure) -> bytes:
    """The same bytes for the same picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return buffer.getvalue()
