"""From windows to a trained forecaster: covariates chosen, members trained, shares solved."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spline_lstm.data.prepared import Traits
from spline_lstm.data.windows import WindowIndex, WindowSource
from spline_lstm.model.checkpoints import parameter_count
from spline_lstm.model.combination import combine
from spline_lstm.model.folded import FoldedRidge, refit_folded
from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.model.linear import RidgeForecaster
from spline_lstm.model.ridge import refit_ridge
from spline_lstm.model.snapshots import KEPT_NOWHERE, Snapshots
from spline_lstm.model.start import start_fit
from spline_lstm.model.training import Epoch, Fit, FitResult, TrainStep
from spline_lstm.run.params import Params, TrainParams

log = logging.getLogger(__name__)

EPOCHS_AGAIN = 0.2  # of the best epoch, on all rows


@dataclass(frozen=True)
class TrainedForecaster:
    """A forecaster and how it came to be.

    Attributes:
        model: With the weights of the best epoch.
        source: Where its windows are cut from, with the covariates that are used.
        fit: What training left.
        step: By which it was trained.
        params: `train` as resolved.
        validation: Errors on validation windows, see `combine`.
        ridge: Of the model.
        folded: Of the model, if it has one.
    """

    model: SplineForecaster
    source: WindowSource
    fit: FitResult
    step: TrainStep
    params: TrainParams
    validation: dict[str, dict[str, float]]
    ridge: RidgeForecaster
    folded: FoldedRidge | None


def train_forecaster(
    source: WindowSource,
    train: WindowIndex,
    validation: WindowIndex,
    params: Params,
    traits: Traits,
    snapshots: Snapshots = KEPT_NOWHERE,
    watch: Callable[[Sequence[Epoch]], None] = lambda _: None,
) -> TrainedForecaster:
    """Train as params say; validation windows make every choice.

    Args:
        source: Where windows are cut from, with all covariates.
        train: Windows to learn from.
        validation: Windows that choose.
        params: Of the run.
        traits: Of the run.
        snapshots: By which a training that was killed goes on.
        watch: Called with the history after each epoch.
    """
    started = start_fit(source, train, validation, params, traits, snapshots)
    fit, model = started.fit, started.fit.model
    log.info("%s, %d weights, %d train windows", params.model.cell, parameter_count(model), len(train))
    result = fit.finish(snapshots, watch)
    model.set_weights(result.best)
    errors = combine(model, fit.source, validation)
    return TrainedForecaster(model, fit.source, result, fit.step, fit.params, errors, started.ridge, started.folded)


def fit_again(trained: TrainedForecaster, windows: WindowIndex, seed: int, snapshots: Snapshots = KEPT_NOWHERE) -> int:
    """Let a forecaster learn from more windows, with all that validation chose: covariates, penalties and shares.

    Ridges are solved anew, exponential smoothing stays. The recurrence goes on from its best weights for a part of the
    epochs that these took.

    Args:
        trained: Its model has the weights of the best epoch, and is changed.
        windows: Those of all splits.
        seed: Of the order of windows.
        snapshots: As in `train_forecaster`.

    Returns:
        Epochs of the recurrence.
    """
    model, source, folded = trained.model, trained.source, trained.folded
    model.set_linear(refit_ridge(source, windows, trained.ridge))
    if folded:
        model.set_folded(refit_folded(source, windows, trained.ridge.effects, folded))
    epochs = math.ceil(EPOCHS_AGAIN * trained.fit.best_epoch)
    log.info("fitting again on all %d windows", len(windows))
    Fit(model, source, windows, windows, trained.params, seed, trained.step).go_blindly(epochs, snapshots)
    return epochs
