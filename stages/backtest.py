"""Walk forward through the series: fit on what was known at each of several moments, score what came after it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spline_lstm.data.series import read_panel
from spline_lstm.run.errors import NothingToScoreError
from spline_lstm.run.files import replacing, sha256, write_csv, write_json
from spline_lstm.run.params import Params
from spline_lstm.run.workers import work_through
from spline_lstm.scores.backtest import FoldScores, backtest_content, fold_predictions, scores_table
from spline_lstm.scores.folds import Fold, fitted_together, walk_forward
from spline_lstm.scores.predictions import write_parquet
from stages._run import current_run, import_tensorflow, plain_parser, run

log = logging.getLogger(__name__)


def backtest(options: argparse.Namespace) -> Mapping[str, Any]:
    params, paths = current_run()
    scored, left_out = _walk(params, options.workers) if params.backtest.windows else ([], [])
    content = backtest_content(scored, params.evaluate.scale_of(len(params.data.target)), left_out)
    write_csv(paths.backtest_table, scores_table(content))
    with replacing(paths.backtest_predictions) as file:
        write_parquet(file, fold_predictions(scored))
    written = (paths.backtest_table, paths.backtest_predictions)
    write_json(
        paths.backtest,
        {
            "run_id": params.run_id,
            "step": params.backtest.step or params.windows.horizon,
            "params": params.model_dump(mode="json"),
            **content,
            "sha256": {file.name: sha256(file) for file in written},
        },
    )
    if not scored:
        log.info("no folds were asked for: `backtest.windows` is null")
        return {"run_id": params.run_id, "folds": 0}
    pooled = content["pooled"]
    return {
        "run_id": params.run_id,
        "folds": len(scored),
        "left_out": len(left_out),
        "fits": len({each.fitted for each in scored}),
        **{name: content["summary"]["model"][name] for name in ("rmse", "mae", "coverage")},
        **{key: pooled["metrics"][key] for key in ("skill", "skill_margin")},
        "verdict": pooled["verdict"],
    }


def _walk(params: Params, workers: int) -> tuple[list[FoldScores], list[Fold]]:
    """Scores of the folds, oldest first, and the folds that have nothing to score or to learn from.

    Raises:
        NothingToScoreError: None has.
        PipelineError: As `walk_forward` and `score_folds`.
    """
    path, horizon = Path(params.data.path), params.windows.horizon
    panel = read_panel(path, params.data, params.covariates, horizon, split=params.split)
    folds = walk_forward(panel.timestamps, params, panel.timezone)
    del panel
    tasks = [(params, group) for group in fitted_together(folds, params.backtest.refit)]
    log.info("%d folds from %s to %s, %d fits", len(folds), folds[0].cutoff, folds[-1].until, len(tasks))
    done = work_through(_score, tasks, workers, _start, _log_finished)
    scored = [each for group in done for each in group]
    if not scored:
        raise NothingToScoreError(
            "Some fold of the backtest must have a series that varies before it, and in it a window with an observed "
            "target and no gap that is too long. "
            f"Received: none of {len(folds)}. Raise backtest.windows or backtest.step, or give more data."
        )
    numbers = {each.fold.number for each in scored}
    left_out = [fold for fold in folds if fold.number not in numbers]
    for fold in left_out:
        log.warning("fold %d, after %s, is left out: nothing to score, or to learn from", fold.number, fold.cutoff)
    return scored, left_out


def _start() -> None:
    """What a worker does first."""
    import_tensorflow()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each fold traces functions anew, which it warns of
    logging.getLogger("spline_lstm.data.faults").setLevel(logging.ERROR)  # without the fold; see `_log_finished`


def _score(task: tuple[Params, tuple[Fold, ...]]) -> list[FoldScores]:
    """In a worker: only there TensorFlow is imported."""
    from spline_lstm.scores.refit import score_folds

    return score_folds(*task)


def _log_finished(group: list[FoldScores]) -> None:
    for each in group:
        scores, best = each.scored["metrics"], each.scored["best_baseline"]
        log.info(
            "fold %d, after %s: RMSE %.4g; that of %s, the best baseline: %.4g",
            *(each.fold.number, each.fold.cutoff, scores["rmse"], best, each.scored["baselines"][best]["rmse"]),
        )
        if dropped := each.facts["dropped"]:
            name, reason = next(iter(dropped.items()))
            log.warning("fold %d leaves out %d series; %s %s", each.fold.number, len(dropped), name, reason)


def _positive(text: str) -> int:
    if (count := int(text)) < 1:
        raise ValueError(text)
    return count


_positive.__name__ = "positive number"  # argparse names it in its message


def main(arguments: list[str] | None = None) -> int:
    parser = plain_parser("backtest", __doc__)
    parser.add_argument(
        "--workers",
        type=_positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes that fit folds at the same time, of one thread each; without it, as many as there are cores. "
        "The results are the same",
    )
    return run(backtest, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
