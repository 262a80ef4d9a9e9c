"""A CSV or Parquet file becomes a regular panel: values on a grid, NaN where nothing was observed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.data.gaps import runs
from spline_lstm.data.tables import read_columns
from spline_lstm.run.errors import DataError, ParamsError
from spline_lstm.run.params import DataParams

HEAD_ROWS = 1000  # the grid is inferred from the oldest rows, so that no later row can move it
HEAD_SHARE = 2  # of a short series, from its older half
MOST_STEPS_PER_ROW = 100
JITTER_OF_STEP = 0.05  # a median step this close to a common one is taken for it
SECONDS, MINUTES, HOURS = (1, 5, 10, 15, 30), (1, 2, 5, 10, 15, 20, 30), (1, 2, 3, 4, 6, 8, 12, 24, 168)
COMMON_STEPS = pd.to_timedelta([*SECONDS, *(60 * n for n in MINUTES), *(3600 * n for n in HOURS)], unit="s")


@dataclass(frozen=True)
class Panel:
    """Observations on a regular grid.

    Attributes:
        values: `(series, time, channel)`, original units, NaN where nothing was observed.
        timestamps: `(time,)`, UTC without offset. Step `i` holds what was observed after
            timestamp `i - 1` and not after timestamp `i`.
        frequency: Step of the grid, as a pandas offset.
        channels: Names of the channels.
        findings: What reading found, as plain builtins for reports.
    """

    values: np.ndarray
    timestamps: pd.DatetimeIndex
    frequency: str
    channels: tuple[str, ...]
    findings: dict[str, Any]


def read_panel(path: Path, params: DataParams, anchor: pd.Timestamp | None = None) -> Panel:
    """Read observations and put them on their grid by a causal bin, right-closed and right-labelled.

    Args:
        path: CSV or Parquet.
        params: Columns and rules.
        anchor: A label of the grid of an earlier panel, whose grid this one shall continue.

    Raises:
        InputNotFoundError: There is no such file.
        ParamsError: The frequency is none that pandas knows.
        DataError: The file, a column, a timestamp or a value is unusable; the message names it.
    """
    timestamps, values = read_columns(path, params)
    rows = len(values)
    order = np.argsort(timestamps.to_numpy(), kind="stable")
    was_sorted = bool((order == np.arange(rows)).all())
    timestamps, values = timestamps[order], values[order]
    timestamps, values, repeated = _resolve_duplicates(timestamps, values, params.duplicates, order)
    frequency = params.frequency or infer_frequency(_head(timestamps))
    grid = _grid(timestamps, frequency, anchor)
    gridded = _aggregate(values, grid.searchsorted(timestamps, side="left"), len(grid), params.aggregate)
    _require_variation(gridded, params.target)
    findings = {
        "rows": rows,
        "sorted": was_sorted,
        "duplicates": repeated,
        "first": str(timestamps[0]),
        "last": str(timestamps[-1]),
        "frequency": frequency,
        "steps": len(grid),
        "channels": {name: _gap_findings(gridded[:, index]) for index, name in enumerate(params.target)},
    }
    return Panel(gridded[None], grid, frequency, params.target, findings)


def infer_frequency(timestamps: pd.DatetimeIndex) -> str:
    """Name the step of sorted, distinct timestamps that may have gaps and jitter.

    Raises:
        DataError: There are fewer than three.
    """
    if len(timestamps) < 3:
        raise DataError(
            f"`data.frequency` can be inferred from 3 timestamps or more. Received: {len(timestamps)}. "
            "Give data.frequency, or more rows."
        )
    if regular := pd.infer_freq(timestamps):
        return regular
    apart = pd.Series(timestamps[1:] - timestamps[:-1])
    steps = (apart / apart.median()).round()  # of a gap, more than one: else gaps would stretch the step
    step = apart[steps > 0].sum() / steps.sum()
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


def following_timestamps(timestamps: pd.DatetimeIndex, frequency: str, steps: int) -> pd.DatetimeIndex:
    """The `steps` grid labels after the last one."""
    return pd.date_range(timestamps[-1], periods=steps + 1, freq=frequency)[1:]


def _resolve_duplicates(
    timestamps: pd.DatetimeIndex, values: np.ndarray, rule: str, order: np.ndarray
) -> tuple[pd.DatetimeIndex, np.ndarray, int]:
    repeats = timestamps.duplicated()
    if not repeats.any():
        return timestamps, values, 0
    if rule == "error":
        first = int(repeats.argmax())
        raise DataError(
            f"Timestamps must be distinct. Received: {timestamps[first]} again in row {order[first] + 1} "
            f"after the header ({int(repeats.sum())} repeats in all). "
            "Remove them, or set data.duplicates to mean, first or last."
        )
    groups = pd.DataFrame(values).groupby(timestamps)
    table = groups.agg(rule)
    return pd.DatetimeIndex(table.index), table.to_numpy(), int(repeats.sum())


def _head(timestamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return timestamps[: max(3, min(HEAD_ROWS, len(timestamps) // HEAD_SHARE))]


def _grid(timestamps: pd.DatetimeIndex, frequency: str, anchor: pd.Timestamp | None) -> pd.DatetimeIndex:
    """Labels from the first observation on to the first label not before the last one."""
    try:
        offset = pd.tseries.frequencies.to_offset(frequency)
        if timestamps[0] + offset <= timestamps[0]:
            raise ValueError("it does not step forward")
    except ValueError as error:
        raise ParamsError(
            f"`data.frequency` must be a pandas offset such as h, 15min, D, W-SAT or MS. Received: {frequency!r:.40}."
        ) from error
    first, last = timestamps[0], timestamps[-1]
    if isinstance(offset, pd.tseries.offsets.Tick):
        step = pd.Timedelta(offset)
        start = first + (_jitter(_head(timestamps) - first, step) if anchor is None else (anchor - first) % step)
        steps = max(0, -((start - last) // step)) + 1
    else:
        start = offset.rollforward(first)
        if anchor is not None:
            start = start.normalize() + (anchor - anchor.normalize())
            start = start if start >= first else start + offset
        steps = len(pd.date_range(start, last, freq=offset)) + 1
    if steps > MOST_STEPS_PER_ROW * len(timestamps):
        raise DataError(
            f"The grid must have at most {MOST_STEPS_PER_ROW} steps per row. Received: {steps} steps of {frequency} "
            f"from {first} to {last} for {len(timestamps)} rows. Mend data.frequency, or a wrong timestamp."
        )
    grid = pd.date_range(start, periods=steps, freq=offset)
    return grid[: int(grid.searchsorted(last, side="left")) + 1]


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


def _require_variation(values: np.ndarray, channels: tuple[str, ...]) -> None:
    for name, channel in zip(channels, values.T, strict=True):
        observed = channel[~np.isnan(channel)]
        if observed.size == 0:
            raise DataError(f"Column {name!r} must hold observations. Received: none, all cells are empty.")
        if np.ptp(observed) == 0:
            raise DataError(
                f"Column {name!r} must vary. Received: {observed[0]:g} in every row. There is nothing to forecast."
            )


def _gap_findings(channel: np.ndarray) -> dict[str, Any]:
    missing = np.isnan(channel)
    starts, ends = runs(missing)
    return {
        "missing": int(missing.sum()),
        "missing_share": float(missing.mean()),
        "gaps": len(starts),
        "longest_gap": int((ends - starts).max(initial=0)),
    }
