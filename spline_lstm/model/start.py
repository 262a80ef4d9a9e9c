"""From windows to a fit that can begin: closed forms, the model, and whether covariates of the clock are used."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from spline_lstm.data.prepared import Traits
from spline_lstm.data.windows import WindowIndex, WindowSource
from spline_lstm.model.evidence import clear_gain
from spline_lstm.model.folded import FoldedRidge, fit_folded
from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.holt_winters import fit_holt_winters
from spline_lstm.model.linear import RidgeForecaster
from spline_lstm.model.ridge import fit_delays, fit_ridge, typical_sizes
from spline_lstm.model.sizing import model_settings, train_settings
from spline_lstm.model.snapshots import KEPT_NOWHERE, Snapshots
from spline_lstm.model.training import Fit, seed_everything
from spline_lstm.run.params import Params

log = logging.getLogger(__name__)

TRIAL_EPOCHS = 3


@dataclass(frozen=True)
class Started:
    """A fit, and the closed forms of its model.

    Attributes:
        fit: What is left to train; its source has the covariates that are used.
        ridge: With the effects of those.
        folded: The forecast from a longer past, if there is one.
    """

    fit: Fit
    ridge: RidgeForecaster
    folded: FoldedRidge | None


def start_fit(
    source: WindowSource,
    train: WindowIndex,
    validation: WindowIndex,
    params: Params,
    traits: Traits,
    snapshots: Snapshots = KEPT_NOWHERE,
) -> Started:
    """A fit with covariates of the clock as params say, or else where they lower the validation error clearly.

    On delays of known covariates, `fit_delays` decides before.

    First the linear forecast is asked, to which they are effects that add up. It cannot tell that a morning goes on
    otherwise than an evening; so where it sees no gain, recurrences with and without them start, and the one that
    is better after a few epochs goes on. A time of the year alone gets no such trial: with it a recurrence learns
    sooner, which a few epochs cannot tell from learning more.

    Args:
        source: Where windows are cut from, with all covariates but delayed ones.
        train: Windows to learn from.
        validation: Windows that choose.
        params: Of the run.
        traits: Of the run.
        snapshots: By which a trial that was killed goes on.
    """
    wanted = params.covariates.calendar
    if wanted is False:
        source = source.without_clock()
    source, ridge = fit_delays(source, train, validation, fit_ridge(source, train, validation))
    optional, rows, folded, smoother = source.covariates.optional, source.trained, None, None
    if params.model.linear:
        folded = fit_folded(source, train, validation, ridge.effects, traits.season, traits.train)
    if folded:
        smoother = fit_holt_winters(source, train, validation, ridge.effects, folded.season, folded.seen)

    def started(source: WindowSource, ridge: RidgeForecaster) -> Started:
        model = new_forecaster(source, train, params, ridge, folded, smoother)
        resolved = train_settings(params.train, rows)
        return Started(Fit(model, source, train, validation, resolved, params.seed), ridge, folded)

    if wanted or not optional or ridge.effects[:, -optional:].any():
        return started(source, ridge)
    without = started(source.without_clock(), replace(ridge, effects=ridge.effects[:, :-optional]))
    if not traits.daily:
        return without
    epochs = min(TRIAL_EPOCHS, params.train.epochs)
    log.info("trying with and without covariates of the clock and the year, %d epochs each", epochs)
    with_clock = started(source, ridge)
    for each, name in ((without, "without the clock"), (with_clock, "with the clock")):
        each.fit.go_on(epochs, snapshots, name)
    before, after = without.fit.best_errors[:, 0], with_clock.fit.best_errors[:, 0]
    return with_clock if clear_gain(before, after, without.fit.judges.origins, source.horizon) else without


def new_forecaster(
    source: WindowSource,
    train: WindowIndex,
    params: Params,
    ridge: RidgeForecaster,
    folded: FoldedRidge | None = None,
    smoother: np.ndarray | None = None,
) -> SplineForecaster:
    """An untrained forecaster of the size that params and windows ask for, beside linear forecasts.

    Its weights are a function of the seed alone.
    """
    seed_everything(params.seed)
    settings = model_settings(params.spline, params.model, source.lookback, source.horizon, source.trained, len(train))
    input_scale, output_scale = typical_sizes(source, train, ridge.effects)
    settings |= source.covariates.channels | {"input_scale": input_scale, "output_scale": output_scale}
    if folded:
        settings |= {"cycles": folded.seen, "season": folded.season}
    model = SplineForecaster(**settings)
    model.set_linear(ridge)
    if folded:
        model.set_folded(folded)
    if smoother is not None:
        model.set_holt_winters(smoother)
    return model
