"""A preprocessed run as later stages see it, and the files that hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.data.gaps import FilledSeries
from spline_lstm.data.scaling import StandardScaler
from spline_lstm.data.windows import SPLITS, Splits, WindowIndex, WindowSource, index_windows
from spline_lstm.run.contract import NPZ_KEYS, RunPaths, open_preprocessed, require_keys, require_same_run
from spline_lstm.run.errors import ArtifactError
from spline_lstm.run.files import read_npz
from spline_lstm.run.params import DataParams


@dataclass(frozen=True)
class Settings:
    """What preprocessing resolved and later stages and new data must agree on. Lengths are in steps.

    Attributes:
        frequency: Step of the grid, as a pandas offset.
        anchor: First label of the grid.
        season: Length of one season; 1 for none.
        lookback: Length of a window.
        horizon: Length of a forecast.
        longest_gap: A window that touches a longer gap is not used.
        max_missing: Nor is one with a larger share of missing steps.
    """

    frequency: str
    anchor: str
    season: int
    lookback: int
    horizon: int
    longest_gap: int
    max_missing: float


@dataclass(frozen=True)
class Prepared:
    """A preprocessed run.

    Attributes:
        values: `(series, time, channel)`, original units, NaN where nothing was observed.
        timestamps: `(time,)`.
        names: One per row; row `series * channels + channel` of every row-wise array.
        settings: Resolved settings.
        splits: Chronological borders.
        scaler: Statistics of the observed train rows.
        source: Standardized windows.
    """

    values: np.ndarray
    timestamps: pd.DatetimeIndex
    names: tuple[str, ...]
    settings: Settings
    splits: Splits
    scaler: StandardScaler
    source: WindowSource

    def windows(self, split: str) -> WindowIndex:
        """The usable windows of a split.

        Raises:
            InsufficientDataError: There is none.
        """
        return index_windows(self.source, self.splits, split, self.settings.longest_gap, self.settings.max_missing)

    @property
    def rows(self) -> np.ndarray:
        """Observations in original units, `(rows, time)`."""
        return as_rows(self.values)


def as_rows(values: np.ndarray) -> np.ndarray:
    """`(series, time, channel)` to `(series * channel, time)`."""
    return np.moveaxis(values, 2, 1).reshape(-1, values.shape[1])


def arrays(prepared: Prepared) -> dict[str, np.ndarray]:
    """What processed.npz holds."""
    filled = prepared.source.filled
    return {
        "feature_names": np.array(prepared.names),
        "target_indices": np.arange(prepared.values.shape[2]),
        "values": prepared.values,
        "timestamps": prepared.timestamps.asi8,
        "settled": filled.settled,
        "held": filled.held,
        "last_observed": filled.last_observed,
        "next_observed": filled.next_observed,
    }


def preprocessor_content(prepared: Prepared, data: DataParams) -> dict[str, Any]:
    """What preprocessor.pkl holds besides run_id and schema: enough to prepare new data alike."""
    return {
        "channels": list(prepared.names),
        "mean": prepared.scaler.mean.tolist(),
        "std": prepared.scaler.std.tolist(),
        "settings": asdict(prepared.settings),
        "data": data.model_dump(mode="json"),
    }


def load_prepared(paths: RunPaths) -> Prepared:
    """Read a preprocessed run through its gates.

    Raises:
        RunIdMismatchError, InputNotFoundError, ArtifactError: As `open_preprocessed`.
    """
    require_same_run(paths, paths.meta, paths.split_contract, paths.preprocessor)
    content = read_npz(paths.processed)
    require_keys(paths.processed, content, *NPZ_KEYS)  # before the hashes: it says what is wrong with the content
    _, split, preprocessor = open_preprocessed(paths)
    scaler, settings = fitted(preprocessor)
    filled = FilledSeries(*(content[key] for key in ("settled", "held", "last_observed", "next_observed")))
    rows = as_rows(content["values"])
    if not len(rows) == len(scaler.mean) == len(filled.settled):
        raise ArtifactError(
            f"`{paths.processed}` must hold as many rows as the preprocessor. "
            f"Received: {len(rows)} rows for {len(scaler.mean)}. Run `dvc repro`."
        )
    targets = scaler.transform(rows).astype(np.float32)
    return Prepared(
        content["values"],
        pd.DatetimeIndex(content["timestamps"]),
        tuple(content["feature_names"].tolist()),
        settings,
        Splits(*(split["splits"][name]["end"] for name in SPLITS)),
        scaler,
        WindowSource(filled, targets, settings.lookback, settings.horizon),
    )


def fitted(preprocessor: Mapping[str, Any]) -> tuple[StandardScaler, Settings]:
    """Scaler and settings out of preprocessor.pkl."""
    scaler = StandardScaler(np.asarray(preprocessor["mean"], float), np.asarray(preprocessor["std"], float))
    return scaler, Settings(**preprocessor["settings"])
