"""What a report tells of: a finished run, read through its gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.data.prepared import Prepared, load_prepared
from spline_lstm.pages.labels import time_format
from spline_lstm.run.contract import (
    RunPaths,
    open_backtest,
    open_trained,
    require_keys,
    require_same_run,
)
from spline_lstm.run.files import read_json
from spline_lstm.run.params import Params
from spline_lstm.scores.predictions import SHOWN_SERIES, WINDOW_COLUMNS, read_table, shown_series

SCORES = ("scale", "metrics", "baselines", "best_baseline", "per_series", "per_step", "intervals", "targets")


@dataclass(frozen=True)
class FinishedRun:
    """A run with its forecast.

    Attributes:
        params: As given; null where a value was derived.
        prepared: The series.
        meta: Its meta.json.
        training: Its training.json.
        history: `epoch, loss, validation_mse`.
        scores: Its metrics file.
        targets: `series_id, y_true, y_pred` of all test windows.
        predictions: `series_id, origin, timestamp, step, y_true, y_pred, y_lower, y_upper` of the test windows of the
            series that are shown.
        forecast: `series_id, origin, timestamp, step, y_pred, y_lower, y_upper` beyond the last observations.
        backtest: Its scores of folds, if it was asked for any.
        folds: Columns as in `predictions`, of the windows of the first series of the folds.
    """

    params: Params
    prepared: Prepared
    meta: Mapping[str, Any]
    training: Mapping[str, Any]
    history: pd.DataFrame
    scores: Mapping[str, Any]
    targets: pd.DataFrame
    predictions: pd.DataFrame
    forecast: pd.DataFrame
    backtest: Mapping[str, Any]
    folds: pd.DataFrame

    @property
    def scored(self) -> Sequence[str]:
        """Names of the series that have test windows, in order."""
        return list(self.scores["per_series"])

    @property
    def shown(self) -> Sequence[str]:
        """Names of the series in pictures: all of a few; of many, a choice by their scores."""
        return _shown(self.prepared, self.scores)

    @property
    def ahead(self) -> Sequence[str]:
        """Names of the series in the picture of the forecast: those shown that have one, or else the first that do."""
        known = set(self.forecast["series_id"])
        names = [name for name in self.shown if name in known]
        return names or [name for name in self.prepared.names if name in known][:SHOWN_SERIES]

    @property
    def has_unit(self) -> bool:
        """Whether errors of all series are in one unit, so that they can be pooled."""
        return len(self.params.data.target) == 1 or self.scores["scale"] == "standardized"

    @property
    def target(self) -> str:
        """What values are of, where all series have one target."""
        return self.params.data.target[0] if len(self.params.data.target) == 1 else ""

    def series(self, name: str) -> pd.DataFrame:
        """A series on its clock, in original units.

        Returns:
            `observed`, NaN where nothing was; `settled` and `held`, as a gap is filled once it has closed and while it
            is open, whether or not it is short enough for that.
        """
        prepared, row = self.prepared, self.prepared.names.index(name)
        layout, filled = prepared.layout, prepared.source.filled
        start, end = layout.offsets[row], layout.offsets[row + 1]
        missing = slice(*np.searchsorted(filled.missing, [start, end]))
        of_row = np.array([row])
        settled = prepared.scaler.restore(filled.settled[None, start:end], of_row)[0]
        held = settled.copy()
        held[filled.missing[missing] - start] = prepared.scaler.restore(filled.held[None, missing], of_row)[0]
        return pd.DataFrame(
            {"observed": prepared.values[start:end], "settled": settled, "held": held},
            prepared.timestamps[layout.starts[row] : layout.ends[row]],
        )

    def broken(self, table: pd.DataFrame) -> pd.DataFrame:
        """The same with an empty row wherever closed hours follow a label, so that no line is drawn across them."""
        settings, labels = self.prepared.settings, table.index
        if not settings.closed:
            return table
        step = pd.Timedelta(pd.tseries.frequencies.to_offset(settings.frequency))
        return table.reindex(labels.union(labels[:-1][np.diff(labels) > step] + step))

    def residuals(self) -> np.ndarray:
        """Target less forecast in the units that are scored: `(windows, horizon)`."""
        table = self.targets
        missed = (table["y_true"] - table["y_pred"]).to_numpy()
        if self.scores["scale"] == "standardized":
            names = table["series_id"].astype("category").cat
            spread = pd.Series(self.prepared.spread, list(self.prepared.names))[names.categories].to_numpy()
            missed = missed / spread[names.codes]
        return missed.reshape(-1, self.prepared.settings.horizon)

    def when(self, moment: Any) -> str:
        """A moment as people write it: without a time of day where the whole calendar has none."""
        return pd.Timestamp(moment).strftime(time_format(self.prepared.timestamps))


def load_finished(params: Params, paths: RunPaths) -> FinishedRun:
    """Read what the stages before the report have left.

    Raises:
        RunIdMismatchError, InputNotFoundError, ArtifactError: As `open_preprocessed`.
    """
    named = (paths.meta, paths.split_contract, paths.preprocessor, paths.training, paths.metrics, paths.backtest)
    require_same_run(paths, *named)
    prepared = load_prepared(paths)
    meta = read_json(paths.meta)
    training = open_trained(paths)
    scores = read_json(paths.metrics)
    require_keys(paths.metrics, scores, *SCORES)
    in_folds = read_table(paths.backtest_predictions, "series_id")["series_id"].unique()
    return FinishedRun(
        params,
        prepared,
        meta,
        training,
        read_table(paths.history, "epoch", "loss", "validation_mse"),
        scores,
        read_table(paths.predictions, "series_id", "y_true", "y_pred"),
        read_table(paths.predictions, *WINDOW_COLUMNS, series=_shown(prepared, scores)),
        read_table(paths.forecast, *(column for column in WINDOW_COLUMNS if column != "y_true")),
        open_backtest(paths),
        read_table(paths.backtest_predictions, *WINDOW_COLUMNS, series=in_folds[:1]),
    )


def _shown(prepared: Prepared, scores: Mapping[str, Any]) -> Sequence[str]:
    names = prepared.names
    return names if len(names) <= SHOWN_SERIES else shown_series(scores["per_series"])
