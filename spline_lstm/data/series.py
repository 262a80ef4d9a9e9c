"""A CSV or Parquet file becomes a regular panel: values on a grid, NaN where nothing was observed."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.data.closed import closed_labels, following_timestamps, open_grid
from spline_lstm.data.encoding import Column
from spline_lstm.data.gaps import runs
from spline_lstm.data.grid import closed_hours, full_grid, last_is_over, vote_frequency
from spline_lstm.data.layout import Layout
from spline_lstm.data.marks import advice_on_marks, mark_of
from spline_lstm.data.tables import Stretch, Table, advice_on_repeats, read_table
from spline_lstm.data.windows import train_steps
from spline_lstm.run.errors import DataError
from spline_lstm.run.params import CovariateParams, DataParams, SplitParams

log = logging.getLogger(__name__)

MOST_NAMED = 10
VOID, VOID_STEPS = 0.25, 10  # share of the time, and of usual steps, without a row of any series
FEWEST_ROWS_OF_SUM, LACKING, MOST_ALIKE = 4, 0.25, 0.9  # 9 of 10 sums differ by less than a quarter in their rows


@dataclass(frozen=True)
class Panel:
    """Observations of series on one calendar: a regular grid without closed hours. A row is one target of one series.

    Attributes:
        values: `(steps,)`, all rows one after the other, original units, NaN where nothing was observed.
        layout: Where each row stands, from its series' first row in the file to its last.
        timestamps: `(time,)`, UTC without offset. Step `i` holds what was observed after
            timestamp `i - 1` and not after timestamp `i`.
        ahead: `(horizon,)`, the labels after the last one.
        timezone: Of the clock and the calendar that labels are told by.
        frequency: Step of the grid, as a pandas offset.
        closed: Hours whose steps the calendar leaves out; what is observed in them counts for the next step.
        names: One per row: the id of the series, the target where there is but one series, or `id/target`.
        ids: Of the series; one without a name where params name no series_id.
        series: `(rows,)`, which of them each row is of.
        past: Covariates known up to an origin: `(steps of series,)`, each series like its rows.
        future: Covariates known for their own time: the same, each series going on for one horizon.
        static: Covariates that a series has one value of: `(series,)`.
        broken: The first cell of a row that holds no number, by its name, where such a row may be left out.
        findings: What reading found, as plain builtins for reports.
    """

    values: np.ndarray
    layout: Layout
    timestamps: pd.DatetimeIndex
    ahead: pd.DatetimeIndex
    timezone: str
    frequency: str
    closed: tuple[str, ...]
    names: tuple[str, ...]
    ids: tuple[str, ...]
    series: np.ndarray
    broken: dict[str, str]
    findings: dict[str, Any]
    past: Mapping[str, Column] = field(default_factory=dict)
    future: Mapping[str, Column] = field(default_factory=dict)
    static: Mapping[str, Column] = field(default_factory=dict)


def read_panel(
    path: Path,
    params: DataParams,
    covariates: CovariateParams = CovariateParams(),  # noqa: B008 - frozen
    horizon: int = 1,
    anchor: pd.Timestamp | None = None,
    split: SplitParams | None = None,
    stretch: Stretch | None = None,
    categorical: Collection[str] | None = None,
) -> Panel:
    """Read observations and put them on their grid by a causal bin, right-closed and right-labelled.

    Args:
        path: CSV or Parquet.
        params: Columns and rules.
        covariates: More columns. Where some are known in advance, rows after the last target of a series tell of
            its future; the series ends before them.
        horizon: Steps beyond the last target for which covariates are read.
        anchor: A label of the grid of an earlier panel, whose grid this one shall continue.
        split: Whose train rows tell which hours are closed, where params leave it open; None: none are.
        stretch: The part of the file that is read; each series then goes on until its end, unobserved where it must.
        categorical: Covariates whose cells are texts; None: their cells tell.

    Raises:
        InputNotFoundError: There is no such file.
        ParamsError: The frequency is none that pandas knows, or the closed hours do not fit it.
        DataError: The file, a column, a timestamp or a value is unusable; the message names it.
    """
    known = None if stretch is None else stretch.known
    table = read_table(path, params, covariates.columns, categorical, known)
    if stretch is not None:
        table = table.within(stretch)
    marks = {} if stretch is not None else _marks(table, params, of_run=anchor is not None)
    order = np.lexsort((table.timestamps.asi8, table.series))
    every, repeats = _resolve_duplicates(table.at(order), params.duplicates, order, path, params)
    rows = every.at(~_beyond_targets(every)) if covariates.future else every
    clock = rows.timestamps.unique().sort_values()
    if stretch is not None:
        clock = clock.union([stretch.until])
    frequency = params.frequency or vote_frequency(rows)
    full = full_grid(rows, clock, frequency, anchor)
    if not last_is_over(rows, full, clock):
        full = full[:-1]
        log.warning("left out: rows after %s, whose step is not over at the last one, %s", full[-1], clock[-1])
        every = every.within(Stretch(None, full[-1], every.timestamps.max()))
        rows = rows.within(Stretch(None, full[-1], full[-1]))
    if stretch is None:
        _warn_of_void(clock)
        _warn_of_open_steps(rows, full)
    closed = params.closed or ()
    if params.closed is None and split is not None:
        train = train_steps(full, split, table.timezone, horizon if stretch is None else 0)
        closed = closed_hours(rows, full, frequency, table.timezone, train)
    grid, bins, left_out = _open_bins(rows, full, frequency, closed, table.timezone)
    if stretch is None:
        grid = grid[: bins.max() + 1]
    ahead = following_timestamps(grid, frequency, horizon, closed, table.timezone)
    series = _series_layout(rows, bins)
    if stretch is not None:
        series = Layout(series.starts, len(grid) - series.starts)
    if params.aggregate == "sum" and stretch is None:
        _warn_of_odd_sums(rows, series, bins, grid, frequency)
    targets = _aggregate(rows.values, series.positions(rows.series, bins), series.size, params.aggregate)
    layout, values = _rows(series, targets)
    names = _row_names(every.ids, params.target)
    if (alike := pd.Series(names).duplicated()).any():
        raise DataError(
            "Rows must have different names when series and targets are joined by '/'. "
            f"Received: {names[int(alike.argmax())]!r:.200} twice. Rename a series or a target."
        )
    findings = {
        "rows": len(table.series),
        "series": len(every.ids),
        "sorted": _is_sorted(order, table.series),
        "duplicates": repeats,
        "first": str(clock[0]),
        "last": str(clock[-1]),
        "frequency": frequency,
        "steps": len(grid),
        "early": _early(rows.timestamps, full),
        "closed": left_out,
        "marks": marks,
        "channels": {name: _gap_findings(row) for name, row in zip(names, layout.split(values), strict=True)},
    }
    broken = {name: every.broken[key] for key in every.broken for name in _row_names((key,), params.target)}
    return Panel(
        values,
        layout,
        grid,
        ahead,
        table.timezone,
        frequency,
        closed,
        names,
        every.ids,
        np.repeat(np.arange(len(series)), len(params.target)),
        broken,
        findings,
        past={name: _covariate(rows, name, series, grid) for name in covariates.past},
        future={
            name: _covariate(every, name, series.longer(horizon), grid.append(ahead)) for name in covariates.future
        },
        static={name: _static(every, name, params) for name in covariates.static},
    )


def _early(timestamps: pd.DatetimeIndex, full: pd.DatetimeIndex) -> list[float]:
    """How many seconds rows stand before the labels of their steps: the 5 % quantile, the median, the 95 % quantile."""
    early = full[full.searchsorted(timestamps)] - timestamps
    return np.quantile(early.total_seconds(), [0.05, 0.5, 0.95]).tolist()


def _marks(table: Table, params: DataParams, of_run: bool) -> dict[str, float]:
    """What seems to stand for nothing in columns of numbers, by their names; all are logged, too.

    A file for a finished run is read by the params of that run, which cannot be set any more.
    """
    columns = dict(zip(params.target, table.values.T, strict=True))
    columns |= {name: column.values for name, column in table.covariates.items() if not column.categories}
    found = {name: looks for name, values in columns.items() if (looks := mark_of(values, table.series))}
    marks = {name: mark for name, (mark, _) in found.items()}
    advice = advice_on_marks(params.missing, marks.values())
    if of_run:
        advice = f"empty its cells, or {advice} and train another run"
    for name, (mark, count) in found.items():
        log.warning(
            "%s: %.15g stands in %d rows, far from all other numbers: if it stands for nothing, %s",
            *(name, mark, count, advice),
        )
    return marks


def _warn_of_void(clock: pd.DatetimeIndex) -> None:
    """Tell of a wrong timestamp, from which there is next to nothing to all others."""
    apart = np.diff(clock.asi8).astype(float)  # centuries are more nanoseconds than integers count
    if apart.size and apart.max() > max(VOID * apart.sum(), VOID_STEPS * np.median(apart)):
        end = int(apart.argmax())
        log.warning(
            "no row lies between %s and %s, which is %.0f %% of the time: if one of them is wrong, mend it",
            *(clock[end], clock[end + 1], 100 * apart.max() / apart.sum()),
        )


def _warn_of_odd_sums(rows: Table, series: Layout, bins: np.ndarray, grid: pd.DatetimeIndex, frequency: str) -> None:
    """Tell of steps with fewer rows than nearly all have, and of months that end with the first of the next one."""
    counted = ~np.isnan(rows.values).all(axis=1)
    counts = np.bincount(series.positions(rows.series, bins)[counted], minlength=series.size)
    usual = np.median(counts[counts > 0]) if counts.any() else 0
    if usual >= FEWEST_ROWS_OF_SUM and np.mean(np.abs(counts[counts > 0] / usual - 1) < LACKING) >= MOST_ALIKE:
        few = np.flatnonzero((counts > 0) & (counts <= (1 - LACKING) * usual))
        if few.size:
            code = int(np.searchsorted(series.offsets, few[0], side="right")) - 1
            label = grid[series.starts[code] + few[0] - series.offsets[code]]
            log.warning(
                "%d sums are of fewer rows than three quarters of the usual %d, first that of %s: "
                "if they are not whole, remove their rows",
                *(len(few), usual, " at ".join(filter(None, (rows.ids[code], str(label))))),
            )
    if usual > 1 and "Begin" in type(pd.tseries.frequencies.to_offset(frequency)).__name__:
        log.warning(
            "steps of %s end on a first day: for sums of calendar months, quarters or years give ME, QE or YE",
            frequency,
        )


def _warn_of_open_steps(rows: Table, full: pd.DatetimeIndex) -> None:
    """Name the series that end before the newest step, in one that seems not to be over."""
    borders = np.append(np.searchsorted(rows.series, np.arange(len(rows.ids))), len(rows.series))
    found = []
    for name, begin, end in zip(rows.ids, borders, borders[1:], strict=False):
        own = replace(rows.at(np.arange(begin, end)), series=np.zeros(end - begin, np.int64))
        grid = full[: full.searchsorted(own.timestamps[-1]) + 1]
        if len(grid) < len(full) and not last_is_over(own, grid, own.timestamps):
            found.append(name)
    if found:
        log.warning(
            "the last step of %s%s may lack rows: they end earlier in it than in most before; leave it out if so",
            *(", ".join(found[:MOST_NAMED]), f" and {len(found) - MOST_NAMED} more" * (len(found) > MOST_NAMED)),
        )


def _beyond_targets(rows: Table) -> np.ndarray:
    """`(rows,)`, which rows stand after the last target of their series, if it has any; rows are in order."""
    place = np.where(np.isnan(rows.values).all(axis=1), -1, np.arange(len(rows.series)))
    begins = np.searchsorted(rows.series, np.arange(len(rows.ids)))
    last = np.maximum.reduceat(place, begins)[rows.series]
    return (np.arange(len(rows.series)) > last) & (last >= 0)


def _open_bins(
    rows: Table, full: pd.DatetimeIndex, frequency: str, closed: tuple[str, ...], timezone: str
) -> tuple[pd.DatetimeIndex, np.ndarray, dict[str, Any]]:
    """The grid without closed hours, the bin of each row in it, `(rows,)`, and what these hours leave out."""
    left_out = closed_labels(full, frequency, closed, timezone)
    inside, empty = left_out[full.searchsorted(rows.timestamps)], np.isnan(rows.values).all(axis=1)
    grid = open_grid(full, frequency, closed, timezone) if closed else full
    # A row of empty cells in closed hours says nothing of the next step, so it does not begin it.
    bins = np.maximum(grid.searchsorted(rows.timestamps, side="left") - (inside & empty), 0)
    found = {"hours": list(closed), "steps": int(left_out.sum()), "rows": int((inside & ~empty).sum())}
    return grid, bins, found


def _series_layout(rows: Table, bins: np.ndarray) -> Layout:
    """Each series from its first bin to its last."""
    begins = np.searchsorted(rows.series, np.arange(len(rows.ids)))
    starts, last = np.minimum.reduceat(bins, begins), np.maximum.reduceat(bins, begins)
    return Layout(starts, last - starts + 1)


def _rows(series: Layout, gridded: np.ndarray) -> tuple[Layout, np.ndarray]:
    """Each column of `(steps of series, columns)` as a row of each series: their layout, and their values."""
    columns = gridded.shape[1]
    values = np.concatenate([gridded[start:end].T.ravel() for start, end in pairwise(series.offsets)])
    return Layout(np.repeat(series.starts, columns), np.repeat(series.lengths, columns)), values


def _covariate(rows: Table, name: str, layout: Layout, grid: pd.DatetimeIndex) -> Column:
    """A covariate on the grid: the mean of numbers in a step, the last of categories; rows after its end are left out.

    What was measured in closed hours belongs to the step after them, even where no target was.
    """
    bins = grid.searchsorted(rows.timestamps, side="left")
    inside = bins < layout.ends[rows.series]
    rows, bins = rows.at(inside), bins[inside]
    column = rows.covariates[name]
    rule = _of_covariate("mean", column)
    values = _aggregate(column.values[:, None], layout.positions(rows.series, bins), layout.size, rule)
    return Column(values[:, 0], column.categories)


def _static(rows: Table, name: str, params: DataParams) -> Column:
    """The value that a covariate has in every row of a series.

    Raises:
        DataError: A series has several.
    """
    column = rows.covariates[name]
    groups = pd.Series(column.values).groupby(rows.series)
    low, high = (groups.agg(rule).reindex(range(len(rows.ids))).to_numpy() for rule in ("min", "max"))
    differ = np.flatnonzero(low < high)
    if differ.size:
        code = differ[0]
        values = [column.categories[int(v)] if column.categories else f"{v:g}" for v in (low[code], high[code])]
        of = f" of series {rows.ids[code]!r}" if params.series_id else ""
        raise DataError(
            f"Static covariate {name!r}{of} must have one value. Received: {values[0]} and {values[1]}. Mend the data.",
            "name it in covariates.past or covariates.future",
        )
    return Column(low, column.categories)


def _is_sorted(order: np.ndarray, series: np.ndarray) -> bool:
    """Whether the rows of each series stood in order of time."""
    same = series[order][1:] == series[order][:-1]
    return bool((np.diff(order)[same] > 0).all())


def _resolve_duplicates(rows: Table, rule: str, order: np.ndarray, path: Path, params: DataParams) -> tuple[Table, int]:
    """Rows in order of series and time, one for each timestamp of a series, and how many were too many."""
    time = rows.timestamps
    repeats = np.append(False, (rows.series[1:] == rows.series[:-1]) & (time[1:] == time[:-1]))
    if not repeats.any():
        return rows, 0
    if rule == "error":
        first = int(repeats.argmax())
        of = f" of series {rows.ids[rows.series[first]]!r}" if params.series_id else ""
        advice, or_param = advice_on_repeats(path, params)
        raise DataError(
            f"Timestamps{of} must be distinct. Received: {time[first]} again in row {order[first] + 1} "
            f"after the header ({int(repeats.sum())} repeats in all). {advice}",
            or_param,
        )
    groups = np.cumsum(~repeats)
    kept = rows.at(~repeats)
    wrong = np.logical_or.reduceat(rows.wrong, np.flatnonzero(~repeats))
    covariates = {
        name: Column(_per_group(column.values, groups, _of_covariate(rule, column)).to_numpy()[:, 0], column.categories)
        for name, column in rows.covariates.items()
    }
    values = _per_group(rows.values, groups, rule).to_numpy()
    return replace(kept, values=values, wrong=wrong, covariates=covariates), int(repeats.sum())


def _of_covariate(rule: str, column: Column) -> str:
    """A price of several sales is no sum, and a category no mean."""
    if rule not in ("mean", "sum"):
        return rule
    return "last" if column.categories else "mean"


def _per_group(values: np.ndarray, groups: np.ndarray, rule: str) -> pd.DataFrame:
    found = pd.DataFrame(values).groupby(groups)
    return found.sum(min_count=1) if rule == "sum" else found.agg(rule)


def _aggregate(values: np.ndarray, bins: np.ndarray, steps: int, rule: str) -> np.ndarray:
    gridded = np.full((steps, values.shape[1]), np.nan)
    if (np.diff(bins) > 0).all():
        gridded[bins] = values
        return gridded
    table = _per_group(values, bins, rule)
    gridded[table.index.to_numpy()] = table.to_numpy()
    return gridded


def _row_names(ids: tuple[str, ...], targets: tuple[str, ...]) -> tuple[str, ...]:
    if len(targets) == 1 and ids != ("",):
        return ids
    return tuple(f"{key}/{target}" if key else target for key in ids for target in targets)


def _gap_findings(channel: np.ndarray) -> dict[str, Any]:
    missing = np.isnan(channel)
    starts, ends = runs(missing)
    return {
        "missing": int(missing.sum()),
        "missing_share": float(missing.mean()),
        "gaps": len(starts),
        "longest_gap": int((ends - starts).max(initial=0)),
    }
