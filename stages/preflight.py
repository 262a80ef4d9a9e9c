"""Check params.yaml and the input's existence before anything is created, deleted or executed."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spline_lstm.run.busy import require_idle
from spline_lstm.run.contract import RunPaths, checked_run_id, require_gated, require_keys, require_same_run
from spline_lstm.run.files import read_json, require_input, write_json
from spline_lstm.run.params import Params, adopt_params, load_params, set_params
from spline_lstm.run.tracking import is_left_behind
from stages._run import ROOT, SHARED, plain_parser, run

log = logging.getLogger(__name__)


def preflight(options: argparse.Namespace) -> Mapping[str, Any]:
    require_idle(Path())
    params = _params(options)
    path = Path(params.data.path)
    require_input(path)
    if is_left_behind(path):
        log.warning(
            "`%s` is tracked by neither git nor DVC, so queued experiments and other clones lack it: "
            "run `dvc add %s && git commit -m %s`",
            *(path, shlex.quote(str(path)), shlex.quote(f"Add {path}")),
        )
    # The same bytes for every valid params.yaml: all stages depend on this file.
    write_json(SHARED.preflight, {"params": "valid"})
    return {"run_id": params.run_id}


def _params(options: argparse.Namespace) -> Params:
    """The params as they stand, after the changes that are asked for."""
    if options.set:
        return set_params(options.set)
    if options.source is None:
        return load_params()
    paths = RunPaths(ROOT, checked_run_id(options.source))
    record = paths.metadata if paths.metadata.exists() else paths.made
    require_same_run(paths, record)
    if record == paths.metadata:
        require_gated(paths)
    return adopt_params(require_keys(record, read_json(record), "params")["params"])


def main(arguments: list[str] | None = None) -> int:
    parser = plain_parser("preflight", __doc__)
    change = parser.add_mutually_exclusive_group()
    change.add_argument(
        "--set",
        action="append",
        metavar="SECTION.KEY=VALUE",
        help="first write this value to params.yaml, comments kept, if the result is valid; may be repeated",
    )
    change.add_argument(
        "--from",
        dest="source",
        metavar="ID",
        help="first write the settings of this finished run to params.yaml; `dvc repro` then restores the run",
    )
    return run(preflight, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
