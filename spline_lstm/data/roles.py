"""From the covariates of a panel to those of a source: encoded by what train rows hold, without gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from spline_lstm.data.calendar import Calendar
from spline_lstm.data.encoding import Column, Encoder
from spline_lstm.data.layout import Layout
from spline_lstm.data.scaling import require_near
from spline_lstm.data.series import Panel
from spline_lstm.run.params import CovariateParams


@dataclass(frozen=True)
class Encoding:
    """How the covariates of a run become features. Fitted on train rows once, then a plain value.

    Attributes:
        past, future, static: Of each column of a role.
        calendar: What is said of each step.
    """

    past: Mapping[str, Encoder]
    future: Mapping[str, Encoder]
    static: Mapping[str, Encoder]
    calendar: Calendar

    @classmethod
    def fit(cls, panel: Panel, train: int, params: CovariateParams, timezone: str) -> Encoding:
        """Args: the panel; its train steps; which covariates are wanted; the time zone of the calendar."""
        series = series_layout(panel)
        known = series.longer(len(panel.ahead))
        in_train = {"past": series.steps() < train, "future": known.steps() < train, "static": series.starts < train}
        fitted = {
            role: {
                name: Encoder.fit(column.at(in_train[role]), bent=role == "future")
                for name, column in getattr(panel, role).items()
            }
            for role in in_train
        }
        clock = params.calendar is not False
        calendar = Calendar.fit(panel.timestamps[:train], timezone, params.holidays, clock)
        return cls(**fitted, calendar=calendar)

    @classmethod
    def restore(cls, content: Mapping[str, Any]) -> Encoding:
        """The inverse of `content`."""
        roles = {
            role: {name: Encoder.restore(encoder) for name, encoder in content[role]}
            for role in ("past", "future", "static")
        }
        return cls(**roles, calendar=Calendar.restore(content["calendar"]))

    def content(self) -> dict[str, Any]:
        """Plain builtins; columns in their order."""
        roles = {
            role: [[name, encoder.content()] for name, encoder in getattr(self, role).items()]
            for role in ("past", "future", "static")
        }
        return {**roles, "calendar": self.calendar.content()}

    @property
    def categorical(self) -> set[str]:
        """The columns whose cells are texts."""
        roles = (self.past, self.future, self.static)
        return {name for role in roles for name, encoder in role.items() if encoder.categories is not None}

    def past_names(self) -> list[str]:
        """Of the rows that each series' past covariates become."""
        return [feature for name, encoder in self.past.items() for feature in encoder.names(name)]

    def past_scales(self) -> list[tuple[float, float]]:
        """Of each of these mean and standard deviation over the train rows of all series; 0 and 1 of categories."""
        return [(encoder.mean, encoder.std) for name, encoder in self.past.items() for _ in encoder.names(name)]

    def past_rows(self, panel: Panel, kept: np.ndarray) -> tuple[np.ndarray, Layout]:
        """Past covariates as rows in original units, those of one series after the other, NaN where missing.

        Args:
            panel: Read with the columns of the run.
            kept: `(series,)`, which series are wanted.
        """
        series, features = series_layout(panel), len(self.past_names())
        table = np.empty((series.size, features))
        column = 0
        for name, encoder in self.past.items():
            values = panel.past[name]
            numbers = encoder.varies and encoder.categories is None
            part = values.values[:, None] if numbers else encoder.encode(values)
            table[:, column : column + part.shape[1]] = part
            column += part.shape[1]
        parts = [
            table[start:end].T.ravel()
            for (start, end), keep in zip(pairwise(series.offsets), kept, strict=True)
            if keep
        ]
        chosen = series.of(kept)
        layout = Layout(np.repeat(chosen.starts, features), np.repeat(chosen.lengths, features))
        return np.concatenate([np.empty(0), *parts]), layout

    def known(self, panel: Panel, kept: np.ndarray) -> np.ndarray:
        """Known covariates to one horizon behind each series' last step: `(known steps, features)`, float32.

        A missing one takes the value before it, or the mean of train rows where there is none.
        """
        layout = series_layout(panel).longer(len(panel.ahead))
        wanted = np.repeat(kept, layout.lengths)
        columns = {name: column.at(wanted) for name, column in panel.future.items()}
        table = _encoded(self.future, columns, int(wanted.sum()))
        return _held(table, layout.of(kept)).astype(np.float32)

    def statics(self, panel: Panel, kept: np.ndarray) -> np.ndarray:
        """`(series, features)`, float32; a missing one counts as the mean."""
        columns = {name: column.at(kept) for name, column in panel.static.items()}
        return np.nan_to_num(_encoded(self.static, columns, int(kept.sum())), nan=0.0).astype(np.float32)

    def findings(self, panel: Panel) -> dict[str, dict[str, Any]]:
        """What each column holds, as plain builtins for reports.

        Returns:
            By column, its `role`; how many `categories` are told apart, 0 of numbers; those that count as `unknown`;
            whether it is `constant` in train rows, and so not used; the `missing_share` of steps, those ahead included
            where it is known in advance, or of series.
        """
        unknown = self.unknown(panel)
        return {
            name: {
                "role": role,
                "categories": len(encoder.categories or ()),
                "unknown": unknown.get(name, []),
                "constant": not encoder.varies,
                "missing_share": float(np.isnan(getattr(panel, role)[name].values).mean()),
            }
            for role in ("past", "future", "static")
            for name, encoder in getattr(self, role).items()
        }

    def unknown(self, panel: Panel) -> dict[str, list[str]]:
        """Categories that train rows do not hold, by column."""
        found = {
            name: encoder.unknown(getattr(panel, role)[name])
            for role in ("past", "future", "static")
            for name, encoder in getattr(self, role).items()
        }
        return {name: categories for name, categories in found.items() if categories}


def series_layout(panel: Panel) -> Layout:
    """Where each series stands: like the first of its rows."""
    return panel.layout.of(np.unique(panel.series, return_index=True)[1])


def lacking_ahead(panel: Panel, encoding: Encoding) -> dict[int, str]:
    """Of each series without a used covariate somewhere in the horizon: which column, and from when on."""
    series, horizon = series_layout(panel), len(panel.ahead)
    labels = panel.timestamps.append(panel.ahead)
    known = series.longer(horizon)
    lacking: dict[int, str] = {}
    used = {name: column for name, column in panel.future.items() if encoding.future[name].varies}
    for name, column in used.items():
        ahead = known.cut(column.values, np.arange(len(series)), series.ends, horizon)
        for code in np.flatnonzero(np.isnan(ahead).any(axis=1)):
            first = labels[series.ends[code] + int(np.isnan(ahead[code]).argmax())]
            lacking.setdefault(int(code), f"no {name!r} at {first}")
    return lacking


def _encoded(encoders: Mapping[str, Encoder], columns: Mapping[str, Column], length: int) -> np.ndarray:
    parts = [encoder.encode(columns[name]) for name, encoder in encoders.items()]
    for name, part in zip(encoders, parts, strict=True):
        require_near(f"Column {name!r}", part)
    return np.concatenate([np.empty((length, 0)), *parts], axis=1)


def _held(table: np.ndarray, layout: Layout) -> np.ndarray:
    """Gaps of each series filled with the value before them, zero at its begin."""
    if not np.isnan(table).any():
        return table
    begins = np.repeat(layout.offsets[:-1], layout.lengths)
    place = np.where(np.isnan(table), -1, np.arange(len(table))[:, None])
    place = np.maximum.accumulate(place, axis=0)
    held = np.take_along_axis(table, np.maximum(place, 0), axis=0)
    return np.where(place >= begins[:, None], held, 0.0)
