"""The failures an operator can act on.

The type of an error, never its wording, sets the exit code of the stage:

    PipelineError                1
    ├── ParamsError             10   params.yaml or the run_id is invalid
    ├── InputNotFoundError      21   an input file or artifact does not exist
    ├── ArtifactError           22   an artifact breaks the contract, or cannot be written
    ├── ShapeError              23   arrays do not fit each other or the model
    ├── DataError               25   the input series is unusable
    │   └── InsufficientDataError 26 too short for lookback, horizon and splits
    ├── RunIdMismatchError      27   artifacts of different runs
    ├── BusyError               28   another run is at work in this folder
    └── UnhealthyRunError       30   a finished run lacks an artifact or a metric

A message says what must hold, then what was received, then what to do.
"""

from __future__ import annotations

from typing import ClassVar


class PipelineError(Exception):
    """A failure the operator can act on."""

    exit_code: ClassVar[int] = 1


class ParamsError(PipelineError):
    """params.yaml, or a run_id, breaks a rule."""

    exit_code = 10


class InputNotFoundError(PipelineError):
    """A file that a stage reads does not exist."""

    exit_code = 21


class ArtifactError(PipelineError):
    """An artifact breaks the run contract: a missing key, a wrong schema or hash, unreadable bytes."""

    exit_code = 22


class ShapeError(PipelineError):
    """Arrays do not fit each other or the model."""

    exit_code = 23


class DataError(PipelineError):
    """The input series is unusable as it stands.

    Args:
        message: What must hold, what was received, and how the data is mended.
        or_param: What to do in params.yaml instead, where that helps, too.
    """

    exit_code = 25

    def __init__(self, message: str, or_param: str = "") -> None:
        super().__init__(f"{message.removesuffix('.')}, or {or_param}." if or_param else message)
        self.message, self.or_param = message, or_param

    def of_finished_run(self) -> DataError:
        """The same of a file that a finished run reads: by its own params, which params.yaml does not change."""
        return type(self)(self.message, self.or_param and f"{self.or_param} and train another run")


class InsufficientDataError(DataError):
    """The series is too short for its lookback, horizon and splits."""

    exit_code = 26


class NothingToScoreError(InsufficientDataError):
    """The test split holds no usable window, or not one of its targets was observed."""


class NothingToLearnError(DataError):
    """No series can be used, though some may be left out."""


class RunIdMismatchError(PipelineError):
    """Artifacts of one run name different runs."""

    exit_code = 27


class BusyError(PipelineError):
    """Another run is at work in this folder."""

    exit_code = 28


class UnhealthyRunError(PipelineError):
    """A finished run lacks an artifact or a metric."""

    exit_code = 30
