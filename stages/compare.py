"""Runs side by side on the test targets that all of them forecast: a table, a picture, and how sure differences are."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from typing import Any

from spline_lstm.audit.health import check_run
from spline_lstm.data.prepared import load_prepared
from spline_lstm.pages.comparison import plot_comparison, render_comparison
from spline_lstm.pages.figures import png
from spline_lstm.run.contract import RunPaths, checked_run_id
from spline_lstm.run.errors import InputNotFoundError, UnhealthyRunError
from spline_lstm.run.files import read_json, write_bytes, write_text
from spline_lstm.scores.compare import compare_runs
from spline_lstm.scores.predictions import WINDOW_COLUMNS, read_table
from stages._run import ROOT, SHARED, plain_parser, run

log = logging.getLogger(__name__)


def compare(options: argparse.Namespace) -> Mapping[str, Any]:
    chosen = list(dict.fromkeys(map(checked_run_id, options.runs))) or _finished()
    if len(chosen) < 2:
        raise InputNotFoundError(
            f"Two runs or more must be there to compare. Received: {', '.join(chosen) or 'none'}. "
            "`python -m stages.restore` lists the runs that can be brought back."
        )
    paths = [RunPaths(ROOT, run_id) for run_id in chosen]
    predictions = {each.run_id: read_table(each.predictions, *WINDOW_COLUMNS) for each in paths}
    if options.runs:
        for each in paths:
            check_run(each)
    prepared = load_prepared(paths[0])
    comparison = compare_runs(predictions, dict(zip(prepared.names, prepared.spread, strict=True)))
    wanted = {each.run_id: read_json(each.metrics)["intervals"]["coverage"][0] for each in paths}
    page = render_comparison(comparison, SHARED.comparison_picture.name, wanted)
    write_bytes(SHARED.comparison_picture, png(plot_comparison(comparison)))
    write_text(SHARED.comparison, page)
    log.info("%s", page)
    return {
        "best": comparison.runs[0].run_id,
        "runs": [each.run_id for each in comparison.runs],
        "page": str(SHARED.comparison),
    }


def _finished() -> list[str]:
    """All runs that are here, but for those that are not finished."""
    found = []
    for run_id in sorted(file.stem for file in (ROOT / "predictions").glob("*.parquet")):
        try:
            check_run(RunPaths(ROOT, run_id))
        except UnhealthyRunError as error:
            log.warning("left out: %s", error)
        else:
            found.append(run_id)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = plain_parser("compare", __doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="run_ids; without any, all finished runs that are here")
    return run(compare, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
