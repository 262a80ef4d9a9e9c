"""The later sections of a report: what the data were, how the model was trained, which settings were derived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spline_lstm.data.windows import SPLITS
from spline_lstm.pages.finished import FinishedRun
from spline_lstm.pages.labels import number, table

MOST_COLUMNS, MOST_DROPPED = 10, 20  # series in a table


def data_section(run: FinishedRun) -> str:
    """What was read, the splits with their dates, gaps, and series that were left out."""
    found = run.meta["findings"]
    order = "" if found["sorted"] else ", put in order"
    series = f" of {found['series']:,} series" if found["series"] > 1 else ""
    read = (
        f"{found['rows']:,} rows{series} from {run.when(found['first'])} to "
        f"{run.when(found['last'])} (UTC), {found['duplicates']:,} repeated timestamps{order}; "
        f"a grid of {found['steps']:,} steps of `{found['frequency']}`."
    )
    return "\n\n".join(part for part in (read, _splits(run), _gaps(run), _dropped(run.meta["dropped"])) if part)


def training_section(run: FinishedRun) -> str:
    """What the fit came to."""
    training = run.training
    model = training["model"]
    share = (
        f" The recurrence has a share of {number(model['share'], 2)}, the ridge the rest." if model["linear"] else ""
    )
    return (
        f"{run.meta['windows']['train']['used']:,} train windows, {training['parameters']:,} weights, "
        f"best epoch {training['best_epoch']} of {training['epochs']}.{share}"
    )


def settings_section(run: FinishedRun) -> str:
    """Every setting of the series and the model, and whether params.yaml gave it or the data did."""
    given = run.params.model_dump(mode="json")
    rows = [
        [f"`{section}.{key}`", _value(value), _origin(given[section][key], value)]
        for section, resolved in _resolved(run).items()
        for key, value in resolved.items()
    ]
    return "Lengths are in steps.\n\n" + table(["setting", "value", "given or derived"], rows)


def _resolved(run: FinishedRun) -> dict[str, dict[str, Any]]:
    """What params.yaml leaves open and the run has decided, by its sections and keys, beside what it gave."""
    settings, model = run.prepared.settings, run.training["model"]
    given = run.params.model_dump(mode="json")
    return {
        "data": {"frequency": settings.frequency},
        "windows": {"horizon": settings.horizon, "lookback": settings.lookback},
        "gaps": {
            "seasons": list(settings.seasons),
            "longest": settings.longest_gap,
            "max_missing": settings.max_missing,
        },
        "spline": {key: model[key] for key in given["spline"]},
        "model": {key: model[key] for key in given["model"]},
        "train": {key: run.training["train"][key] for key in given["train"]},
        "evaluate": {"coverage": run.scores["intervals"]["coverage"], "scale": run.scores["scale"]},
    }


def _origin(given: Any, value: Any) -> str:
    if given is None:
        return "derived"
    return "given" if given == value else f"given as {_value(given)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _splits(run: FinishedRun) -> str:
    clock, windows = run.prepared.timestamps, run.meta["windows"]
    rows = []
    for name in SPLITS:
        start, end = run.prepared.splits.bounds(name)
        used, dropped = (f"{windows[name][key]:,}" for key in ("used", "dropped"))
        rows.append([name, run.when(clock[start]), run.when(clock[end - 1]), f"{end - start:,}", used, dropped])
    return table(["split", "first", "last", "steps", "windows", "windows dropped for gaps"], rows)


def _gaps(run: FinishedRun) -> str:
    channels, limit = run.meta["findings"]["channels"], run.prepared.settings.longest_gap
    missing = sorted((name for name in channels if channels[name]["missing"]), key=_missing_share(channels))
    if not missing:
        return "No step is missing."
    filled = run.prepared.source.filled
    over = int((filled.gap_lengths()[filled.since == 1] > limit).sum())
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
    return f"{len(dropped):,} series were left out.{more}\n\n{table(['series', 'why'], rows)}"
