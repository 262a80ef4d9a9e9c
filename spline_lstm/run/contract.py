"""What every run leaves behind: the run_id rule, the paths, the schema versions, the gates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spline_lstm.run.errors import ArtifactError, ParamsError, RunIdMismatchError
from spline_lstm.run.files import WAY_BACK, read_json, read_pickle, sha256

SPLIT_SCHEMA = "phase1.split_contract.v1"
PREPROCESSOR_SCHEMA = "preprocessor.v5"
RUN_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PICTURES = ("forecast", "test_windows", "error_by_horizon", "residuals", "backtest", "learning_curve", "series")
NPZ_KEYS = (
    "feature_names",
    "target_indices",
    "values",
    "timestamps",
    "starts",
    "lengths",
    "observed",
    "settled",
    "held",
    "since",
    "series",
    "known",
    "calendar",
    "static",
)
PREPROCESSOR_KEYS = (
    "schema_version",
    "settings",
    "channels",
    "scaler",
    "identities",
    "encoding",
    "data",
    "covariates",
)
BACKTEST_KEYS = ("left_out", "scale", "summary", "better", "pooled")  # where there are folds
REQUIRED_METRICS = ("mae", "mse", "rmse", "mape", "r2")


def checked_run_id(run_id: object) -> str:
    """Return `run_id` if it is safe as a folder name and as a word of a command line.

    Raises:
        ParamsError: It is not a string, or breaks the pattern.
    """
    if isinstance(run_id, str) and RUN_ID_PATTERN.fullmatch(run_id):
        return run_id
    shown = f"{run_id!r:.80}"
    if not isinstance(run_id, str):
        shown += f", which YAML reads as {type(run_id).__name__}: quote it, as in -S \"run_id='007'\""
    raise ParamsError(
        "`run_id` must be a string of 1 to 64 letters, digits, '.', '_' or '-' that starts with a letter or digit. "
        f"Received: {shown}. Choose another run_id."
    )


@dataclass(frozen=True)
class RunPaths:
    """Every path of one run. No other module spells out a file name."""

    root: Path
    run_id: str

    @property
    def processed(self) -> Path:
        return self.root / "processed" / self.run_id / "processed.npz"

    @property
    def meta(self) -> Path:
        return self.processed.with_name("meta.json")

    @property
    def split_contract(self) -> Path:
        return self.processed.with_name("split_contract.json")

    @property
    def preprocessor(self) -> Path:
        return self.root / "models" / self.run_id / "preprocessor.pkl"

    @property
    def best_checkpoint(self) -> Path:
        return self.root / "checkpoints" / self.run_id / "best.keras"

    @property
    def last_checkpoint(self) -> Path:
        return self.best_checkpoint.with_name("last.keras")

    @property
    def final_checkpoint(self) -> Path:
        """The model that has learned from all rows, by which forecasts beyond them are made."""
        return self.best_checkpoint.with_name("final.keras")

    @property
    def training(self) -> Path:
        """What training leaves for the gates: run_id, the checkpoints' hashes, the model's settings."""
        return self.best_checkpoint.with_name("training.json")

    @property
    def history(self) -> Path:
        return self.best_checkpoint.with_name("history.csv")

    @property
    def unfinished_training(self) -> Path:
        """A folder of what a training that was killed goes on from. It is no artifact: DVC does not delete it."""
        return self.best_checkpoint.parent.with_name(f".{self.run_id}.unfinished")

    @property
    def metrics(self) -> Path:
        return self.root / "metrics" / f"{self.run_id}.json"

    @property
    def series_scores(self) -> Path:
        return self.metrics.with_name(f"{self.run_id}.per_series.csv")

    @property
    def predictions(self) -> Path:
        return self.root / "predictions" / f"{self.run_id}.parquet"

    @property
    def report(self) -> Path:
        return self.root / "reports" / f"{self.run_id}.md"

    def picture(self, name: str) -> Path:
        return self.report.with_name(f"{self.run_id}.{name}.png")

    @property
    def forecast(self) -> Path:
        return self.root / "forecasts" / f"{self.run_id}.csv"

    @property
    def metadata(self) -> Path:
        return self.root / "metadata" / f"{self.run_id}.json"

    @property
    def made(self) -> Path:
        """The metadata, and when and from which commit these bytes first came to be. It is no artifact: DVC, to which
        it would look like a change, does not know it."""
        return self.metadata.with_name(f".{self.run_id}.made.json")

    @property
    def health(self) -> Path:
        return self.root / "health" / f"{self.run_id}.json"

    @property
    def backtest(self) -> Path:
        """The scores of folds; a run that was asked for none says so in it."""
        return self.root / "backtests" / f"{self.run_id}.json"

    @property
    def backtest_table(self) -> Path:
        return self.backtest.with_name(f"{self.run_id}.csv")

    @property
    def backtest_predictions(self) -> Path:
        return self.backtest.with_name(f"{self.run_id}.parquet")

    def artifacts(self) -> dict[str, tuple[Path, ...]]:
        """The files each stage leaves, in pipeline order."""
        return {
            "preprocess": (self.processed, self.meta, self.split_contract, self.preprocessor),
            "train": (
                self.best_checkpoint,
                self.last_checkpoint,
                self.final_checkpoint,
                self.training,
                self.history,
            ),
            "evaluate": (self.metrics, self.series_scores, self.predictions),
            "forecast": (self.forecast,),
            "backtest": (self.backtest, self.backtest_table, self.backtest_predictions),
            "report": (self.report, *map(self.picture, PICTURES), self.metadata),
        }


@dataclass(frozen=True)
class SharedPaths:
    """Paths without a run_id: what DVC compares between runs, and the seal of a valid params.yaml."""

    root: Path

    @property
    def preflight(self) -> Path:
        return self.root / "preflight.json"

    @property
    def metrics(self) -> Path:
        return self.root / "latest" / "metrics.json"

    @property
    def history(self) -> Path:
        return self.root / "latest" / "history.csv"

    @property
    def predictions(self) -> Path:
        return self.root / "latest" / "predictions.csv"

    @property
    def horizon_errors(self) -> Path:
        return self.root / "latest" / "error_by_horizon.csv"

    @property
    def comparison(self) -> Path:
        """Runs side by side, for people; no stage of DVC writes or reads it."""
        return self.root / "comparison.md"

    @property
    def comparison_picture(self) -> Path:
        return self.comparison.with_suffix(".png")


def require_same_run(paths: RunPaths, *files: Path) -> None:
    """Gate 27: every file that names a run must name this one.

    Args:
        paths: Where the run is expected.
        files: JSON or pickle artifacts to compare; those that do not exist are passed over.

    Raises:
        RunIdMismatchError: A file names another run.
        ArtifactError: A file cannot be read, or names none.
    """
    for file in files:
        if not file.exists():
            continue
        content = read_pickle(file) if file.suffix == ".pkl" else read_json(file)
        found = require_keys(file, content, "run_id")["run_id"]
        if found != paths.run_id:
            raise RunIdMismatchError(
                f"`{file}` must belong to run {paths.run_id!r}. Received: run_id {found!r:.80}. "
                "Never copy artifacts between runs: run `dvc repro` with this run_id."
            )


def require_keys(file: Path, content: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Gate 22: an artifact holds the keys its readers need.

    Raises:
        ArtifactError: Keys are missing.
    """
    missing = [key for key in keys if key not in content]
    if missing:
        raise ArtifactError(
            f"`{file}` must hold the keys {', '.join(keys)}. Received: none of {', '.join(missing)}. {WAY_BACK}"
        )
    return content


