"""Folds as if each were today: what is fitted on rows up to a moment forecasts the steps after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.data.prepared import Fitted, Prepared
from spline_lstm.data.preprocessing import prepare, prepare_for_forecast
from spline_lstm.data.series import Panel, read_panel
from spline_lstm.data.tables import Stretch
from spline_lstm.data.windows import Splits
from spline_lstm.model.fitting import TrainedForecaster, train_forecaster
from spline_lstm.run.errors import InsufficientDataError, NothingToLearnError, NothingToScoreError, PipelineError
from spline_lstm.run.params import DataParams, Params, SplitParams
from spline_lstm.scores.backtest import FoldScores
from spline_lstm.scores.evaluation import evaluate_forecasts
from spline_lstm.scores.folds import Fold, train_part
from spline_lstm.scores.scoring import baselines_of_test, forecast_test, mase_scales


@dataclass(frozen=True)
class _Fit:
    """What one fold learned, with which later ones may be forecast.

    Attributes:
        fold: Its borders.
        data: How rows are read: on the grid that was known then. Series that are unusable yet are left out.
        anchor: First label of that grid.
        prepared: Its series.
        trained: Its model.
    """

    fold: Fold
    data: DataParams
    anchor: pd.Timestamp
    prepared: Prepared
    trained: TrainedForecaster


def score_folds(params: Params, folds: Sequence[Fold]) -> list[FoldScores]:
    """Fit for the first of some folds, and score all of them with that model.

    A fold with nothing to score, as in an outage, is passed over, but fitted for all the same: else rows after a later
    fold's origins would decide which fit forecasts it. One with nothing to learn from leaves the fit to the next.

    What is learned is a function of rows up to the first fold's cutoff; what a fold's forecasts and intervals are made
    from, of rows up to their origins.

    Args:
        params: Of the run.
        folds: In order of time.

    Raises:
        PipelineError: What cannot be fitted or scored; the message says which fold it is.
    """
    return list(_scored(params, folds))


def _scored(params: Params, folds: Sequence[Fold]) -> Iterator[FoldScores]:
    fit: _Fit | None = None
    for fold in folds:
        try:
            if fit is None:
                fit = _fit(params, fold)
            yield _score(params, fit, fold)
        except (NothingToScoreError, NothingToLearnError):
            continue
        except PipelineError as error:
            raise type(error)(f"Fold {fold.number}, after {fold.cutoff}: {error}") from error


def _fit(params: Params, fold: Fold) -> _Fit:
    path, horizon = Path(params.data.path), params.windows.horizon
    past = Stretch(fold.since, fold.cutoff, fold.cutoff)
    split = SplitParams(train=fold.share)
    known = read_panel(path, params.data, params.covariates, horizon, split=split, stretch=past)
    data = params.data.model_copy(
        update={"frequency": known.frequency, "closed": known.closed, "on_bad_series": "drop"}
    )
    anchor = known.timestamps[0]
    panel = _read(params, data, fold.since, fold, anchor)
    splits = _splits(panel, fold, horizon)
    sizes = np.diff([0, splits.train, splits.validation, splits.test]).tolist()
    counted = SplitParams(**dict(zip(("train", "validation", "test"), sizes, strict=True)))
    try:
        prepared = prepare(panel, params.model_copy(update={"data": data, "split": counted}), splits.validation)
        train, validation = prepared.windows("train"), prepared.windows("validation")
    except InsufficientDataError as error:
        if not np.isnan(panel.values).any():
            raise
        raise NothingToLearnError(str(error)) from error  # as after an outage
    trained = train_forecaster(prepared.source, train, validation, params, prepared.traits)
    return _Fit(fold, data, anchor, prepared, trained)


def _read(
    params: Params,
    data: DataParams,
    since: pd.Timestamp | None,
    fold: Fold,
    anchor: pd.Timestamp,
    categorical: Collection[str] | None = None,
) -> Panel:
    stretch = Stretch(since, fold.cutoff, fold.until)
    path, horizon = Path(data.path), params.windows.horizon
    return read_panel(path, data, params.covariates, horizon, anchor, stretch=stretch, categorical=categorical)


def _splits(panel: Panel, fold: Fold, horizon: int) -> Splits:
    known = int(panel.timestamps.searchsorted(fold.cutoff, side="right"))
    return Splits(train_part(known, fold.share, horizon), known, min(known + fold.span, len(panel.timestamps)))


def _score(params: Params, fit: _Fit, fold: Fold) -> FoldScores:
    prepared = fit.prepared if fold is fit.fold else _prepared_later(params, fit, fold)
    prepared = prepared.seen_by(fit.trained.source.covariates.used)
    units = prepared.units(params.evaluate.scale_of(len(params.data.target)))
    forecasts, _, _ = forecast_test(prepared, fit.trained.model, params.evaluate.levels, units)
    baselines, scales = baselines_of_test(prepared), mase_scales(prepared)
    unit = units[forecasts.rows, None]
    in_units = {name: table / unit for name, table in baselines.items()}
    spreads = prepared.spread / units
    scored = evaluate_forecasts(forecasts.in_units(units), in_units, prepared.names, scales / units, spreads)
    return FoldScores(
        fold,
        fit.fold.number,
        _facts(fit, prepared),
        prepared.names,
        prepared.timestamps,
        forecasts,
        baselines,
        units,
        scales,
        prepared.spread,
        scored,
    )


def _prepared_later(params: Params, fit: _Fit, fold: Fold) -> Prepared:
    """What was known at a later fold, prepared as the fit was; rows since then tell how sure its forecasts are."""
    before = fit.prepared
    panel = _read(params, fit.data, fit.fold.since, fold, fit.anchor, before.encoding.categorical)
    splits = _splits(panel, fold, params.windows.horizon)
    known = Fitted(before.channels, before.settings, before.scaler, before.source.identities, before.encoding)
    last = before.timestamps[before.splits.train - 1]
    series = prepare_for_forecast(panel, known, fit.data, last, splits.validation)
    return Prepared(**vars(series), splits=replace(splits, train=before.splits.train))


def _facts(fit: _Fit, prepared: Prepared) -> dict[str, Any]:
    settings = prepared.settings
    return {
        "train": prepared.splits.train,
        "validation": prepared.splits.validation - prepared.splits.train,
        "frequency": settings.frequency,
        "lookback": settings.lookback,
        "seasons": list(settings.seasons),
        "season": settings.season,
        "log": settings.log,
        "shares": dict(fit.trained.model.shares),  # Keras keeps a dict of its own, which no process can send
        "series": len(prepared.names),
        "dropped": dict(prepared.dropped),
    }
