"""Fit the forecaster; leave its best and last checkpoint, and one that has learned from all rows."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from spline_lstm.data.prepared import load_prepared
from spline_lstm.model.snapshots import Snapshots, training_key
from spline_lstm.run.files import sha256, write_csv, write_json
from stages._run import SHARED, current_run, import_tensorflow, plain_parser, require_as_begun, run

if TYPE_CHECKING:
    from spline_lstm.model.training import Epoch

log = logging.getLogger(__name__)


def train(_: argparse.Namespace) -> Mapping[str, Any]:
    params, paths = current_run()
    prepared = load_prepared(paths)
    windows, validation, everything = (prepared.windows(name) for name in ("train", "validation", "all"))
    source, traits = prepared.source, prepared.traits
    del prepared  # observations in original units take more memory than all that training needs
    import_tensorflow()
    from spline_lstm.model.checkpoints import parameter_count, save_checkpoint
    from spline_lstm.model.fitting import fit_again, train_forecaster

    snapshots = Snapshots(paths.unfinished_training, training_key(params, paths.meta))
    trained = train_forecaster(source, windows, validation, params, traits, snapshots, _show)
    model, result, errors = trained.model, trained.fit, trained.validation
    save_checkpoint(model, paths.best_checkpoint)
    model.set_weights(result.last)  # its share stays that of the best
    save_checkpoint(model, paths.last_checkpoint)
    model.set_weights(result.best)
    epochs_again = fit_again(trained, everything, params.seed, snapshots) if params.train.final else 0
    save_checkpoint(model, paths.final_checkpoint)
    shares = ", ".join(f"{name} {share:.2f}" for name, share in model.shares.items())
    log.info("shares: %s; validation MSE %.4f", shares, errors["mixed"]["mse"])
    _write(paths.history, result.history)
    written = (paths.best_checkpoint, paths.last_checkpoint, paths.final_checkpoint, paths.history)
    write_json(
        paths.training,
        {
            "run_id": params.run_id,
            "model": {**model.settings, "shares": model.shares},
            "train": trained.params.model_dump(mode="json"),
            **trained.source.covariates.used,
            "validation": errors,
            "parameters": parameter_count(model),
            "best_epoch": result.best_epoch,
            "epochs": len(result.history),
            "epochs_again": epochs_again,
            "sha256": {file.name: sha256(file) for file in written},
        },
    )
    require_as_begun()  # else the training would be lost with its snapshots
    snapshots.clear()
    return {"run_id": params.run_id, "best_epoch": result.best_epoch, "epochs": len(result.history)}


def _show(history: Sequence[Epoch]) -> None:
    """Write epochs to where `dvc plots` looks, so that a training can be watched."""
    _write(SHARED.history, history)


def _write(path: Path, history: Sequence[Epoch]) -> None:
    write_csv(path, pd.DataFrame(history, columns=["epoch", "loss", "validation_mse"]))


def main(arguments: list[str] | None = None) -> int:
    return run(train, plain_parser("train", __doc__), arguments)


if __name__ == "__main__":
    sys.exit(main())
