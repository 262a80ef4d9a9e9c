"""Whether covariates of the clock and the year are used: where they help on validation windows."""

from __future__ import annotations

import logging

from spline_lstm.data.windows import WindowIndex, WindowSource
from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.linear import RidgeForecaster
from spline_lstm.model.ridge import fit_ridge, squared_error, typical_sizes
from spline_lstm.model.sizing import model_settings, train_settings
from spline_lstm.model.training import fit, seed_everything
from spline_lstm.run.params import Params

log = logging.getLogger(__name__)

PAYS = 0.01  # share of the squared validation error: less is noise
TRIAL_EPOCHS = 3


def decide_clock(
    source: WindowSource, train: WindowIndex, validation: WindowIndex, params: Params, daily: bool
) -> tuple[WindowSource, RidgeForecaster]:
    """Use these covariates as params say, or else where they lower the validation error clearly.

    First the linear forecast is asked, to which they are effects that add up. It cannot tell that a morning goes on
    otherwise than an evening; so where it sees no gain, two short fits of the recurrence are compared.

    Args:
        source: Where windows are cut from, with all covariates.
        train: Windows to learn from.
        validation: Windows that choose.
        params: Of the run.
        daily: Whether times of day or weekdays are among them.

    Returns:
        The source with the covariates that are used, and the linear forecast from it.
    """
    wanted, plain = params.covariates.calendar, source.without_clock()
    with_clock = fit_ridge(source, train, validation)
    if wanted or not source.covariates.optional:
        return source, with_clock
    without = fit_ridge(plain, train, validation)
    choices = [(plain, without), (source, with_clock)]
    if wanted is None:
        errors = [squared_error(seen, validation, ridge) for seen, ridge in choices]
        if not _pays(*errors) and daily:
            log.info("trying with and without covariates of the clock, %d epochs each", TRIAL_EPOCHS)
            errors = [_trial(seen, train, validation, params, ridge) for seen, ridge in choices]
        if _pays(*errors):
            return choices[1]
    return choices[0]


def new_forecaster(
    source: WindowSource, train: WindowIndex, params: Params, ridge: RidgeForecaster
) -> SplineForecaster:
    """An untrained forecaster of the size that params and windows ask for, over a linear forecast.

    Its weights are a function of the seed alone.
    """
    seed_everything(params.seed)
    rows = len(source.identities)
    settings = model_settings(params.spline, params.model, source.lookback, source.horizon, rows, len(train))
    input_scale, output_scale = typical_sizes(source, train, ridge.effects)
    settings |= source.covariates.channels | {"input_scale": input_scale, "output_scale": output_scale}
    model = SplineForecaster(**settings)
    model.set_linear(ridge)
    return model


def _pays(without: float, with_clock: float) -> bool:
    return with_clock < (1 - PAYS) * without


def _trial(
    source: WindowSource, train: WindowIndex, validation: WindowIndex, params: Params, ridge: RidgeForecaster
) -> float:
    """The least validation error of the recurrence within a few epochs."""
    settings = train_settings(params.train, len(source.identities))
    settings = settings.model_copy(update={"epochs": min(TRIAL_EPOCHS, settings.epochs)})
    model = new_forecaster(source, train, params, ridge)
    history = fit(model, source, train, validation, settings, params.seed).history
    return min(epoch.validation_mse for epoch in history)
