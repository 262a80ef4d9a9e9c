"""The health gate: 27 where artifacts name different runs, 30 where one is missing, 22 where one is damaged.

With --reproduce it makes a finished run again, in a clone of its commit, and compares every artifact: 22 where one
comes out otherwise.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from typing import Any

from spline_lstm.audit.health import check_run, newest_run
from spline_lstm.audit.reproduction import reproduce_run
from spline_lstm.run.contract import RunPaths, checked_run_id
from spline_lstm.run.errors import ArtifactError
from spline_lstm.run.files import sha256, write_json
from stages._run import ROOT, current_run, plain_parser, run

log = logging.getLogger(__name__)


def check(options: argparse.Namespace) -> Mapping[str, Any]:
    if options.reproduce is not None:
        return _reproduce(RunPaths(ROOT, checked_run_id(options.reproduce)))
    if options.record:
        _, paths = current_run()
        paths.health.unlink(missing_ok=True)  # what an earlier gate saw is of no matter, as DVC has it, too
    else:
        paths = RunPaths(ROOT, checked_run_id(newest_run(ROOT) if options.run_id is None else options.run_id))
    checked = check_run(paths)
    verdict = {"run_id": paths.run_id, "healthy": True, "artifacts": checked}
    if options.record:
        write_json(paths.health, {**verdict, "metadata": sha256(paths.metadata)})
    log.info("run %s is healthy: %d artifacts checked", paths.run_id, checked)
    return verdict


def _reproduce(paths: RunPaths) -> Mapping[str, Any]:
    """Say of each artifact whether it came out the same.

    Raises:
        ArtifactError: One did not.
    """
    found = reproduce_run(paths)
    for file, same in found.same.items():
        log.info("%s %s", "same " if same else "OTHER", file)
    if others := [file for file, same in found.same.items() if not same]:
        scores = ", ".join(f"{name} {one} -> {two}" for name, (one, two) in found.metrics.items())
        causes = ", ".join(f"{name} {one} -> {two}" for name, (one, two) in found.conditions.items())
        raise ArtifactError(
            f"Run {paths.run_id!r} must come out the same when it is made again. Received: {len(others)} of "
            f"{len(found.same)} artifacts with other bytes, first `{others[0]}`; metrics that differ: "
            f"{scores or 'none'}. What differs around it: {causes or 'no version of a package and no platform'}; "
            "docs/guarantees.md says on what conditions bytes are equal."
        )
    count = len(found.same)
    log.info("run %s came out the same: %d artifacts, commit %.12s", paths.run_id, count, found.commit)
    return {"run_id": paths.run_id, "reproduced": True, "artifacts": count, "commit": found.commit}


def main(arguments: list[str] | None = None) -> int:
    parser = plain_parser("check", __doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run-id", metavar="ID", help="the run to check; without it, the newest")
    which.add_argument(
        "--reproduce",
        metavar="ID",
        help="make this finished run again in a clone of its commit, and compare every artifact; as long as a run",
    )
    which.add_argument(
        "--record", action="store_true", help="check the run named in params.yaml and write its health file"
    )
    return run(check, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
