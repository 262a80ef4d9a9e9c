"""Pictures with a panel for each series that is shown."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spline_lstm.data.gaps import runs
from spline_lstm.data.windows import SPLITS
from spline_lstm.pages import figures
from spline_lstm.pages.figures import ACTUAL, HELD, MODEL, SETTLED, UNFILLED, draw_line, finish, legend, panels
from spline_lstm.pages.finished import FinishedRun
from spline_lstm.pages.labels import percent
from spline_lstm.scores.predictions import separate_windows

TAIL, TAIL_OF_WINDOW, SHORTEST_TAIL = 3, 1, 20  # of the history before a forecast, in horizons and in steps
READABLE_STEPS, FEWEST_WINDOWS = 200, 2  # of forecasts against actuals
CONTEXT_OF_GAP, LEAST_CONTEXT = 2, 10  # on each side of a gap, in its lengths and in steps
SHADES = ("#ffffff", "#dcebf5", "#faedcd")  # of the splits


class Gap(NamedTuple):
    """A stretch of missing steps of a series, by their positions in it."""

    length: int
    name: str
    start: int


def plot_forecast(run: FinishedRun) -> Figure:
    """The end of each series and its forecast, with intervals."""
    figure, axes = panels(len(run.ahead))
    for each, name in zip(axes[:, 0], run.ahead, strict=True):
        table = run.forecast[run.forecast["series_id"] == name]
        _draw_history(each, name, table, TAIL, run)
        _draw_forecast(each, table.set_index("timestamp"), run)
        finish(each, f"{name:.80}: forecast beyond the data, from {run.when(table['origin'].iloc[0])}", run.target)
    legend(figure, axes.flat)
    return figure


def plot_test_windows(run: FinishedRun) -> Figure:
    """Forecasts against actuals: the newest windows that do not overlap, and one of them by itself."""
    names = [name for name in run.shown if name in run.scored]
    figure, axes = panels(len(names), 2, width_ratios=(3, 2))
    windows = separate_windows(run.predictions[run.predictions["series_id"].isin(names)])
    for (wide, zoom), name in zip(axes, names, strict=True):
        table = windows[windows["series_id"] == name]
        _draw_stretch(wide, table, run)
        newest = table[table["origin"] == table.dropna(subset="y_true")["origin"].max()]
        _draw_history(zoom, name, newest, TAIL_OF_WINDOW, run)
        _draw_forecast(zoom, newest.set_index("timestamp"), run)
        finish(zoom, f"the window from {run.when(newest['origin'].iloc[0])}")
    legend(figure, axes.flat)
    return figure


def plot_series(run: FinishedRun) -> Figure:
    """Each series with its splits and gaps; where steps are missing, also its longest gap from near."""
    gaps = _gaps_to_show(run)
    figure, axes = panels(len(run.shown) + len(gaps))
    for each, name in zip(axes[:, 0], run.shown, strict=False):
        _draw_series(each, run.series(name), run)
        finish(each, f"{name:.80}", run.target)
    for each, gap in zip(axes[len(run.shown) :, 0], gaps, strict=True):
        _draw_gap(each, gap, run)
    legend(figure, axes.flat)
    return figure


def _draw_history(axes: Axes, name: str, forecast: pd.DataFrame, horizons: int, run: FinishedRun) -> None:
    """What was observed before a forecast and, where there is any, beside it."""
    table = run.series(name)
    tail = max(horizons * len(forecast), SHORTEST_TAIL)
    known = int(table.index.searchsorted(forecast["origin"].iloc[0], side="right"))
    part = run.broken(table.iloc[max(0, known - tail) : known + len(forecast)])
    draw_line(axes, part["observed"], color=ACTUAL, lw=1, label="observed")
    axes.axvline(forecast["origin"].iloc[0], color=ACTUAL, lw=0.8, ls=":", label="origin of a forecast")
    figures.use_clock(axes)


def _draw_forecast(axes: Axes, table: pd.DataFrame, run: FinishedRun) -> None:
    table = run.broken(table[["y_pred", "y_lower", "y_upper"]])
    coverage = f"{percent(run.params.evaluate.levels[0])} interval"
    axes.fill_between(table.index, table["y_lower"], table["y_upper"], color=MODEL, alpha=0.2, lw=0, label=coverage)
    if len(table) == 1:  # an area of one step has no width
        axes.vlines(table.index, table["y_lower"], table["y_upper"], color=MODEL, alpha=0.4)
    draw_line(axes, table["y_pred"], color=MODEL, lw=1.2, label="forecast")


def _draw_stretch(axes: Axes, table: pd.DataFrame, run: FinishedRun) -> None:
    """The newest of separate windows, as many as can be read."""
    origins = table["origin"].unique()[-max(FEWEST_WINDOWS, READABLE_STEPS // run.prepared.settings.horizon) :]
    stretch = table[table["origin"].isin(origins)].set_index("timestamp")
    clock = run.prepared.timestamps
    stretch = stretch.reindex(clock[(clock >= stretch.index[0]) & (clock <= stretch.index[-1])])  # no line over a hole
    draw_line(axes, run.broken(stretch[["y_true"]])["y_true"], color=ACTUAL, lw=1, label="observed")
    _draw_forecast(axes, stretch, run)
    if run.prepared.settings.horizon > 1:
        for origin in origins:
            axes.axvline(origin, color=ACTUAL, lw=0.8, ls=":", label="origin of a forecast")
    figures.use_clock(axes)
    finish(axes, f"{table['series_id'].iloc[0]:.50}: newest {len(origins)} test windows without overlap", run.target)


def _draw_series(axes: Axes, table: pd.DataFrame, run: FinishedRun) -> None:
    observed, limit = figures.thinned(run.broken(table)["observed"]), run.prepared.settings.longest_gap
    draw_line(axes, observed, color=ACTUAL, lw=0.7, label="observed")
    unfilled = _over(table["observed"], limit)
    filled = table["observed"].isna() & ~unfilled
    if filled.any():
        axes.plot(table.index[filled], table["settled"][filled], ".", color=SETTLED, ms=3, label="filled")
    if unfilled.any():
        _shade_unfilled(axes, table.index, unfilled, limit)
    clock, splits = run.prepared.timestamps, run.prepared.splits
    for split, shade in zip(SPLITS, SHADES, strict=True):
        start, end = splits.bounds(split)
        dates = f"{split}: {run.when(clock[start])} to {run.when(clock[end - 1])}"
        axes.axvspan(clock[start], clock[end - 1], facecolor=shade, edgecolor="#bbbbbb", lw=0.8, zorder=0, label=dates)
    figures.use_clock(axes)


def _draw_gap(axes: Axes, gap: Gap, run: FinishedRun) -> None:
    """A gap from near, as it was filled, or unfilled where it is over the limit."""
    limit, end = run.prepared.settings.longest_gap, gap.start + gap.length
    margin = max(LEAST_CONTEXT, CONTEXT_OF_GAP * gap.length)
    table = run.series(gap.name)
    unfilled = _over(table["observed"], limit)
    part = table.iloc[max(0, gap.start - margin) : end + margin]
    draw_line(axes, run.broken(part)["observed"], color=ACTUAL, lw=1, label="observed")
    filled = part["observed"].isna() & ~unfilled[part.index]
    for column, color, style, label in (
        ("settled", SETTLED, "-", "filled, once the gap had closed"),
        ("held", HELD, ":", "filled, while it was open"),
    ):
        if filled.any():
            shown = run.broken(part[[column]].where(filled))
            axes.plot(shown.index, shown[column], color=color, ls=style, marker=".", label=label)
    if unfilled[part.index].any():
        _shade_unfilled(axes, part.index, unfilled[part.index], limit)
    figures.use_clock(axes)
    outcome = f"over the limit of {limit}, so not filled" if gap.length > limit else "as it was filled"
    first, last = (run.when(table.index[step]) for step in (gap.start, end - 1))
    length = f"gap of {gap.length} steps from {first} to {last}" if gap.length > 1 else f"gap of 1 step at {first}"
    finish(axes, f"{gap.name:.50}: {length}, {outcome}", run.target)


def _shade_unfilled(axes: Axes, clock: pd.DatetimeIndex, unfilled: pd.Series, limit: int) -> None:
    axes.fill_between(
        clock, 0, 1, where=unfilled, transform=axes.get_xaxis_transform(),
        facecolor="none", edgecolor=UNFILLED, hatch="////", lw=0.5, label=f"gap over {limit} steps, not filled",
    )  # fmt: skip


def _over(observed: pd.Series, limit: int) -> pd.Series:
    """Which steps are in gaps over the limit."""
    starts, ends = runs(observed.isna().to_numpy())
    long = ends - starts > limit
    edges = np.zeros(len(observed) + 1, int)
    edges[starts[long]], edges[ends[long]] = 1, -1
    return pd.Series(np.cumsum(edges[:-1]) > 0, observed.index)


def _gaps_to_show(run: FinishedRun) -> list[Gap]:
    """The longest gap of the series that are shown and, where it was not filled, the longest that was."""
    found = []
    for name in run.shown:
        starts, ends = runs(run.series(name)["observed"].isna().to_numpy())
        found += [Gap(int(end - start), name, int(start)) for start, end in zip(starts, ends, strict=True)]
    limit = run.prepared.settings.longest_gap
    longest, filled = ([gap for gap in found if gap.length <= most] for most in (len(run.prepared.timestamps), limit))
    shown = [max(gaps, key=lambda gap: gap.length) for gaps in (longest, filled) if gaps]
    return list(dict.fromkeys(shown))
