"""The pictures of a report."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spline_lstm.pages.backtest import plot_backtest
from spline_lstm.pages.figures import ACTUAL, MODEL, SETTLED, colors, finish, legend, marker, panels
from spline_lstm.pages.finished import FinishedRun
from spline_lstm.pages.labels import baseline_labels
from spline_lstm.pages.plots_of_series import plot_forecast, plot_series, plot_test_windows

HEIGHT = 3.6


def plot_error_by_horizon(run: FinishedRun) -> Figure:
    """RMSE at each horizon step, the model's and the baselines', and what the intervals held there.

    Of baselines that score the same there is one line.
    """
    per_step, labels = run.scores["per_step"], baseline_labels(run.scores["baselines"])
    figure, axes = panels(1, 2, height=HEIGHT)
    left, right = axes[0]
    steps = [row["step"] for row in per_step]
    errors = [row["rmse"] for row in per_step]  # broad and below the others: it may be one with its ridge
    left.plot(steps, errors, color=MODEL, lw=5, alpha=0.5, label="model")
    for (name, label), color in zip(labels.items(), colors(len(labels)), strict=True):
        errors = [row[f"{name}_rmse"] for row in per_step]
        left.plot(steps, errors, color=color, marker=marker(len(steps)), label=label)
    finish(left, "Error by horizon", xlabel="steps ahead", ylabel="RMSE")
    left.set_ylim(bottom=0)
    wanted = 100 * run.params.evaluate.levels[0]
    right.plot(steps, [100 * row["coverage"] for row in per_step], color=MODEL, marker=marker(len(steps)))
    right.axhline(wanted, color=ACTUAL, lw=1, ls="--", label="coverage that was wanted")
    finish(right, f"Targets in the {wanted:g}% interval", xlabel="steps ahead", ylabel="% of those observed")
    right.set_ylim(0, 105)
    for each in (left, right):
        each.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, axes.flat)
    return figure


def plot_residuals(run: FinishedRun) -> Figure:
    """Distribution of target less forecast, and its spread by step."""
    residuals = run.residuals()
    figure, axes = panels(1, 2, height=HEIGHT)
    left, right = axes[0]
    left.hist(residuals[~np.isnan(residuals)], bins=60, color=MODEL, alpha=0.8)
    left.axvline(0, color=ACTUAL, lw=1)
    finish(left, "Residuals, all steps ahead", xlabel="actual - forecast", ylabel="targets")
    known = ~np.isnan(residuals).all(axis=0)
    steps = np.arange(1, residuals.shape[1] + 1)[known]
    low, middle, high = np.nanquantile(residuals[:, known], [0.05, 0.5, 0.95], axis=0)
    right.fill_between(steps, low, high, color=MODEL, alpha=0.2, lw=0, label="5 % to 95 % of the residuals")
    right.plot(steps, middle, color=MODEL, marker=marker(len(steps)), label="median")
    right.axhline(0, color=ACTUAL, lw=1)
    finish(right, "Residuals by horizon", xlabel="steps ahead", ylabel="actual - forecast")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, axes.flat)
    return figure


def plot_learning_curve(run: FinishedRun) -> Figure:
    """Train loss and validation error per epoch; the first may be of augmented windows, so they share no axis."""
    history = run.history
    figure, axes = panels(1, 2, height=HEIGHT)
    for each, column, color, name in zip(
        axes[0],
        ("loss", "validation_mse"),
        (SETTLED, MODEL),
        ("Train: Huber loss", "Validation: mean squared error, standardized"),
        strict=True,
    ):
        each.plot(history["epoch"], history[column], color=color, marker="o")
        each.axvline(run.training["best_epoch"], color=ACTUAL, lw=1, ls=":", label="best checkpoint")
        each.xaxis.set_major_locator(MaxNLocator(integer=True))
        finish(each, name, xlabel="epoch")
    legend(figure, axes.flat)
    return figure


DRAWN: dict[str, Callable[[FinishedRun], Figure]] = {
    "forecast": plot_forecast,
    "test_windows": plot_test_windows,
    "error_by_horizon": plot_error_by_horizon,
    "residuals": plot_residuals,
    "backtest": lambda run: plot_backtest(run.backtest, run.folds),
    "learning_curve": plot_learning_curve,
    "series": plot_series,
}
