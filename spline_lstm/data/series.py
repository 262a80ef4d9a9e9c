"""A CSV or Parquet file becomes a regular panel: values on a grid, NaN where nothing was observed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.data.closed import closed_labels, infer_closed, open_grid
from spline_lstm.data.gaps import runs
from spline_lstm.data.layout import Layout
from spline_lstm.data.tables import Table, id_column, read_table
from spline_lstm.data.windows import train_steps
from spline_lstm.run.errors import DataError, ParamsError
from spline_lstm.run.params import DataParams, SplitParams

HEAD_ROWS = 1000  # the grid is inferred from the oldest rows, so that no later row can move it
VOTERS = 50  # series that decide on the step
FEWEST_ROWS = 3  # of a series that votes
HEAD_SHARE = 2  # of a short series, from its older half
MOST_STEPS_PER_ROW = 100
COUNTED_STEPS = 4  # in a longer gap, such as a night, a median that is a little off counts wrong
BEFORE_BORDER = pd.Timedelta(weeks=2)  # the train split ends up to this much earlier where closed hours are left out
JITTER_OF_STEP = 0.05  # a median step this close to a common one is taken for it
SECONDS, MINUTES, HOURS = (1, 5, 10, 15, 30), (1, 2, 5, 10, 15, 20, 30), (1, 2, 3, 4, 6, 8, 12, 24, 168)
COMMON_STEPS = pd.to_timedelta([*SECONDS, *(60 * n for n in MINUTES), *(3600 * n for n in HOURS)], unit="s")


@dataclass(frozen=True)
class Panel:
    """Observations of series on one calendar: a regular grid without closed hours. A row is one target of one series.

    Attributes:
        values: `(steps,)`, all rows one after the other, original units, NaN where nothing was observed.
        layout: Where each row stands, from its series' first observation to its last.
        timestamps: `(time,)`, UTC without offset. Step `i` holds what was observed after
            timestamp `i - 1` and not after timestamp `i`.
        frequency: Step of the grid, as a pandas offset.
        closed: Hours whose steps the calendar leaves out; what is observed in them counts for the next step.
        names: One per row: the id of the series, the target where there is but one series, or `id/target`.
        broken: The first cell of a row that holds no number, by its name, where such a row may be left out.
        findings: What reading found, as plain builtins for reports.
    """

    values: np.ndarray
    layout: Layout
    timestamps: pd.DatetimeIndex
    frequency: str
    closed: tuple[str, ...]
    names: tuple[str, ...]
    broken: dict[str, str]
    findings: dict[str, Any]


def read_panel(
    path: Path, params: DataParams, anchor: pd.Timestamp | None = None, split: SplitParams | None = None
) -> Panel:
    """Read observations and put them on their grid by a causal bin, right-closed and right-labelled.

    Args:
        path: CSV or Parquet.
        params: Columns and rules.
        anchor: A label of the grid of an earlier panel, whose grid this one shall continue.
        split: Whose train rows tell which hours are closed, where params leave it open; None: none are.

    Raises:
        InputNotFoundError: There is no such file.
        ParamsError: The frequency is none that pandas knows, or the closed hours do not fit it.
        DataError: The file, a column, a timestamp or a value is unusable; the message names it.
    """
    table = read_table(path, params)
    order = np.lexsort((table.timestamps.asi8, table.series))
    rows, repeats = _resolve_duplicates(_ordered(table, order), params.duplicates, order, path, params)
    clock = rows.timestamps.unique().sort_values()
    frequency = params.frequency or _vote_frequency(rows)
    full = _grid(clock, frequency, anchor, len(rows.timestamps))
    closed = params.closed or ()
    if params.closed is None and split is not None:
        closed = _infer_closed(rows, full, frequency, params.timezone, train_steps(full, split))
    left_out = closed_labels(full, frequency, closed, params.timezone)
    inside, empty = left_out[full.searchsorted(rows.timestamps)], np.isnan(rows.values).all(axis=1)
    grid = open_grid(full, frequency, closed, params.timezone) if closed else full
    # A row of empty cells in closed hours says nothing of the next step, so it does not begin it.
    bins = np.maximum(grid.searchsorted(rows.timestamps, side="left") - (inside & empty), 0)
    grid = grid[: bins.max() + 1]
    layout, values = _onto_grid(rows, bins, params.aggregate)
    names = _row_names(table.ids, params.target)
    findings = {
        "rows": len(table.series),
        "series": len(table.ids),
        "sorted": _is_sorted(order, table.series),
        "duplicates": repeats,
        "first": str(clock[0]),
        "last": str(clock[-1]),
        "frequency": frequency,
        "steps": len(grid),
        "closed": {
            "hours": list(closed),
            "steps": int(left_out.sum()),
            "rows": int((inside & ~empty).sum()),
        },
        "channels": {name: _gap_findings(row) for name, row in zip(names, layout.split(values), strict=True)},
    }
    broken = {name: table.broken[key] for key in table.broken for name in _row_names((key,), params.target)}
    return Panel(values, layout, grid, frequency, closed, names, broken, findings)


def _is_sorted(order: np.ndarray, series: np.ndarray) -> bool:
    """Whether the rows of each series stood in order of time."""
    same = series[order][1:] == series[order][:-1]
    return bool((np.diff(order)[same] > 0).all())


def _row_names(ids: tuple[str, ...], targets: tuple[str, ...]) -> tuple[str, ...]:
    if len(targets) == 1 and ids != ("",):
        return ids
    return tuple(f"{key}/{target}" if key else target for key in ids for target in targets)


def _ordered(table: Table, order: np.ndarray) -> Table:
    return replace(table, timestamps=table.timestamps[order], values=table.values[order], series=table.series[order])


def _vote_frequency(rows: Table) -> str:
    """The step that most series have, by the votes of the `VOTERS` longest ones."""
    counts = np.bincount(rows.series)
    ends = np.cumsum(counts)
    longest = np.argsort(-counts, kind="stable")[:VOTERS]
    voters = [longest[0], *(code for code in longest[1:] if counts[code] >= FEWEST_ROWS)]
    heads = (_head(rows.timestamps[ends[code] - counts[code] : ends[code]]) for code in voters)
    return Counter(infer_frequency(head) for head in heads).most_common(1)[0][0]


def _onto_grid(rows: Table, bins: np.ndarray, rule: str) -> tuple[Layout, np.ndarray]:
    """Each series from its first bin to its last, each target of it a row."""
    counts = np.bincount(rows.series, minlength=len(rows.ids))
    begins = np.cumsum(counts) - counts
    starts, last = np.minimum.reduceat(bins, begins), np.maximum.reduceat(bins, begins)
    series = Layout(starts, last - starts + 1)
    gridded = _aggregate(rows.values, series.positions(rows.series, bins), series.size, rule)
    targets = gridded.shape[1]
    values = np.concatenate([gridded[a:b].T.ravel() for a, b in pairwise(series.offsets)])
    return Layout(np.repeat(series.starts, targets), np.repeat(series.lengths, targets)), values


def infer_frequency(timestamps: pd.DatetimeIndex) -> str:
    """Name the step of sorted, distinct timestamps that may have gaps and jitter.

    Raises:
        DataError: There are fewer than three, or centuries between two.
    """
    if len(timestamps) < 3:
        raise DataError(
            f"`data.frequency` can be inferred from 3 timestamps or more. Received: {len(timestamps)}. "
            "Give data.frequency, or more rows."
        )
    regular = pd.infer_freq(timestamps)
    if regular and regular != "bh":  # hours of a working day are closed hours of a plain grid
        return regular
    try:
        apart = pd.Series(timestamps[1:] - timestamps[:-1])
    except OverflowError as error:
        raise DataError(
            f"`data.frequency` can be inferred where no gap spans 292 years. Received: {timestamps[0]} to "
            f"{timestamps[-1]}. Give data.frequency, or mend a wrong timestamp."
        ) from error
    steps = (apart / apart.median()).round()  # of a gap, more than one: else gaps would stretch the step
    few = (steps > 0) & (steps <= COUNTED_STEPS)
    step = apart[few].sum() / steps[few].sum()
    days = step / pd.Timedelta("1D")
    if 28 <= days <= 31 and timestamps.is_month_start.all():
        return "MS"
    if 28 <= days <= 31 and timestamps.is_month_end.all():
        return "ME"
    if abs(days - 1) < JITTER_OF_STEP and (timestamps.dayofweek < 5).all():
        return "B"
    nearest = COMMON_STEPS[np.abs(COMMON_STEPS / step - 1).argmin()]
    if abs(nearest / step - 1) > JITTER_OF_STEP:
        nearest = max(step.round("1s"), pd.Timedelta("1ms"))
    return pd.tseries.frequencies.to_offset(nearest).freqstr


def _resolve_duplicates(rows: Table, rule: str, order: np.ndarray, path: Path, params: DataParams) -> tuple[Table, int]:
    """Rows in order of series and time, one for each timestamp of a series, and how many were too many."""
    time = rows.timestamps
    repeats = np.append(False, (rows.series[1:] == rows.series[:-1]) & (time[1:] == time[:-1]))
    if not repeats.any():
        return rows, 0
    if rule == "error":
        first = int(repeats.argmax())
        of = f" of series {rows.ids[rows.series[first]]!r}" if params.series_id else ""
        candidate = None if params.series_id else id_column(path, params)
        advice = (
            f"Column {candidate!r} looks like the id of several series: set data.series_id to it."
            if candidate
            else "Remove them, or set data.duplicates to mean, first or last."
        )
        raise DataError(
            f"Timestamps{of} must be distinct. Received: {time[first]} again in row {order[first] + 1} "
            f"after the header ({int(repeats.sum())} repeats in all). {advice}"
        )
    table = pd.DataFrame(rows.values).groupby(np.cumsum(~repeats)).agg(rule)
    kept = replace(rows, timestamps=time[~repeats], values=table.to_numpy(), series=rows.series[~repeats])
    return kept, int(repeats.sum())


def _head(timestamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return timestamps[: max(3, min(HEAD_ROWS, len(timestamps) // HEAD_SHARE))]


def _grid(timestamps: pd.DatetimeIndex, frequency: str, anchor: pd.Timestamp | None, rows: int) -> pd.DatetimeIndex:
    """Labels from the first observation on to the first label not before the last one."""
    try:
        offset = pd.tseries.frequencies.to_offset(frequency)
        if offset.n < 1 or timestamps[-1] + offset <= timestamps[-1]:
            raise ValueError("it does not step forward")
        start, steps = _extent(timestamps, offset, anchor)
        if steps <= MOST_STEPS_PER_ROW * rows:
            grid = pd.date_range(start, periods=steps, freq=offset)
            return grid[: int(grid.searchsorted(timestamps[-1], side="left")) + 1]
    except (ValueError, OverflowError) as error:
        raise ParamsError(
            "`data.frequency` must be a pandas offset such as h, 15min, D, W-SAT or MS, "
            f"whose grid ends before the year 2262. Received: {frequency!r:.40}."
        ) from error
    raise DataError(
        f"The grid must have at most {MOST_STEPS_PER_ROW} steps per row. Received: {steps} steps of {frequency} "
        f"from {timestamps[0]} to {timestamps[-1]} for {rows} rows. Mend data.frequency, or a wrong timestamp."
    )


def _extent(timestamps: pd.DatetimeIndex, offset: Any, anchor: pd.Timestamp | None) -> tuple[pd.Timestamp, int]:
    """The first label of a grid, and how many reach over the last observation."""
    first, last = timestamps[0], timestamps[-1]
    if isinstance(offset, pd.tseries.offsets.Tick):
        step = pd.Timedelta(offset)
        late = _jitter(_head(timestamps) - first, step) if anchor is None else _nanoseconds(first, anchor) % step.value
        start = first + pd.Timedelta(late)
        return start, max(0, -(_nanoseconds(last, start) // step.value)) + 1
    start = offset.rollforward(first)
    if anchor is not None:
        start = start.normalize() + (anchor - anchor.normalize())
        start = start if start >= first else start + offset
    return start, len(pd.date_range(start, last, freq=offset)) + 1


def _nanoseconds(start: pd.Timestamp, end: pd.Timestamp) -> int:
    """From one to the other; a Timedelta ends at 292 years."""
    return end.value - start.value


def _infer_closed(rows: Table, full: pd.DatetimeIndex, frequency: str, timezone: str, train: int) -> tuple[str, ...]:
    labels = full[full <= full[max(train - 1, 0)] - BEFORE_BORDER]
    filled = rows.timestamps[~np.isnan(rows.values).all(axis=1)]
    bins = labels.searchsorted(filled, side="left")
    observed = np.bincount(bins, minlength=len(labels))[: len(labels)] > 0  # later rows have no bin
    return infer_closed(labels, observed, frequency, timezone)


def _jitter(elapsed: pd.TimedeltaIndex, step: pd.Timedelta) -> pd.Timedelta:
    """How late a label must be for jittered observations to fall into the step they are meant for.

    Zero for a regular clock. The labels of a jittered one stand after the latest of the head's
    observations, so each is complete at its label: later than its nominal time, never earlier.
    """
    phase = (elapsed + step / 2) % step - step / 2
    return max(phase.max(), pd.Timedelta(0))


def _aggregate(values: np.ndarray, bins: np.ndarray, steps: int, rule: str) -> np.ndarray:
    gridded = np.full((steps, values.shape[1]), np.nan)
    if (np.diff(bins) > 0).all():
        gridded[bins] = values
        return gridded
    groups = pd.DataFrame(values).groupby(bins)
    table = groups.sum(min_count=1) if rule == "sum" else groups.agg(rule)
    gridded[table.index.to_numpy()] = table.to_numpy()
    return gridded


def _gap_findings(channel: np.ndarray) -> dict[str, Any]:
    missing = np.isnan(channel)
    starts, ends = runs(missing)
    return {
        "missing": int(missing.sum()),
        "missing_share": float(missing.mean()),
        "gaps": len(starts),
        "longest_gap": int((ends - starts).max(initial=0)),
    }
