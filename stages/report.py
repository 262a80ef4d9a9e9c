"""Write the page that a person reads, with its pictures, and record where the run came from."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from typing import Any

from spline_lstm.audit.provenance import write_metadata
from spline_lstm.pages.backtest import backtest_section
from spline_lstm.pages.figures import png
from spline_lstm.pages.finished import load_finished
from spline_lstm.pages.plots import DRAWN
from spline_lstm.pages.report import render_report
from spline_lstm.run.contract import PICTURES
from spline_lstm.run.errors import ArtifactError
from spline_lstm.run.files import CORRUPT, WAY_BACK, write_bytes, write_text
from stages._run import current_run, plain_parser, run

log = logging.getLogger(__name__)


def report(_: argparse.Namespace) -> Mapping[str, Any]:
    params, paths = current_run()
    finished = load_finished(params, paths)
    try:
        pictures = {name: png(DRAWN[name](finished)) for name in PICTURES}
        page = render_report(finished)
    except CORRUPT as error:  # hashes are right, and yet a value is of a kind that no stage writes
        raise ArtifactError(
            f"The artifacts of run {params.run_id!r} must hold what the stages write. Received: what cannot be shown, "
            f"{type(error).__name__}: {error!s:.200}. {WAY_BACK}"
        ) from error
    for name, picture in pictures.items():
        write_bytes(paths.picture(name), picture)
    write_text(paths.report, page)
    write_metadata(params, paths)
    if finished.backtest["folds"]:
        log.info("%s", backtest_section(finished.backtest))
    log.info("the report is `%s`", paths.report)
    return {"run_id": params.run_id, "output": str(paths.report)}


def main(arguments: list[str] | None = None) -> int:
    return run(report, plain_parser("report", __doc__), arguments)


if __name__ == "__main__":
    sys.exit(main())