def mapping(value: Any) -> dict[str, Any]:
    """What an artifact holds where others should be, nothing if it is no mapping."""
    return value if isinstance(value, dict) else {}


def require_gated(paths: RunPaths) -> None:
    """Gate 22: the metadata is what the health gate saw, if it has seen one.

    Raises:
        ArtifactError: It is not.
    """
    if paths.health.exists() and read_json(paths.health).get("metadata") != sha256(paths.metadata):
        raise ArtifactError(
            f"`{paths.metadata}` must have the sha256 recorded in `{paths.health}`. Received: another. "
            f"It was changed after the run. {way_back(paths)}"
        )


def way_back(paths: RunPaths) -> str:
    return f"Run `python -m stages.restore --run-id {paths.run_id}`, or make the run again with `dvc repro`."


def require_hashes(hashes: Mapping[str, str], *files: Path) -> None:
    """Gate 22: files still have the sha256 that their writer recorded under their names.

    Raises:
        InputNotFoundError: A file does not exist.
        ArtifactError: A file was changed after it was written, or was never recorded.
    """
    if not isinstance(hashes, Mapping):
        raise ArtifactError(f"`sha256` must map file names to hashes. Received: {hashes!r:.40}. {WAY_BACK}")
    for file in files:
        found = sha256(file)
        if hashes.get(file.name) != found:
            raise ArtifactError(
                f"`{file}` must have the sha256 recorded when it was written, {hashes.get(file.name)}. "
                f"Received: {found}. {WAY_BACK}"
            )


