"""What a report says of covariates: the columns, the calendar, and what scores assume of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spline_lstm.pages.finished import FinishedRun
from spline_lstm.pages.labels import listed, table

HOLIDAYS = "holidays"


def covariates_text(run: FinishedRun) -> str:
    """The columns with what was found in them, and what the calendar adds."""
    return "\n\n".join(part for part in (_columns(run), _calendar(run)) if part)


def assumption(run: FinishedRun) -> str:
    """What scores take for granted where covariates are known in advance; else nothing."""
    future = run.params.covariates.future
    if not future:
        return ""
    these = "it" if len(future) == 1 else "they"
    return f" They assume that {listed(f'`{name}`' for name in future)} had been known at each origin as {these} came."


def _columns(run: FinishedRun) -> str:
    found = {name: run.meta["findings"]["covariates"][name] for name in run.params.covariates.columns}
    if not found:
        return ""
    rows = [[name, column["role"], _kind(column), f"{column['missing_share']:.1%}"] for name, column in found.items()]
    unknown = "".join(
        f" Of `{name}`, {listed(column['unknown'])} count as unknown: train rows hold none or few of them."
        for name, column in found.items()
        if column["unknown"]
    )
    header = ["covariate", "role", "kind", "missing"]
    later = " What those known in advance do at later steps counts, too." if run.training["delays"] else ""
    return f"Covariates beside the target.{later}{unknown}\n\n{table(header, rows, texts=3)}"


def _kind(column: Mapping[str, Any]) -> str:
    if column["constant"]:
        return "constant in train rows, not used"
    return f"{column['categories']} categories" if column["categories"] else "numbers"


def _calendar(run: FinishedRun) -> str:
    """Holidays, and whether the covariates of the clock are used and who decided."""
    calendar, params = run.prepared.encoding.calendar, run.params.covariates
    parts = []
    if calendar.holidays:
        parts.append(f"Holidays of {calendar.holidays}, the days before them and the days after are known in advance.")
    elif params.holidays:
        parts.append(f"Holidays of {params.holidays} are not used: a step of the grid is longer than a day.")
    clock = [name for name in calendar.names if name != HOLIDAYS]
    if clock:
        used = run.training["clock"]
        reason = (
            ""
            if params.calendar is not None
            else (
                ": they lower the error on validation windows"
                if used
                else ": they do not lower the error on validation windows clearly"
            )
        )
        parts.append(f"The calendar's covariates ({listed(clock)}) are {'used' if used else 'not used'}{reason}.")
    return " ".join(parts)
