"""The section and the picture of folds that walk forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from spline_lstm.pages.figures import (
    ACTUAL,
    LEGEND_HEIGHT,
    MODEL,
    WIDTH,
    colors,
    draw_line,
    finish,
    legend,
    panels,
    use_clock,
)
from spline_lstm.pages.labels import baseline_labels, label_of, listed, number, skill_of, table, time_format
from spline_lstm.scores.doubt import BETTER, CONFIDENCE, WORSE, verdict
from spline_lstm.scores.predictions import separate_windows

HEIGHT = 3.2
LOG_FROM = 4.0  # times the least error, from which on the largest one would press the others together
SHOWN = {"rmse": "RMSE", "mae": "MAE", "wape": "WAPE, %", "mase": "MASE", "relative_rmse": "relative RMSE"}


def backtest_section(content: Mapping[str, Any], picture: str = "") -> str:
    """Markdown.

    Args:
        content: As `backtests/{run_id}.json` holds it.
        picture: The picture with its caption, if it is to stand in it.
    """
    folds = content["folds"]
    if not folds:
        return "None was asked for: `dvc exp run -S backtest.windows=8` walks through eight folds, with a fit for each."
    fits = len({fold["fitted"] for fold in folds})
    times = pd.DatetimeIndex([folds[0]["first"], folds[-1]["last"]])
    first, last = times.strftime(time_format(times))
    of_series = f" of up to {most:,} series" if (most := max(fold["series"] for fold in folds)) > 1 else ""
    targets = sum(fold["metrics"]["observed"] for fold in folds)
    parts = [
        _verdict(content),
        f"{len(folds)} folds, {content['step']} steps apart, with {fits} fits: {targets:,} observed targets"
        f"{of_series} from {first} to {last}. Each fold was forecast from what was known at its cutoff: grid, "
        f"seasons, scaler, validation and model are of rows up to then.{_left_out(content['left_out'])}"
        f"{_dropped(folds)}",
        picture,
        "### Mean over folds",
        _means(content),
        "Mean ± standard deviation over folds, of scores over all steps of the horizon. The deviation says "
        "how much folds differ, not how sure the mean is. Better in: the folds in which the model errs "
        "less. Skill: the share of the RMSE of all folds together that the model saves, give or take what "
        f"chance may add or take ({CONFIDENCE:.0%}, from a bootstrap over stretches of one horizon).",
        "### Fold by fold",
        _by_fold(content),
    ]
    return "\n\n".join(part for part in parts if part)


def plot_backtest(content: Mapping[str, Any], predictions: pd.DataFrame) -> Figure:
    """Forecasts of the folds beside what was observed, and the error of each fold; without folds, a line that says so.

    Args:
        content: As `backtests/{run_id}.json` holds it.
        predictions: As `backtests/{run_id}.parquet` holds them, of one series.
    """
    if not content["folds"]:
        figure = Figure(figsize=(WIDTH, LEGEND_HEIGHT))
        figure.text(0.01, 0.4, "No backtest was asked for: backtest.windows is null.")
        return figure
    figure, axes = panels(2, height=HEIGHT, sharex=True)
    _draw_forecasts(axes[0, 0], predictions)
    _draw_errors(axes[1, 0], content)
    use_clock(axes[1, 0])
    legend(figure, axes.flat)
    return figure


def _draw_forecasts(axes: Axes, predictions: pd.DataFrame) -> None:
    shown = separate_windows(predictions)
    observed = predictions.groupby("timestamp")["y_true"].first()
    draw_line(axes, observed, color=ACTUAL, lw=1, label="observed")
    for _, window in shown.groupby("origin"):
        axes.axvline(window["origin"].iloc[0], color=ACTUAL, lw=0.5, ls=":")
        by_time = window.set_index("timestamp")
        axes.fill_between(by_time.index, by_time["y_lower"], by_time["y_upper"], color=MODEL, alpha=0.2, lw=0)
        axes.plot(by_time.index, by_time["y_pred"], color=MODEL, lw=1.5)
    axes.fill_between([], [], [], color=MODEL, alpha=0.2, lw=0, label="interval of the model")
    finish(axes, f"Forecasts of the folds: {predictions['series_id'].iloc[0]}".removesuffix(": "))


def _draw_errors(axes: Axes, content: Mapping[str, Any]) -> None:
    folds, measure = content["folds"], _measure(content)
    labels = _labels(content)
    errors = {name: [fold["baselines"][name][measure] for fold in folds] for name in labels}
    middle = [_middle(fold) for fold in folds]
    for (name, values), color in zip(errors.items(), colors(len(errors)), strict=True):
        axes.plot(middle, values, "o-", color=color, lw=1.2, ms=4, label=labels[name])
        _draw_mean(axes, content["summary"][name][measure]["mean"], color)
    errors["model"] = [fold["metrics"][measure] for fold in folds]
    axes.plot(middle, errors["model"], "o-", color=MODEL, lw=2.5, ms=7, label="model")
    _draw_mean(axes, content["summary"]["model"][measure]["mean"], MODEL)
    what = "RMSE" if measure == "rmse" else "relative RMSE"
    finish(axes, f"{what} of each fold; dashed: the mean of folds", ylabel=what)
    _scale(axes, [value for values in errors.values() for value in values if value])


def _draw_mean(axes: Axes, mean: float | None, color: Any) -> None:
    if mean is not None:
        axes.axhline(mean, color=color, lw=1, ls="--", alpha=0.7)


def _scale(axes: Axes, errors: Sequence[float]) -> None:
    """From zero, or of powers where large errors would press the small ones together."""
    if not errors or max(errors) < LOG_FROM * min(errors):
        axes.set_ylim(bottom=0)
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _middle(fold: Mapping[str, Any]) -> pd.Timestamp:
    first, last = pd.Timestamp(fold["first"]), pd.Timestamp(fold["last"])
    return first + (last - first) / 2


def _labels(content: Mapping[str, Any]) -> dict[str, str]:
    return baseline_labels(content["pooled"]["baselines"])


def _measure(content: Mapping[str, Any]) -> str:
    """Errors of several series are compared without a unit."""
    return "rmse" if max(fold["series"] for fold in content["folds"]) == 1 else "relative_rmse"


def _verdict(content: Mapping[str, Any]) -> str:
    pooled, labels = content["pooled"], _labels(content)
    baselines = {labels[name]: pooled["baselines"][name] for name in labels}
    found = {label: verdict(scores) for label, scores in baselines.items()}
    worse = [label for label, each in found.items() if each == WORSE]
    doubtful = [label for label, each in found.items() if each not in (BETTER, WORSE)]
    if worse:
        head = f"**Over these folds the model does not beat {listed(worse)}.**"
    elif doubtful:
        head = f"**Over these folds there is no clear difference between the model and {listed(doubtful)}.**"
    else:
        head = "**Over these folds the model beats every baseline.**"
    best, folds = pooled["best_baseline"], len(content["folds"])
    label = label_of(best, labels)
    measure = _measure(content)
    mine, other = pooled["metrics"][measure], pooled["baselines"][best][measure]
    what = "RMSE" if measure == "rmse" else "RMSE relative to the best baseline of each series"
    return (
        f"{head} Over all of their targets its {what} is {number(mine)}, that of {label}, the best baseline, "
        f"{number(other)}; it errs less in {content['better'][best]} of {folds} folds."
    )


def _left_out(folds: Sequence[Mapping[str, Any]]) -> str:
    if not folds:
        return ""
    cutoffs = pd.DatetimeIndex([fold["cutoff"] for fold in folds])
    named = [
        f"{fold['fold']} (after {when})"
        for fold, when in zip(folds, cutoffs.strftime(time_format(cutoffs)), strict=True)
    ]
    which = f"Fold {listed(named)} has" if len(folds) == 1 else f"Folds {listed(named)} have"
    reasons = "no observed target, gaps that are too long, or no series that varies before it"
    return f" {which} nothing to score or to learn from ({reasons}), and count nowhere."


def _dropped(folds: Sequence[Mapping[str, Any]]) -> str:
    """Series that folds leave out."""
    of: dict[str, list[str]] = {}
    for fold in folds:
        for name in fold["dropped"]:
            of.setdefault(name, []).append(str(fold["fold"]))
    named = [f"{name} of fold{'s' * (len(numbers) > 1)} {listed(numbers)}" for name, numbers in of.items()]
    return f" Left out are {listed(named)}; `dropped` in the file of the folds says why." if named else ""


def _means(content: Mapping[str, Any]) -> str:
    labels, pooled, of_model = _labels(content), content["pooled"]["baselines"], content["summary"]["model"]
    several = _measure(content) != "rmse"
    measures = [name for name in SHOWN if several or name != "relative_rmse"]
    rows = [["**model**", *(_mean(of_model[name]) for name in measures), _share(of_model["coverage"]), "", ""]]
    for name, label in labels.items():
        of_baseline = content["summary"][name]
        means = [_mean(of_baseline[measure]) for measure in measures]
        rows.append(
            [label, *means, "", f"{content['better'][name]} of {len(content['folds'])}", skill_of(pooled[name])]
        )
    return table(["", *(SHOWN[name] for name in measures), "coverage", "better in", "skill"], rows)


def _by_fold(content: Mapping[str, Any]) -> str:
    measure, labels = _measure(content), _labels(content)
    what = "RMSE" if measure == "rmse" else "relative RMSE"
    ends = pd.DatetimeIndex([fold[key] for fold in content["folds"] for key in ("cutoff", "last")])
    begins = pd.DatetimeIndex([fold["first"] for fold in content["folds"]])  # hours may all end at midnight
    times = iter(ends.strftime(time_format(ends.append(begins))))
    rows = [
        [
            *(str(fold["fold"]), next(times), next(times), str(fold["fitted"])),
            *(f"{fold['train']:,}", f"{fold['validation']:,}"),
            number(fold["metrics"][measure]),
            *(number(fold["baselines"][name][measure]) for name in labels),
            "" if fold["metrics"]["coverage"] is None else f"{fold['metrics']['coverage']:.0%}",
        ]
        for fold in content["folds"]
    ]
    heads = [
        "cutoff",
        "until",
        "fit",
        "train steps",
        "validation steps",
        f"{what}: model",
        *labels.values(),
        "coverage",
    ]
    return table(["fold", *heads], rows, texts=3)


def _mean(spread: Mapping[str, float | None]) -> str:
    return number(spread["mean"]) + ("" if spread["std"] is None else f" ± {number(spread['std'], 2)}")


def _share(spread: Mapping[str, float | None]) -> str:
    if spread["mean"] is None:
        return "n/a"
    return f"{spread['mean']:.1%}" + ("" if spread["std"] is None else f" ± {100 * spread['std']:.1f}")