def open_preprocessed(paths: RunPaths) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Pass the gates of a preprocessed run.

    Returns:
        meta, split contract and preprocessor.

    Raises:
        RunIdMismatchError: Files of different runs (compared before anything else).
        InputNotFoundError: A file is missing.
        ArtifactError: A key, the split schema or a hash is wrong.
    """
    require_same_run(paths, paths.meta, paths.split_contract, paths.preprocessor)
    meta, split, preprocessor = read_json(paths.meta), read_json(paths.split_contract), read_pickle(paths.preprocessor)
    require_keys(paths.meta, meta, "sha256", "frequency", "shape", "dropped", "lacking")
    require_keys(paths.split_contract, split, "schema_version", "splits")
    require_keys(paths.preprocessor, preprocessor, *PREPROCESSOR_KEYS)
    _require_schema(paths.split_contract, split, SPLIT_SCHEMA)
    _require_schema(paths.preprocessor, preprocessor, PREPROCESSOR_SCHEMA)
    require_hashes(meta["sha256"], paths.processed, paths.split_contract, paths.preprocessor)
    return meta, split, preprocessor


def open_trained(paths: RunPaths) -> dict[str, Any]:
    """Pass the gates of a trained run and return what training recorded.

    Raises:
        RunIdMismatchError, InputNotFoundError, ArtifactError: As `open_preprocessed`.
    """
    require_same_run(paths, paths.meta, paths.split_contract, paths.preprocessor, paths.training)
    training = read_json(paths.training)
    require_keys(paths.training, training, "sha256", "model", "clock", "delays")
    require_hashes(training["sha256"], *(file for file in paths.artifacts()["train"] if file != paths.training))
    return training


def open_backtest(paths: RunPaths) -> dict[str, Any]:
    """Pass the gates of a backtest and return its scores, those of `BACKTEST_KEYS` where there are `folds`.

    Raises:
        RunIdMismatchError, InputNotFoundError, ArtifactError: As `open_preprocessed`.
    """
    require_same_run(paths, paths.backtest)
    content = read_json(paths.backtest)
    require_keys(paths.backtest, content, "step", "folds", "sha256")
    require_keys(paths.backtest, content, *(BACKTEST_KEYS if content["folds"] else ()))
    require_hashes(content["sha256"], paths.backtest_table, paths.backtest_predictions)
    return content


def _require_schema(file: Path, content: Mapping[str, Any], expected: str) -> None:
    if content["schema_version"] != expected:
        raise ArtifactError(
            f"`{file}` must have schema_version {expected!r}. Received: {content['schema_version']!r:.80}. {WAY_BACK}"
        )
