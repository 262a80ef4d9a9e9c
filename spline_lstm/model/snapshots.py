"""Where an unfinished training stands, so that one that was killed goes on from its last finished epoch."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spline_lstm.run.errors import PipelineError
from spline_lstm.run.files import read_npz, write_npz
from spline_lstm.run.params import Params

PARAMS = {"run_id", "seed", "covariates", "spline", "model", "train"}  # what training depends on
ROOMS = ("run", "data", "model")
PACKAGES = ("keras", "numpy", "scipy", "tensorflow")
KEY = "key"


@dataclass(frozen=True)
class Snapshots:
    """A folder of states, by name. One that cannot be read, or has another key, counts as none.

    Attributes:
        folder: DVC, which deletes outputs before a stage starts, does not know it. None: nothing is kept.
        key: Of the training, see `training_key`: only one that would end in the same bytes may go on.
    """

    folder: Path | None = None
    key: str = ""

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        if self.folder is None:
            return None
        try:
            arrays = read_npz(self.folder / f"{name}.npz")
        except PipelineError:
            return None
        return arrays if str(arrays.pop(KEY, "")) == self.key else None

    def save(self, name: str, state: Mapping[str, np.ndarray]) -> None:
        if self.folder is not None:
            write_npz(self.folder / f"{name}.npz", {**state, KEY: np.array(self.key)})

    def clear(self) -> None:
        """What was trained to the end needs no states."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


KEPT_NOWHERE = Snapshots()


def training_key(params: Params, meta: Path) -> str:
    """Hash of all that decides the bytes of a training on one platform: params, data, code and packages.

    Args:
        params: Of the run.
        meta: `meta.json` of the run, which holds the hashes of its arrays.
    """
    package = Path(__file__).parent.parent
    code = [file for room in ROOMS for file in sorted((package / room).glob("*.py"))]
    known = {
        "params": params.model_dump(mode="json", include=PARAMS),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "files": [hashlib.sha256(file.read_bytes()).hexdigest() for file in (meta, *code)],
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
