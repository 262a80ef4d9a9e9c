"""The page a person reads: verdict first, then scores, pictures, findings, settings, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spline_lstm.data.windows import SPLITS
from spline_lstm.run.contract import PICTURES

CAPTIONS = {
    "forecast": "Forecast against actual on test windows that do not overlap, with prediction intervals.",
    "error_by_horizon": "Root mean squared error at each step ahead.",
    "residuals": "What the forecasts missed.",
    "learning_curve": "Loss per epoch; the best checkpoint is the one that was scored.",
    "gaps": "What was missing, and how it was filled: once a gap had closed, and while it was still open.",
}
SHOWN = ("mae", "rmse", "mape", "smape", "wape", "mase", "r2", "bias")


def render_report(
    run_id: str,
    scores: Mapping[str, Any],
    meta: Mapping[str, Any],
    training: Mapping[str, Any],
    evaluation: Mapping[str, Any],
) -> str:
    """Markdown with pictures beside it.

    Args:
        run_id: Of the run.
        scores: The run's metrics file.
        meta: The run's meta.json.
        training: The run's training.json.
        evaluation: `coverage` wanted, `scale` of the scores.
    """
    unit = "original units" if evaluation["scale"] == "original" else "standard deviations of the train split"
    parts = [
        f"# Forecast report: {run_id}",
        _verdict(scores, evaluation, training["model"]),
        f"## Scores\n\nOver {scores['metrics']['observed']:,} observed targets of the test split, in {unit}.",
        _score_table(scores),
        _series_table(scores),
        "## Pictures",
        *(f"![{name}]({run_id}.{name}.png)\n\n*{CAPTIONS[name]}*" for name in PICTURES),
        "## Data",
        _findings(meta),
        "## Settings",
        _settings(meta, training),
        "## Provenance",
        f"Input `{meta['input']['path']}`, sha256 `{meta['input']['sha256'][:16]}`. The time, the commit, all versions "
        f"and the sha256 of every artifact are in `artifacts/metadata/{run_id}.json`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict(scores: Mapping[str, Any], evaluation: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    rmse, best, skill = scores["metrics"]["rmse"], scores["best_baseline"], scores["metrics"]["skill"]
    against = ", ".join(
        f"{abs(1 - rmse / table['rmse']):.1%} {'below' if rmse < table['rmse'] else 'above'} {_title(name)}"
        for name, table in scores["baselines"].items()
        if table["rmse"]
    )
    if model["linear"] and model["share"] == 0:
        head = "**The model is its ridge.** On validation windows the recurrence improved nothing, so it has no share."
    elif skill is not None and skill > 0:
        head = f"**The model beats every baseline.** Its RMSE is {skill:.1%} below the best of them, {_title(best)}."
    else:
        head = (
            f"**The model does not beat the best baseline, {_title(best)}.** "
            f"Use that baseline instead: its RMSE is {_number(scores['baselines'][best]['rmse'])}, "
            f"the model's {_number(rmse)}."
        )
    return (
        f"{head}\n\nRMSE of the model: {against}. "
        f"Intervals meant to hold {evaluation['coverage']:.0%} of the targets held "
        f"{scores['metrics']['coverage']:.1%} of them."
    )


def _score_table(scores: Mapping[str, Any]) -> str:
    rows = [("**model**", scores["metrics"]), *((_title(name), table) for name, table in scores["baselines"].items())]
    return _table(["", *SHOWN], [[name, *(_number(table[key]) for key in SHOWN)] for name, table in rows])


def _series_table(scores: Mapping[str, Any]) -> str:
    if len(scores["per_series"]) < 2:
        return ""
    keys = ("mae", "rmse", "mape", "r2", "coverage")
    rows = [[name, *(_number(table[key]) for key in keys)] for name, table in scores["per_series"].items()]
    return "By series:\n\n" + _table(["series", *keys], rows)


def _findings(meta: Mapping[str, Any]) -> str:
    found = meta["findings"]
    lines = [
        f"{found['rows']:,} rows from {found['first']} to {found['last']} (UTC), "
        f"{found['duplicates']} repeated timestamps{'' if found['sorted'] else ', put in order'}; "
        f"a grid of {found['steps']:,} steps of `{found['frequency']}`.",
        _table(
            ["column", "missing steps", "share", "gaps", "longest gap"],
            [
                [name, channel["missing"], f"{channel['missing_share']:.1%}", channel["gaps"], channel["longest_gap"]]
                for name, channel in found["channels"].items()
            ],
        ),
        _table(
            ["split", "windows", "dropped for gaps"],
            [[name, meta["windows"][name]["used"], meta["windows"][name]["dropped"]] for name in SPLITS],
        ),
    ]
    return "\n\n".join(lines)


def _settings(meta: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    chosen = {**meta["settings"], **training["model"], **training["train"]}
    rows = [[key, f"{value:.4g}" if isinstance(value, float) else value] for key, value in chosen.items()]
    rows += [["weights", training["parameters"]], ["best epoch", f"{training['best_epoch']} of {training['epochs']}"]]
    return _table(["setting", "value"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4g}"


def _title(name: str) -> str:
    return name.replace("_", " ")
