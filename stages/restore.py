"""Bring a finished run back from DVC's cache, byte for byte; without --run-id, list those that can be."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from typing import Any

from spline_lstm.audit.restore import Cache, restore_run
from spline_lstm.run.contract import RunPaths, checked_run_id
from stages._run import ROOT, plain_parser, run

log = logging.getLogger(__name__)


def restore(options: argparse.Namespace) -> Mapping[str, Any]:
    if options.run_id is None:
        runs = Cache.here().runs(ROOT)
        log.info("runs that can be restored: %s", ", ".join(runs) or "none")
        return {"runs": runs}
    paths = RunPaths(ROOT, checked_run_id(options.run_id))
    written = restore_run(paths, Cache.here())
    log.info("run %s is back and healthy: %d files written", paths.run_id, written)
    return {"run_id": paths.run_id, "written": written}


def main(arguments: list[str] | None = None) -> int:
    parser = plain_parser("restore", __doc__)
    parser.add_argument(
        "--run-id", metavar="ID", help="a run that has finished here, in the workspace or as an experiment"
    )
    return run(restore, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
