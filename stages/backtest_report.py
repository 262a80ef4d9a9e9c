"""Write the page and the picture of a backtest."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from typing import Any

from spline_lstm.pages.backtest import plot_backtest, render_backtest
from spline_lstm.pages.figures import png
from spline_lstm.run.contract import open_backtest
from spline_lstm.run.files import write_bytes, write_text
from spline_lstm.scores.predictions import read_table
from stages._run import current_run, plain_parser, run

log = logging.getLogger(__name__)

COLUMNS = ("series_id", "origin", "timestamp", "y_true", "y_pred", "y_lower", "y_upper")


def backtest_report(_options: argparse.Namespace) -> Mapping[str, Any]:
    _, paths = current_run()
    content = open_backtest(paths)
    first = read_table(paths.backtest_predictions, "series_id")["series_id"].iloc[0]
    shown = read_table(paths.backtest_predictions, *COLUMNS, series=[first])
    write_bytes(paths.backtest_picture, png(plot_backtest(content, shown)))
    page = render_backtest(content, paths.run_id, paths.backtest_picture.name)
    write_text(paths.backtest_page, page)
    print(page, file=sys.stderr)
    log.info("the page is `%s`", paths.backtest_page)
    return {"run_id": paths.run_id, "output": str(paths.backtest_page)}


def main(arguments: list[str] | None = None) -> int:
    return run(backtest_report, plain_parser("backtest_report", __doc__), arguments)


if __name__ == "__main__":
    sys.exit(main())
