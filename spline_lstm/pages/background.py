"""The later sections of a report: what the data were, how the model was trained, which settings were derived."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from spline_lstm.data.seasonality import calendar_seasons
from spline_lstm.data.windows import SPLITS
from spline_lstm.pages.covariates import covariates_text
from spline_lstm.pages.finished import FinishedRun
from spline_lstm.pages.labels import listed, number, table

MOST_COLUMNS, MOST_DROPPED = 10, 20  # series in a table
SAME_SEASON = 0.005  # share by which a season may differ from that of the calendar and still have its name


def data_section(run: FinishedRun) -> str:
    """What was read, closed hours, seasons, the splits with their dates, gaps, covariates, and series left out."""
    found = run.meta["findings"]
    order = "" if found["sorted"] else ", put in order"
    series = f" of {found['series']:,} series" if found["series"] > 1 else ""
    last = run.when(found["last"])
    zone = " (UTC)" if ":" in last else ""  # dates are those of the file
    read = (
        f"{found['rows']:,} rows{series} from {run.when(found['first'])} to {last}{zone}, "
        f"{found['duplicates']:,} repeated timestamps{order}; "
        f"a grid of {found['steps']:,} steps of `{found['frequency']}`."
    )
    parts = (
        f"{read}{_closed(found['closed'])}",
        _seasons(run),
        _splits(run),
        _gaps(run),
        _doubted(found["doubted"]),
        covariates_text(run),
        _dropped(run.meta["dropped"]),
    )
    return "\n\n".join(part for part in parts if part)


def _doubted(counts: Mapping[str, int]) -> str:
    """Which values were taken for wrong ones."""
    if not counts:
        return ""
    named = listed(f"{name} ({count})" for name, count in counts.items())
    return (
        f"Values that lie far from all others count as missing: {named}. The model does not see them; "
        "scores count those of the test split."
    )


def training_section(run: FinishedRun) -> str:
    """What the fit came to."""
    training = run.training
    model = training["model"]
    again = training["epochs_again"]
    final = (
        f" The forecast is of a model that then learned from the rows of all splits, by {again} more "
        f"epoch{'s' if again > 1 else ''} and ridges solved anew."
        if again
        else ""
    )
    return (
        f"{run.meta['windows']['train']['used']:,} train windows, {training['parameters']:,} weights, "
        f"best epoch {training['best_epoch']} of {training['epochs']}.{_shares(model)}{final}"
    )


def _shares(model: Mapping[str, Any]) -> str:
    if not model["linear"]:
        return ""
    names = {"members": "the recurrence", "linear": "the ridge"}
    if model["cycles"]:
        names["folded"] = f"a ridge on the newest {model['cycles']} cycles of {model['season']:.6g} steps"
        names["holt_winters"] = "Holt-Winters on these"
    shares = (f"{name} {number(model['shares'][key], 2)}" for key, name in names.items())
    return f" Shares: {', '.join(shares)}."


def settings_section(run: FinishedRun) -> str:
    """Every setting of the series and the model, and whether params.yaml gave it or the data did."""
    given = run.params.model_dump(mode="json")
    rows = [
        [f"`{section}.{key}`", _value(value), _origin(given[section][key], value)]
        for section, resolved in _resolved(run).items()
        for key, value in resolved.items()
    ]
    return "Lengths are in steps.\n\n" + table(["setting", "value", "given or derived"], rows, texts=3)


def _resolved(run: FinishedRun) -> dict[str, dict[str, Any]]:
    """What params.yaml leaves open and the run has decided, by its sections and keys, beside what it gave."""
    settings, model = run.prepared.settings, run.training["model"]
    scaler, rows = run.prepared.scaler, len(run.prepared.names)
    ended = (run.prepared.bound_until[:, :rows] < len(run.prepared.timestamps)).sum(axis=1)
    given = run.params.model_dump(mode="json")
    calendar = {"calendar": run.training["clock"], "holidays": run.prepared.encoding.calendar.holidays}
    return {
        "data": {
            "frequency": settings.frequency,
            "closed": list(settings.closed),
            "log": settings.log,
            "minimum": _bound(scaler.minimum[:rows], ended[0]),
            "maximum": _bound(scaler.maximum[:rows], ended[1]),
        },
        "covariates": {**given["covariates"], **calendar},
        "windows": {"horizon": settings.horizon, "lookback": settings.lookback},
        "gaps": {
            "seasons": list(settings.seasons),
            "longest": settings.longest_gap,
            "max_missing": settings.max_missing,
        },
        "spline": {key: model[key] for key in given["spline"]},
        "model": {key: model[key] for key in given["model"]},
        "train": {key: run.training["train"][key] for key in given["train"]},
        "evaluate": {
            **{key: run.scores["intervals"][key] for key in ("coverage", "quantiles")},
            "scale": run.scores["scale"],
        },
    }


def _bound(bounds: np.ndarray, ended: int) -> Any:
    """What bounds the forecasts of rows: a number, none, or which ones, how many rows have one, and lost it again."""
    finite = bounds[np.isfinite(bounds)]
    if not finite.size:
        return None
    if finite.size == bounds.size and np.ptp(finite) == 0 and not ended:
        return float(finite[0])
    text = f"{' or '.join(f'{bound:g}' for bound in np.unique(finite))} for {finite.size:,} of {bounds.size:,} series"
    return f"{text}, in {ended:,} until a value beyond it was seen" if ended else text


def _origin(given: Any, value: Any) -> str:
    if given is None:
        return "derived" if value is not None else "not given"
    return "given" if given == value else f"given as {_value(given)}"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _closed(closed: Mapping[str, Any]) -> str:
    if not closed["hours"]:
        return ""
    rows = f"; {closed['rows']:,} rows lie in them and count for the next open step" if closed["rows"] else ""
    hours = ", ".join(f"`{hours}`" for hours in closed["hours"])
    return f" Closed hours, {hours}, leave out {closed['steps']:,} steps{rows}."


def _seasons(run: FinishedRun) -> str:
    """Which seasons there are, which of them cannot be used, and which one the seasonal naive forecast repeats."""
    settings, given = run.prepared.settings, run.params.gaps.seasons is not None
    if not settings.seasons:
        return "" if given else "No season was found."
    calendar = calendar_seasons(run.prepared.timestamps[: run.prepared.splits.train])
    named = {season: _season(season, calendar) for season in settings.seasons}
    kind = "Seasons" if len(named) > 1 else "Season"
    text = f"{kind} {'given' if given else 'found in train rows'}: {', '.join(named.values())}."
    if settings.used_seasons:
        repeated = min(settings.used_seasons, key=lambda season: abs(season - settings.season))
        text += f" Seasonal naive repeats {named[repeated]}." if len(named) > 1 else " Seasonal naive repeats it."
    for season in settings.seasons:
        if season not in settings.used_seasons:
            text += f" A lookback of {settings.lookback} steps does not hold {named[season]}: nothing can repeat it."
    return text


def _season(season: float, calendar: Mapping[str, float]) -> str:
    steps = f"{round(season, 2):,g} steps"
    names = [name for name, length in calendar.items() if math.isclose(season, length, rel_tol=SAME_SEASON)]
    return f"a {names[0]} ({steps})" if names else steps


def _splits(run: FinishedRun) -> str:
    clock, windows = run.prepared.timestamps, run.meta["windows"]
    rows = []
    for name in SPLITS:
        start, end = run.prepared.splits.bounds(name)
        used, dropped = (f"{windows[name][key]:,}" for key in ("used", "dropped"))
        rows.append([name, run.when(clock[start]), run.when(clock[end - 1]), f"{end - start:,}", used, dropped])
    return table(["split", "first", "last", "steps", "windows", "windows dropped for gaps"], rows)


def _gaps(run: FinishedRun) -> str:
    channels, limit, names = run.meta["findings"]["channels"], run.prepared.settings.longest_gap, run.prepared.names
    missing = sorted((name for name in names if channels[name]["missing"]), key=_missing_share(channels))
    if not missing:
        return "No step is missing."
    filled = run.prepared.source.filled
    to_forecast = filled.missing < run.prepared.layout.offsets[len(names)]  # behind these, of past covariates
    over = int((filled.gap_lengths()[to_forecast & (filled.since == 1)] > limit).sum())
    longer = (
        f"{over:,} {'gap is' if over == 1 else 'gaps are'} longer and not filled: windows that touch one are dropped."
    )
    rule = f"Gaps of up to {limit} steps are filled, as of each origin with what was known then. "
    rule += longer if over else "None is longer."
    if len(missing) > MOST_COLUMNS:
        rule += f" The {MOST_COLUMNS} series that miss most, of {len(missing):,} with gaps:"
    rows = [
        [name, f"{found['missing']:,}", f"{found['missing_share']:.1%}", f"{found['gaps']:,}", found["longest_gap"]]
        for name, found in ((name, channels[name]) for name in missing[:MOST_COLUMNS])
    ]
    return f"{rule}\n\n{table(['series', 'missing steps', 'share', 'gaps', 'longest gap'], rows)}"


def _missing_share(channels: Mapping[str, Mapping[str, Any]]) -> Any:
    return lambda name: -channels[name]["missing_share"]


def _dropped(dropped: Mapping[str, str]) -> str:
    if not dropped:
        return ""
    more = f" The first {MOST_DROPPED}:" if len(dropped) > MOST_DROPPED else ""
    rows = list(dropped.items())[:MOST_DROPPED]
    were = "was" if len(dropped) == 1 else "were"
    return f"{len(dropped):,} series {were} left out.{more}\n\n{table(['series', 'why'], rows, texts=2)}"
