"""`.keras` archives whose bytes depend on the model alone, read without trusting them."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Any, Literal

import h5py
import keras
import numpy as np
import pydantic
from pydantic import ConfigDict, Field

from spline_lstm.model.forecaster import SplineForecaster
from spline_lstm.run.errors import ArtifactError
from spline_lstm.run.files import CORRUPT, EPOCH_ZERO, WAY_BACK, read_bytes, stored, write_bytes
from spline_lstm.run.params import LONGEST, LONGEST_SEGMENT, Cell

LARGEST_WINDOW = 1 << 24  # values of all channels
MOST_GROUPS = 10_000  # of a file of weights
Size = Annotated[int, Field(gt=0, le=LONGEST, strict=True)]
Rows = Annotated[int, Field(gt=0, le=1 << 24, strict=True)]  # of which the weights must have room for each
Channels = Annotated[int, Field(ge=0, le=10_000, strict=True)]
Scale = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class ForecasterSettings(pydantic.BaseModel):
    """What config.json may ask for; sizes are capped, since building a model allocates them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
    lookback: Size
    horizon: Size
    rows: Rows
    past: Channels
    known: Channels
    delayed: Channels
    calendar: Channels
    static: Channels
    members: Annotated[list[Size], Field(min_length=1, max_length=16)]
    segment: Annotated[int, Field(gt=0, le=LONGEST_SEGMENT, strict=True)]
    coefficients: Annotated[int, Field(gt=0, le=LONGEST_SEGMENT, strict=True)]
    degree: Annotated[int, Field(ge=0, le=5, strict=True)]
    penalty: Annotated[float, Field(ge=0)]
    cell: Cell
    units: Annotated[int, Field(ge=2, le=4096, strict=True)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    linear: bool
    cycles: Literal[0] | Annotated[int, Field(ge=2, le=256, strict=True)]
    season: Annotated[float, Field(ge=1, le=256, strict=True)]
    shares: Annotated[dict[Literal["linear", "folded", "holt_winters", "members"], Share], Field(min_length=1)]
    input_scale: Scale
    output_scale: Scale

    @pydantic.model_validator(mode="after")
    def _has_its_experts(self) -> ForecasterSettings:
        there = {"linear": self.linear, "members": True} | dict.fromkeys(("folded", "holt_winters"), self.cycles > 0)
        if not all(there[name] for name in self.shares):
            raise ValueError(f"shares of {', '.join(self.shares)}, of which some are not there")
        return self

    def require_room(self, size: int) -> None:
        """Refuse what would take more memory than so many bytes of weights are worth.

        Raises:
            ValueError: Settings ask for more.
        """
        floats = len(self.members) * max((self.rows + 1) * (self.units // 2), self.units * self.units)
        steps = max(self.lookback * self.linear, self.cycles * self.season)
        if 4 * max(floats, steps * self.horizon) > size:
            raise ValueError(f"{size} bytes of weights for a larger model")
        window = (self.lookback + self.horizon) * (1 + self.past + self.known + self.delayed + self.calendar)
        if window > LARGEST_WINDOW:
            raise ValueError("settings of a window that is too large")


def save_checkpoint(model: SplineForecaster, path: Path) -> None:
    """Write a Keras 3 archive; equal weights and settings give equal bytes.

    Keras itself writes the time of day, memory addresses and an unstable order of entries.

    Raises:
        ArtifactError: The file cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, "draft.keras")
        model.save(draft)
        with zipfile.ZipFile(draft) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
    entries["config.json"] = _stable_json(_renumbered(json.loads(entries["config.json"]), {}))
    metadata = json.loads(entries["metadata.json"])
    entries["metadata.json"] = _stable_json({**metadata, "date_saved": "1980-01-01@00:00:00"})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(entries):
            archive.writestr(zipfile.ZipInfo(name, EPOCH_ZERO), entries[name])
    write_bytes(path, buffer.getvalue())


def load_checkpoint(path: Path) -> SplineForecaster:
    """Build the model from our own code and load nothing but weights from the archive.

    Raises:
        InputNotFoundError: There is no such file.
        ArtifactError: It is not an archive of such a model.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(read_bytes(path))) as archive:
            stored(archive)
            config = json.loads(archive.read("config.json"))
            weights = archive.read("model.weights.h5")
        if config["registered_name"] != "spline_lstm>SplineForecaster":
            raise ValueError(f"a model named {config['registered_name']!r:.80}")
        settings = ForecasterSettings.model_validate(config["config"])
        settings.require_room(len(weights))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "model.weights.h5")
            file.write_bytes(weights)
            _require_plain(file)
            model = SplineForecaster(**settings.model_dump())
            model.load_weights(file)
        if not all(np.isfinite(weight).all() for weight in model.get_weights()):
            raise ValueError("weights that are no numbers")
    except CORRUPT as error:
        reason = " ".join(str(error).split())[:300]
        raise ArtifactError(
            f"`{path}` must be a checkpoint of this pipeline. Received: {reason}. {WAY_BACK}"
        ) from error
    return model


def _require_plain(file: Path) -> None:
    """Refuse weights that lie elsewhere, are compressed, or claim more bytes than the file has.

    Raises:
        ValueError: Some are.
    """
    with h5py.File(file) as content:
        groups, size = [content], 0
        for group in groups:
            for name in group:
                each = group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None
                if isinstance(each, h5py.Group) and len(groups) < MOST_GROUPS:
                    groups.append(each)
                elif isinstance(each, h5py.Dataset) and not (each.chunks or each.external or each.is_virtual):
                    size += each.nbytes
                else:
                    raise ValueError("weights that are linked, compressed or too many")
        if size > file.stat().st_size:
            raise ValueError("weights of more bytes than the file has")


def _renumbered(value: Any, ids: dict[int, int]) -> Any:
    """Replace Keras' `shared_object_id`, a memory address, by its order of appearance."""
    if isinstance(value, dict):
        return {
            key: ids.setdefault(item, len(ids)) if key == "shared_object_id" else _renumbered(item, ids)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_renumbered(item, ids) for item in value]
    return value


def _stable_json(content: Any) -> bytes:
    return json.dumps(content, indent=2, sort_keys=True).encode()


def parameter_count(model: keras.Model) -> int:
    """Number of trained and fixed weights."""
    return int(model.count_params())
