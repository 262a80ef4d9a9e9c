"""The pictures of a report, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spline_lstm.data.gaps import runs
from spline_lstm.data.prepared import Prepared

ACTUAL, MODEL, OTHERS = "#222222", "#d1495b", ("#00798c", "#edae49", "#66a182", "#8d96a3")
MOST_ROWS = 4  # panels of one picture
CONTEXT_OF_GAP = 2  # lengths of the gap shown on each side of it


def plot_forecast(table: pd.DataFrame, scored: str) -> bytes:
    """Forecast against actual, one panel per series.

    Args:
        table: `series_id, timestamp, y_true, y_pred, y_lower, y_upper` of windows that do not overlap.
        scored: Title of the value axis.
    """
    groups = list(table.groupby("series_id", sort=False, observed=True))[:MOST_ROWS]
    figure = Figure(figsize=(10, 3.2 * len(groups)), layout="constrained")
    for axes, (name, group) in zip(figure.subplots(len(groups), squeeze=False)[:, 0], groups, strict=True):
        clock = pd.to_datetime(group["timestamp"])
        axes.fill_between(clock, group["y_lower"], group["y_upper"], color=MODEL, alpha=0.2, lw=0, label="interval")
        axes.plot(clock, group["y_true"], color=ACTUAL, lw=1.2, label="actual")
        axes.plot(clock, group["y_pred"], color=MODEL, lw=1.2, label="forecast")
        _finish(axes, f"{name}: forecast against actual, test split", ylabel=scored)
    return _png(figure)


def plot_error_by_horizon(per_step: Sequence[Mapping[str, Any]], baselines: Sequence[str]) -> bytes:
    """RMSE at each horizon step, the model's and the baselines'."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots()
    steps = [row["step"] for row in per_step]
    for name, color in zip(baselines, OTHERS, strict=False):
        axes.plot(steps, [row[f"{name}_rmse"] for row in per_step], color=color, marker=".", label=name)
    axes.plot(steps, [row["rmse"] for row in per_step], color=MODEL, lw=2, marker=".", label="model")
    _finish(axes, "Error by horizon", xlabel="steps ahead", ylabel="RMSE")
    return _png(figure)


def plot_residuals(residuals: np.ndarray) -> bytes:
    """Distribution of target less forecast, `(windows, horizon)`, and its spread by step."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.hist(residuals[~np.isnan(residuals)], bins=60, color=MODEL, alpha=0.8)
    left.axvline(0, color=ACTUAL, lw=1)
    _finish(left, "Residuals (actual - forecast)", ylabel="count", legend=False)
    known = ~np.isnan(residuals).all(axis=0)
    steps = np.arange(1, residuals.shape[1] + 1)[known]
    low, middle, high = np.nanquantile(residuals[:, known], [0.05, 0.5, 0.95], axis=0)
    right.fill_between(steps, low, high, color=MODEL, alpha=0.2, lw=0, label="5 % to 95 %")
    right.plot(steps, middle, color=MODEL, label="median")
    right.axhline(0, color=ACTUAL, lw=1)
    _finish(right, "Residuals by horizon", xlabel="steps ahead")
    return _png(figure)


def plot_learning_curve(history: pd.DataFrame, best_epoch: int) -> bytes:
    """Train loss and validation error per epoch; the first is of augmented windows, so they share no axis."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, column, color, title in zip(
        figure.subplots(1, 2),
        ("loss", "validation_mse"),
        (OTHERS[0], MODEL),
        ("Train: Huber loss", "Validation: mean squared error"),
        strict=True,
    ):
        axes.plot(history["epoch"], history[column], color=color, marker="o")
        axes.axvline(best_epoch, color=ACTUAL, lw=1, ls=":", label="best checkpoint")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _finish(axes, title, xlabel="epoch")
    return _png(figure)


def plot_gaps(prepared: Prepared) -> bytes:
    """The series with its gaps, and its longest gap as it was filled."""
    layout = prepared.layout
    row = int(np.argmax([np.isnan(values).sum() for values in layout.split(prepared.values)]))
    span = slice(layout.offsets[row], layout.offsets[row + 1])
    values, clock = prepared.values[span], prepared.timestamps[layout.starts[row] : layout.ends[row]]
    missing = np.isnan(values)
    scaler, filled = prepared.scaler, prepared.source.filled
    while_open = filled.settled.copy()
    while_open[filled.missing] = filled.held
    settled, held = (flat[span] * scaler.std[row] + scaler.mean[row] for flat in (filled.settled, while_open))
    figure = Figure(figsize=(10, 6), layout="constrained")
    whole, zoom = figure.subplots(2, 1)
    whole.plot(clock, values, color=ACTUAL, lw=0.8, label="observed")
    whole.plot(clock[missing], settled[missing], ".", color=MODEL, ms=3, label="filled")
    _finish(whole, f"{prepared.names[row]}: {missing.sum()} of {missing.size} steps missing")
    start, end = _longest_run(missing)
    if end == start:
        zoom.text(0.5, 0.5, "No gaps: every step was observed.", ha="center", transform=zoom.transAxes)
        zoom.set_axis_off()
        return _png(figure)
    margin = max(10, CONTEXT_OF_GAP * (end - start))
    part = slice(max(0, start - margin), min(len(values), end + margin))
    zoom.plot(clock[part], values[part], color=ACTUAL, marker=".", lw=1, label="observed")
    zoom.plot(clock[start:end], settled[start:end], color=MODEL, marker=".", label="filled, once the gap had closed")
    zoom.plot(clock[start:end], held[start:end], color=OTHERS[0], marker=".", ls=":", label="filled, while it was open")
    _finish(zoom, f"Longest gap: {end - start} steps")
    return _png(figure)


def _longest_run(flags: np.ndarray) -> tuple[int, int]:
    starts, ends = runs(flags)
    if not starts.size:
        return 0, 0
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])


def _finish(axes: Axes, title: str, xlabel: str = "", ylabel: str = "", legend: bool = True) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        axes.legend(frameon=False, fontsize=8)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return buffer.getvalue()
