"""From windows to a trained forecaster: covariates chosen, members trained, shares solved."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from spline_lstm.data.prepared import Traits
from spline_lstm.data.windows import WindowIndex, WindowSource
from spline_lstm.model.checkpoints import parameter_count
from spline_lstm.model.clock import start_fit
from spline_lstm.model.combination import combine
from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.training import FitResult
from spline_lstm.run.params import Params, TrainParams

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedForecaster:
    """A forecaster and how it came to be.

    Attributes:
        model: With the weights of the best epoch.
        source: Where its windows are cut from, with the covariates that are used.
        fit: What training left.
        params: `train` as resolved.
        validation: Errors on validation windows, see `combine`.
    """

    model: SplineForecaster
    source: WindowSource
    fit: FitResult
    params: TrainParams
    validation: dict[str, dict[str, float]]


def train_forecaster(
    source: WindowSource, train: WindowIndex, validation: WindowIndex, params: Params, traits: Traits
) -> TrainedForecaster:
    """Train as params say; validation windows make every choice.

    Args:
        source: Where windows are cut from, with all covariates.
        train: Windows to learn from.
        validation: Windows that choose.
        params: Of the run.
        traits: Of the run.
    """
    fit = start_fit(source, train, validation, params, traits)
    log.info("%s, %d weights, %d train windows", params.model.cell, parameter_count(fit.model), len(train))
    result = fit.finish()
    fit.model.set_weights(result.best)
    errors = combine(fit.model, fit.source, validation)
    return TrainedForecaster(fit.model, fit.source, result, fit.params, errors)
