"""The health gate: 27 where artifacts name different runs, 30 where one is missing, 22 where one is damaged."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from spline_lstm.audit.health import check_run, newest_run
from spline_lstm.run.contract import RunPaths, checked_run_id
from spline_lstm.run.files import sha256, write_json
from stages._run import ROOT, current_run, plain_parser, run


def check(options: argparse.Namespace) -> Mapping[str, Any]:
    if options.record:
        _, paths = current_run()
        paths.health.unlink(missing_ok=True)  # what an earlier gate saw is of no matter, as DVC has it, too
    else:
        paths = RunPaths(ROOT, checked_run_id(newest_run(ROOT) if options.run_id is None else options.run_id))
    checked = check_run(paths)
    verdict = {"run_id": paths.run_id, "healthy": True, "artifacts": checked}
    if options.record:
        write_json(paths.health, {**verdict, "metadata": sha256(paths.metadata)})
    print(f"run {paths.run_id} is healthy: {checked} artifacts checked", file=sys.stderr)
    return verdict


def main(arguments: list[str] | None = None) -> int:
    parser = plain_parser("check", __doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run-id", metavar="ID", help="the run to check; without it, the newest")
    which.add_argument(
        "--record", action="store_true", help="check the run named in params.yaml and write its health file"
    )
    return run(check, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
