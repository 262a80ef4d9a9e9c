"""The page a person reads: verdict first, then the forecast, scores, data, training, settings, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from spline_lstm.pages.background import data_section, settings_section, training_section
from spline_lstm.pages.backtest import backtest_section
from spline_lstm.pages.covariates import assumption
from spline_lstm.pages.finished import FinishedRun
from spline_lstm.pages.labels import (
    baseline_labels,
    give_or_take,
    label_of,
    listed,
    number,
    percent,
    skill_of,
    table,
    title,
)
from spline_lstm.scores.doubt import BETTER, CONFIDENCE, UNCLEAR, WORSE, verdict
from spline_lstm.scores.forecasts import suffix_of
from spline_lstm.scores.predictions import SHOWN_SERIES

CAPTIONS = {
    "forecast": "The end of what was observed, and the forecast beyond it with its intervals.",
    "test_windows": "Forecast against actual on the newest test windows that do not overlap, and on one of them.",
    "error_by_horizon": "Root mean squared error at each step ahead, and how many targets the intervals held there.",
    "residuals": "What the forecasts of all test windows missed.",
    "backtest": "Each fold's forecast beside what was observed, and its error beside those of the baselines.",
    "learning_curve": "Loss and validation error per epoch; the best checkpoint is the one that was scored.",
    "series": "What was observed, the splits, and what was missing.",
}
SCORES = {
    "mae": "MAE", "rmse": "RMSE", "mape": "MAPE %", "smape": "sMAPE %", "wape": "WAPE %", "mase": "MASE", "r2": "R2",
    "bias": "bias",
}  # fmt: skip
POOLED = ("mae", "rmse", "wape", "bias")  # of several series, these make sense in one unit only
SERIES_SCORES = ("mae", "rmse", "mape", "mase", "r2")
MOST_SERIES, MOST_WITHOUT = 20, 10  # in a table; of more, the best and the worst, half of each
FORECAST_DIGITS = 6
WIDER = 2  # times as wide as usual
CLEARLY_LESS = 0.05  # of the mean absolute error
ENDS_OF_ONE, ENDS_OF_MANY = 5, 1  # steps from the begin and from the end of a forecast


def render_report(run: FinishedRun) -> str:
    """Markdown with pictures beside it."""
    parts = [
        f"# Forecast report: {run.params.run_id}",
        _verdict(run.scores, run.training["model"]),
        _marks(run.meta["findings"]["marks"]),
        "## Forecast",
        _forecast(run),
        _without_forecast(run),
        _in_the_past(run),
        _wider(run),
        _picture(run, "forecast"),
        "## Scores",
        _targets(run),
        _score_table(run),
        _same_baselines(run),
        _interval_table(run),
        _hours_of_intervals(run),
        _series_table(run),
        *(_picture(run, name) for name in ("test_windows", "error_by_horizon", "residuals")),
        "## Backtest",
        backtest_section(run.backtest, _picture(run, "backtest")),
        "## Data",
        data_section(run),
        _picture(run, "series"),
        "## Training",
        training_section(run),
        _picture(run, "learning_curve"),
        "## Settings",
        settings_section(run),
        "## Provenance",
        f"Input `{run.meta['input']['path']}`, sha256 `{run.meta['input']['sha256'][:16]}`. All versions, a hash of "
        f"the code and the sha256 of every artifact are in [the metadata](../metadata/{run.params.run_id}.json), the "
        f"time and the commit beside it in `.{run.params.run_id}.made.json`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _marks(marks: Mapping[str, float]) -> str:
    """Which numbers may stand for nothing, so that nothing else here could be trusted."""
    if not marks:
        return ""
    named = listed(f"{mark:.15g} in {name}" for name, mark in marks.items())
    return (
        f"**Look at the data: {named}.** Far from all other numbers, and there again and again: if it is no value, "
        "name it in `data.missing` and run again."
    )


def _picture(run: FinishedRun, name: str) -> str:
    return f"![{title(name)}]({run.params.run_id}.{name}.png)\n\n*{CAPTIONS[name]}*"


def _verdict(scores: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    labels = baseline_labels(scores["baselines"])
    best = scores["best_baseline"]
    label = label_of(best, labels)
    found = {label: verdict(scores["baselines"][name]) for name, label in labels.items()}
    exact = scores["baselines"][best]["relative_rmse"] is None  # it errs by rounding alone: no error is a share of it
    worse = [each for each in labels.values() if found[each] == WORSE]
    doubtful = [each for each in labels.values() if found[each] == UNCLEAR]
    held = (
        f"Intervals meant to hold {percent(scores['intervals']['levels'][0])} of the targets held "
        f"{scores['metrics']['coverage']:.1%} of them."
    )
    beaten = f"**The model does not beat the best baseline, {label}.** {_beside_best(scores, label)}"
    if best != "ridge":  # of whose forecasts there is no file
        beaten += " Use that baseline instead."
    if exact:
        alike = f"**The model and {label} err by rounding alone.**"
        return f"{beaten if found[label] == WORSE else alike}\n\n{held}"
    if model["shares"].get("linear") == 1:
        head = (
            "**The model is its ridge.** On validation windows nothing else improved it, so nothing else has a share."
        )
    elif found[label] == WORSE:
        head = beaten
    elif worse:
        head = f"**The model does not beat {listed(worse)}.** {_beside_best(scores, label)}"
    elif doubtful:
        head = f"**No clear difference between the model and {listed(doubtful)}.** {_beside_best(scores, label)}"
    else:
        head = f"**The model beats every baseline.** {_beside_best(scores, label)}"
    several = len(scores["per_series"]) > 1
    measure = "relative_rmse" if several else "rmse"
    against = ", ".join(
        _beside(scores["metrics"][measure], scores["baselines"][name], measure, label)
        for name, label in labels.items()
        if scores["baselines"][name][measure]
    )
    of_several = ", relative to the best baseline of each series, on average" if several else ""
    text = f"RMSE of the model{of_several}: {against}. {_sureness(scores['metrics'])}{_by_absolute_error(scores)}{held}"
    return f"{head}\n\n{text}"


def _beside(error: float, baseline: Mapping[str, Any], measure: str, label: str) -> str:
    other, margin = baseline[measure], baseline["skill_margin"]
    doubt = "" if margin is None else f" ({give_or_take(margin)})"
    return f"{abs(1 - error / other):.1%}{doubt} {'below' if error < other else 'above'} {label}"


def _by_absolute_error(scores: Mapping[str, Any]) -> str:
    """What to say where a baseline has clearly smaller absolute errors: squares hide it, by which all is learned."""
    mine, labels = scores["metrics"]["mase"], baseline_labels(scores["baselines"])
    errors = {label: scores["baselines"][name]["mase"] for name, label in labels.items()}
    least = min((label for label in labels.values() if errors[label] is not None), key=errors.__getitem__, default="")
    if mine is None or not least or errors[least] >= (1 - CLEARLY_LESS) * mine:
        return ""
    return (
        f"By the mean absolute error (MASE), which a few large misses rule less, {least} errs "
        f"{1 - errors[least] / mine:.0%} less than the model. "
    )


def _sureness(metrics: Mapping[str, Any]) -> str:
    if metrics["skill_margin"] is None:
        return "Fewer than two stretches of one horizon hold test targets that say how sure that is. "
    return (
        f"In brackets, in percentage points, is what chance may add or take ({CONFIDENCE:.0%}, "
        "from a bootstrap over stretches of one horizon). "
    )


def _beside_best(scores: Mapping[str, Any], label: str) -> str:
    """The errors of the model and of the best baseline; of several series, those without a unit."""
    model, best = scores["metrics"], scores["baselines"][scores["best_baseline"]]
    per_series = scores["per_series"].values()
    if len(per_series) < 2:
        return f"The model's RMSE is {number(model['rmse'])}, that of {label} {number(best['rmse'])}."
    found = [verdict(series) for series in per_series]
    return (
        f"The model's RMSE relative to the best baseline of each series is {number(model['relative_rmse'])} on "
        f"average, that of {label} {number(best['relative_rmse'])}, and its MASE {number(model['mase'])}, that of "
        f"{label} {number(best['mase'])}; of {len(per_series):,} series "
        f"it is clearly better in {found.count(BETTER):,} and clearly worse in {found.count(WORSE):,}."
    )


def _forecast(run: FinishedRun) -> str:
    settings, several = run.prepared.settings, len(run.prepared.names) > 1
    of_each = f" of each of {run.forecast['series_id'].nunique():,} series" if several else ""
    text = (
        f"{settings.horizon} steps of `{settings.frequency}` beyond the last observation{of_each}; "
        f"all of them are in [the forecast file](../forecasts/{run.params.run_id}.csv). {_choice(run)}"
    )
    groups = dict(iter(run.forecast[run.forecast["series_id"].isin(run.ahead)].groupby("series_id")))
    ends = ENDS_OF_MANY if several else ENDS_OF_ONE
    rows = [row for name in run.ahead for row in _forecast_rows(run, groups[name], ends)]
    interval = f"{percent(run.params.evaluate.levels[0])} interval, from"
    header = ["series", "time", "step", "forecast", interval, "to"]
    first = 0 if several else 1  # of one series, its name is in every row of the file only
    return f"{text.rstrip()}\n\n{table(header[first:], [row[first:] for row in rows])}"


def _without_forecast(run: FinishedRun) -> str:
    """Series that the forecast file leaves out, and why."""
    known, lacking = set(run.forecast["series_id"]), run.meta["lacking"]
    newest = run.prepared.newest_gaps()
    reasons = [[name, lacking.get(name) or f"it {newest[name]}"] for name in run.prepared.names if name not in known]
    if not reasons:
        return ""
    more = f" The first {MOST_WITHOUT}:" if len(reasons) > MOST_WITHOUT else ""
    are = "is" if len(reasons) == 1 else "are"
    rows = table(["series", "why"], reasons[:MOST_WITHOUT], texts=2)
    return f"{len(reasons):,} series {are} not forecast.{more}\n\n{rows}"


def _in_the_past(run: FinishedRun) -> str:
    """Series that end so long before the newest one that none of their forecast lies ahead of it."""
    last = run.forecast.groupby("series_id", sort=False)[["origin", "timestamp"]].max()
    names = list(last.index[last["timestamp"] <= last["origin"].max()])
    if not names:
        return ""
    return f"All of the forecast lies in the past of the newest series where one ended long before it: {listed(names)}."


def _wider(run: FinishedRun) -> str:
    """Series whose intervals beyond the data are far wider than those of their test windows."""
    units = dict(zip(run.prepared.names, run.prepared.units(run.scores["scale"]), strict=True))
    usual = {name: scores["interval_width"] * units[name] for name, scores in run.scores["per_series"].items()}
    widths = (run.forecast["y_upper"] - run.forecast["y_lower"]).groupby(run.forecast["series_id"], sort=False).mean()
    names = [name for name, width in widths.items() if 0 < WIDER * usual.get(name, 0) < width]
    if not names:
        return ""
    return (
        f"Intervals are over {WIDER} times as wide as those of the test windows were on average: {listed(names)}. The "
        "newest of these were missed by more, as after a shift, the level is higher, or a gap is open at the end."
    )


def _forecast_rows(run: FinishedRun, forecast: pd.DataFrame, ends: int) -> list[list[Any]]:
    """The first and the last steps, with a row of dots between them if others are left out."""
    columns = ["series_id", "timestamp", "step", "y_pred", "y_lower", "y_upper"]
    rows = [
        [name, run.when(time), step, *(number(value, FORECAST_DIGITS) for value in values)]
        for name, time, step, *values in forecast[columns].itertuples(index=False)
    ]
    if len(rows) <= 2 * ends + 1:
        return rows
    return [*rows[:ends], [rows[0][0], *["…"] * (len(columns) - 1)], *rows[-ends:]]


def _choice(run: FinishedRun) -> str:
    """Which series the pictures show, where they do not show all."""
    if len(run.shown) == len(run.prepared.names):
        return ""
    if len(run.scored) <= SHOWN_SERIES:
        return f"Pictures, and the table below, show the {len(run.shown)} series that have test windows."
    return (
        f"Pictures, and the table below, show {len(run.shown)} series: "
        "those with the best and with the worst skill, half of each."
    )


def _targets(run: FinishedRun) -> str:
    targets, metrics, horizon = run.scores["targets"], run.scores["metrics"], run.prepared.settings.horizon
    count, alone = targets["windows"], targets["windows"] == len(run.scores["per_series"])
    overlap = "" if alone or horizon == 1 else "; windows overlap, so that most times are forecast several times"
    return (
        f"{count:,} test {'window' if count == 1 else 'windows'} of {horizon} steps, with {metrics['observed']:,} "
        f"observed targets of {targets['times']:,} distinct times from {run.when(targets['first'])} to "
        f"{run.when(targets['last'])}{overlap}. {_unit(run)}{assumption(run)}"
    )


def _unit(run: FinishedRun) -> str:
    if not run.has_unit:
        return "Targets differ in their units: tables leave out errors over all of them, pictures take units as one."
    if run.scores["scale"] == "original":
        return "Errors are in original units."
    derived = ", as several target columns have no unit in common" if run.params.evaluate.scale is None else ""
    return f"Errors are in standard deviations of the train split{derived}."


def _score_table(run: FinishedRun) -> str:
    scores, shown = run.scores, {key: name for key, name in SCORES.items() if run.has_unit or key not in POOLED}
    if len(scores["per_series"]) > 1:
        shown = {"relative_rmse": "relative RMSE", **shown}
    labels = baseline_labels(scores["baselines"])
    rows = [("**model**", scores["metrics"]), *((labels[name], scores["baselines"][name]) for name in labels)]
    return table(["", *shown.values()], [[name, *(number(scored[key]) for key in shown)] for name, scored in rows])


def _interval_table(run: FinishedRun) -> str:
    """How many targets the intervals of each level held, and what they cost."""
    metrics, rows = run.scores["metrics"], []
    for place, level in enumerate(run.scores["intervals"]["levels"]):
        suffix = suffix_of(place, level)
        width, score = (number(metrics[name + suffix]) for name in ("interval_width", "winkler"))
        rows.append([percent(level), f"{metrics['coverage' + suffix]:.1%}", *([width, score] if run.has_unit else [])])
    units = ["mean width", "Winkler score"] if run.has_unit else []
    return "Intervals:\n\n" + table(["wanted coverage", "held", *units], rows)


def _hours_of_intervals(run: FinishedRun) -> str:
    """Between which hours of the day certainty differs most."""
    hourly = run.scores["intervals"]["hourly"]
    if not hourly:
        return ""
    means = [sum(hour) / len(hourly) for hour in zip(*hourly.values(), strict=True)]
    least, most = min(means), max(means)
    of_several = f", on average over {len(hourly)} series in which it does" if len(hourly) > 1 else ""
    return (
        f"How sure forecasts are differs by the hour of the day ({run.prepared.settings.timezone}){of_several}. "
        f"Intervals are narrowest from {means.index(least):02d}:00 on, {least:.2f} times as wide as if hours were "
        f"alike, and widest from {means.index(most):02d}:00 on, {most:.2f} times."
    )


def _same_baselines(run: FinishedRun) -> str:
    same = [label for label in baseline_labels(run.scores["baselines"]).values() if " = " in label]
    if not same:
        return ""
    no_season = " No season was found: the seasonal naive forecast repeats the last value."
    reason = no_season if run.prepared.settings.season == 1 and any("seasonal" in label for label in same) else ""
    return f"Forecasts that are the same stand in one row: {'; '.join(same)}.{reason}"


def _series_table(run: FinishedRun) -> str:
    per_series = run.scores["per_series"]
    if len(per_series) < 2:
        return ""
    where = f"[metrics/{run.params.run_id}.per_series.csv](../metrics/{run.params.run_id}.per_series.csv)"
    names = sorted(per_series, key=lambda name: -_skill_or_least(per_series[name]))
    text = f"By series, the best skill first (all scores are in {where}):"
    if len(names) > MOST_SERIES:
        text = (
            f"The {MOST_SERIES // 2} series with the best and the {MOST_SERIES // 2} with the worst skill, "
            f"of {len(names):,} (all of them are in {where}):"
        )
        names = [*names[: MOST_SERIES // 2], *names[-MOST_SERIES // 2 :]]
    header = ["series", "skill", "best baseline", *(SCORES[key] for key in SERIES_SCORES), "coverage"]
    return f"{text}\n\n{table(header, [_series_row(name, per_series[name]) for name in names])}"


def _series_row(name: str, scores: Mapping[str, Any]) -> Sequence[Any]:
    figures = [number(scores[key]) for key in SERIES_SCORES]
    return [
        name,
        skill_of(scores),
        title(scores["best_baseline"]),
        *figures,
        f"{scores['coverage']:.1%}",
    ]


def _skill_or_least(scores: Mapping[str, Any]) -> float:
    return -float("inf") if scores["skill"] is None else scores["skill"]
