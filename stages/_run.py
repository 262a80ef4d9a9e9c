"""What every stage shares: its command line, its log, its exit code and its one line for machines."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from spline_lstm.run.busy import require_rest
from spline_lstm.run.contract import RunPaths, SharedPaths
from spline_lstm.run.errors import ParamsError, PipelineError
from spline_lstm.run.params import PARAMS_FILE, Params, load_params

log = logging.getLogger(__name__)

ROOT = Path("artifacts")
SHARED = SharedPaths(ROOT)
OUTCOME_VARIABLE = "SPLINE_LSTM_OUTCOME"  # a file that gets the line for machines too
STOPPED = 128  # and the number of the signal, as shells have it

_begun: list[Params] = []  # what the stage of this process was begun with

Work = Callable[[argparse.Namespace], Mapping[str, Any]]


def run(work: Work, parser: argparse.ArgumentParser, arguments: list[str] | None = None) -> int:
    """Do the work of a stage and report how it went.

    A person reads stderr: progress, and one line for a failure. A machine reads the last line of
    stdout: `{"ok": true, "exit_code": 0, ...}` or `{"ok": false, "exit_code": 27, "error": {...}}`.

    Returns:
        The exit code: 0, that of the error's type, or 1 with a traceback for a defect of ours.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as the imports of a stage leave it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    options = parser.parse_args(arguments)
    try:
        _begun.clear()
        outcome = {"ok": True, "exit_code": 0, **work(options)}
        require_as_begun()
    except PipelineError as error:
        outcome = _failure(error.exit_code, type(error).__name__, str(error))
    except KeyboardInterrupt as stop:
        code = STOPPED + (signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT)
        again = "Run it again: a training goes on after its last finished epoch."
        outcome = _failure(code, "Interrupted", f"The stage was interrupted. {again}")
    except Exception as error:  # noqa: BLE001 - the outermost frame: a defect of ours must still leave its line
        traceback.print_exc()
        outcome = _failure(1, type(error).__name__, f"This is a defect of the pipeline, please report it: {error}")
    if not outcome["ok"]:
        log.error("error %d: %s", outcome["exit_code"], outcome["error"]["message"])
    line = json.dumps(outcome)
    try:
        print(line, flush=True)
    except OSError:  # nobody reads it any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if target := os.environ.get(OUTCOME_VARIABLE):
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    return int(outcome["exit_code"])


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which must leave as quietly as Ctrl-C."""


def _terminate(*_: object) -> NoReturn:
    raise _Terminated


def import_tensorflow() -> None:
    """Import TensorFlow without its native greetings, which no Python setting silences.

    Only stages that need a model pay for it: 3 to 4 seconds and 600 MB. Nothing of it is garbage: without its collector
    Python imports a fifth faster, and need not look through it ever after. Keras would take a sixth of the time to
    import Matplotlib, for pictures that nothing here asks of it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    gc.disable()
    sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]  # as if there were none
    try:
        os.dup2(silence, 2)
        import tensorflow  # noqa: F401
    finally:
        if sys.modules["matplotlib"] is None:
            del sys.modules["matplotlib"]
        gc.freeze()
        gc.enable()
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(silence)


def plain_parser(name: str, purpose: str | None) -> argparse.ArgumentParser:
    """The command line of a stage that takes all it needs from params.yaml."""
    return argparse.ArgumentParser(prog=f"python -m stages.{name}", description=purpose)


def current_run() -> tuple[Params, RunPaths]:
    """Params, and the paths of the run that they name.

    Raises:
        InputNotFoundError, ParamsError: As `load_params`, `require_rest`.
    """
    require_rest(PARAMS_FILE)
    params = load_params()
    _begun.append(params)
    return params, RunPaths(ROOT, params.run_id)


def require_as_begun() -> None:
    """Refuse to end by other params than the stage began with: DVC records those that it finds then.

    Raises:
        ParamsError: They have changed.
    """
    for params in _begun:
        now = load_params()
        if changed := [name for name in type(now).model_fields if getattr(now, name) != getattr(params, name)]:
            raise ParamsError(
                f"`{PARAMS_FILE}` must stay as it is while a stage runs. Received: another {', '.join(changed)}. "
                "Run `dvc repro` again."
            )


def _failure(exit_code: int, code: str, message: str) -> dict[str, Any]:
    return {"ok": False, "exit_code": exit_code, "error": {"code": code, "message": re.sub(r"\s*\n\s*", " ", message)}}
