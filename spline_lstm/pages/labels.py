"""How names and numbers are written for people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

MOST_NAMED = 10  # names in a sentence


def title(name: str) -> str:
    """`seasonal_naive` as words."""
    return name.replace("_", " ")


def baseline_labels(baselines: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """A label for each baseline that differs from those before it; it names those that score the same, too.

    Args:
        baselines: Scores by name.
    """
    same: dict[tuple[Any, ...], list[str]] = {}
    for name, scores in baselines.items():
        same.setdefault(tuple(scores.values()), []).append(name)
    return {names[0]: " = ".join(map(title, names)) for names in same.values()}


def label_of(name: str, labels: Mapping[str, str]) -> str:
    """The label that names a baseline, which may share it with those that score the same."""
    return next(label for label in labels.values() if title(name) in label.split(" = "))


def skill_of(scores: Mapping[str, Any]) -> str:
    """A skill with its margin, as far as they are defined."""
    skill, margin = scores["skill"], scores["skill_margin"]
    if skill is None:
        return "n/a"
    return f"{skill:.1%}" if margin is None else f"{skill:.1%} {give_or_take(margin)}"


def give_or_take(margin: float) -> str:
    """A margin of a skill, in percentage points; beyond 100 it says no more than that."""
    return f"± {100 * margin:.1f}" if margin < 1 else "± more than 100"


def time_format(times: pd.DatetimeIndex) -> str:
    """How such times are written: without a time of day, or seconds, where none of them has any."""
    if (times == times.normalize()).all():
        return "%Y-%m-%d"
    return "%Y-%m-%d %H:%M" if (times == times.floor("min")).all() else "%Y-%m-%d %H:%M:%S"


def listed(names: Iterable[str]) -> str:
    """Some names in words, at most `MOST_NAMED` of them."""
    shown = list(names)
    more = len(shown) - MOST_NAMED
    shown = [*shown[:MOST_NAMED], f"{more:,} more"] if more > 0 else shown
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def percent(share: float) -> str:
    """A wanted coverage in full."""
    return f"{100 * share:g}%"


def number(value: float | None, digits: int = 4) -> str:
    """With so many significant digits, and with powers of ten only where a figure would be very long."""
    if value is None or not math.isfinite(value):
        return "n/a"
    power = math.floor(math.log10(abs(value))) if value else 0
    if not -4 <= power < 9:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - power)}f}"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], texts: int = 1) -> str:
    """A table in Markdown, its first columns, of texts, to the left, the others to the right."""
    lines = [header, ["---"] * texts + ["---:"] * (len(header) - texts), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(content: Any) -> str:
    return " ".join(str(content).replace("|", "\\|").split())
