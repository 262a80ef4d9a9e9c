"""Check params.yaml and the input's existence before anything is created, deleted or executed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spline_lstm.run.files import require_input, write_json
from spline_lstm.run.params import load_params, set_params
from stages._run import SHARED, plain_parser, run


def preflight(options: argparse.Namespace) -> Mapping[str, Any]:
    params = set_params(options.set) if options.set else load_params()
    require_input(Path(params.data.path))
    # The same bytes for every valid params.yaml: all stages depend on this file.
    write_json(SHARED.preflight, {"params": "valid"})
    return {"run_id": params.run_id}


def main(arguments: list[str] | None = None) -> int:
    parser = plain_parser("preflight", __doc__)
    parser.add_argument(
        "--set",
        action="append",
        metavar="SECTION.KEY=VALUE",
        help="first write this value to params.yaml, comments kept, if the result is valid; may be repeated",
    )
    return run(preflight, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
