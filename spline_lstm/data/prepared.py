"""A preprocessed run as later stages see it, and the files that hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, TypeVar

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, TypeAdapter

from spline_lstm.data.covariates import Covariates
from spline_lstm.data.faults import Fault
from spline_lstm.data.gaps import FilledSeries, runs
from spline_lstm.data.grid import MOST_STEPS
from spline_lstm.data.layout import Layout
from spline_lstm.data.roles import Encoding
from spline_lstm.data.scaling import StandardScaler
from spline_lstm.data.stored import require_arrays
from spline_lstm.data.windows import SPLITS, Splits, WindowIndex, WindowSource, index_windows
from spline_lstm.run.contract import NPZ_KEYS, RunPaths, open_preprocessed, require_keys, require_same_run
from spline_lstm.run.errors import ArtifactError
from spline_lstm.run.files import CORRUPT, WAY_BACK, read_npz
from spline_lstm.run.params import CovariateParams, DataParams

NEARLY = 0.005  # share of a season that it may be from whole steps: a year has 52.18 weeks

Steps = Annotated[int, Field(gt=0, le=MOST_STEPS)]
Length = Annotated[float, Field(gt=0)]
Identity = Annotated[int, Field(ge=0, lt=1 << 31)]


@dataclass(frozen=True)
class Settings:
    """What preprocessing resolved and later stages and new data must agree on. Lengths are in steps.

    Attributes:
        frequency: Step of the grid, as a pandas offset.
        anchor: First label of the grid.
        seasons: Length of a season of each kind, ascending, not necessarily whole; none where nothing repeats.
        season: The one that seasonal naive repeats and MASE compares with, in whole steps; 1 for none.
        decay: Time constant of what an observation stands out, as gaps are filled; None where there is no season.
        lookback: Length of a window.
        horizon: Length of a forecast.
        longest_gap: A window that touches a longer gap is not used.
        max_missing: Nor is one with a larger share of missing steps.
        log: Whether rows are learned as logarithms.
        closed: Hours whose steps the grid leaves out.
        timezone: Of these hours.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    frequency: str
    anchor: str
    seasons: tuple[Length, ...]
    season: Steps
    decay: Length | None
    lookback: Steps
    horizon: Steps
    longest_gap: int
    max_missing: float
    log: bool
    closed: tuple[str, ...]
    timezone: str

    @property
    def used_seasons(self) -> tuple[float, ...]:
        """Those that a lookback holds once at least. Longer ones are known, but nothing can use them."""
        return held_once(self.seasons, self.lookback)


def held_once(seasons: Sequence[float], lookback: int) -> tuple[float, ...]:
    """The seasons that a lookback holds once at least."""
    return tuple(season for season in seasons if round(season) <= lookback)


@dataclass(frozen=True)
class Fitted:
    """What a run learned of its series besides the model, one entry per row.

    Attributes:
        names: Of the rows to forecast, then of those of past covariates.
        settings: Resolved settings.
        scaler: Statistics of each row.
        identities: By which the model knows each row to forecast.
        encoding: How covariates become features.
    """

    names: tuple[str, ...]
    settings: Settings
    scaler: StandardScaler
    identities: np.ndarray
    encoding: Encoding


Kind = TypeVar("Kind", bound="Series")


@dataclass(frozen=True)
class Series:
    """Series that can be forecast. A row is one target of one series.

    Attributes:
        values: `(steps,)`, all rows one after the other, original units, NaN where nothing was observed. Those that
            are doubted are here, to be scored, and not in the windows of the source.
        timestamps: `(time,)`, the calendar of all rows.
        channels: Names of the rows to forecast, then of those of past covariates.
        settings: Resolved settings.
        scaler: Statistics of each row.
        encoding: How covariates became features.
        source: Standardized windows.
        dropped: What was wrong with each row that was left out, by its name.
        lacking: Which known covariate is missing in the horizon of a row, by the row's name.
        bound_until: `(2, rows)`, from which origin on minimum, and maximum, bind no forecast of each row.
    """

    values: np.ndarray
    timestamps: pd.DatetimeIndex
    channels: tuple[str, ...]
    settings: Settings
    scaler: StandardScaler
    encoding: Encoding
    source: WindowSource
    dropped: Mapping[str, str]
    lacking: Mapping[str, str]
    bound_until: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """Of the rows to forecast."""
        return self.channels[: len(self.source.identities)]

    @property
    def layout(self) -> Layout:
        return self.source.layout

    @property
    def spread(self) -> np.ndarray:
        """`(rows to forecast,)`, the standard deviation of each over its train rows, original units."""
        return self.scaler.spread[: len(self.source.identities)]

    def units(self, scale: str) -> np.ndarray:
        """`(rows to forecast,)`, what errors are divided by on such a scale of scores."""
        return np.ones_like(self.spread) if scale == "original" else self.spread

    def restore(self, scaled: np.ndarray, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Forecasts `(windows, ...)` of rows and origins, `(windows,)` each, in original units, within bounds."""
        return self.scaler.within(self.scaler.restore(scaled, rows), rows, origins < self.bound_until[:, rows])

    def newest_gaps(self) -> dict[str, Fault]:
        """Why rows cannot be forecast beyond their end, by their names: too little of their newest window is known."""
        settings, rows = self.settings, np.arange(len(self.names))
        limits = settings.lookback, settings.longest_gap, settings.max_missing
        usable = self.source.filled.usable(rows, self.layout.ends[rows] - 1, *limits)
        return {self.names[row]: self._newest_gap(row) for row in np.flatnonzero(~usable)}

    def _newest_gap(self, row: int) -> Fault:
        begin, end = self.layout.offsets[[row, row + 1]]
        missing, settings = ~self.source.filled.observed[begin:end], self.settings
        starts, ends = runs(missing)
        longest = (ends - starts)[ends > len(missing) - settings.lookback].max()
        open_end = missing[-1] and ends[-1] - starts[-1] > settings.longest_gap
        return Fault(
            f"have no gap over {settings.longest_gap} steps and at most {settings.max_missing:.0%} missing in its last "
            f"{settings.lookback} steps",
            f"{missing[-settings.lookback :].sum()} missing, and a gap of {longest} steps",
            advice="Mend the data." if not open_end else self._advice_on_open_end(row),
        )

    def _advice_on_open_end(self, row: int) -> str:
        series, last = self.source.covariates.series, self.layout.offsets[1:] - 1
        same = np.flatnonzero(series == series[row])
        if self.source.filled.observed[last[same]].any():
            return "Give the newest values of this target, too, or forecast it in a run of its own."
        return "Remove its last rows, which hold no value."

    def seen_by(self: Kind, training: Mapping[str, Any]) -> Kind:
        """The same with the covariates that a trained model was given; see `training.json`."""
        source = self.source if training["clock"] else self.source.without_clock()
        return replace(self, source=source.with_delays() if training["delays"] else source)


@dataclass(frozen=True)
class Traits:
    """What of a run decides which parts of a model are tried.

    Attributes:
        daily: Whether times of day or weekdays are among the covariates.
        season: The shortest one of nearly whole steps; 1 for none.
        train: Steps of the train split.
    """

    daily: bool
    season: float
    train: int


@dataclass(frozen=True)
class Prepared(Series):
    """A preprocessed run: series and the borders of its splits."""

    splits: Splits
    _listed: dict[str, WindowIndex] = field(default_factory=dict, init=False, repr=False, compare=False)

    def windows(self, split: str) -> WindowIndex:
        """The usable windows of a split.

        Raises:
            InsufficientDataError: There is none.
        """
        if split not in self._listed:
            limits = self.settings.longest_gap, self.settings.max_missing
            self._listed[split] = index_windows(self.source, self.splits, split, *limits)
        return self._listed[split]

    @property
    def traits(self) -> Traits:
        whole = (season for season in self.settings.used_seasons if abs(season - round(season)) <= NEARLY * season)
        return Traits(self.encoding.calendar.weekdays, next(whole, 1), self.splits.train)

    def targets(self, windows: WindowIndex) -> np.ndarray:
        """Observed targets in original units: `(windows, horizon)`, NaN where nothing was observed."""
        return self.layout.cut(self.values, windows.rows, windows.origins + 1, self.source.horizon)


def arrays(prepared: Prepared) -> dict[str, np.ndarray]:
    """What processed.npz holds."""
    filled, layout, covariates = prepared.source.filled, prepared.layout, prepared.source.covariates
    return {
        "feature_names": np.array(prepared.channels),
        "target_indices": np.arange(len(prepared.names)),
        "values": prepared.values,
        "timestamps": prepared.timestamps.asi8,
        "starts": layout.starts,
        "lengths": layout.lengths,
        "observed": filled.observed,
        "settled": filled.settled,
        "held": filled.held,
        "since": filled.since,
        "series": covariates.series,
        "known": covariates.known,
        "calendar": covariates.calendar,
        "static": covariates.static,
    }


def preprocessor_content(prepared: Prepared, data: DataParams, covariates: CovariateParams) -> dict[str, Any]:
    """What preprocessor.pkl holds besides run_id and schema: enough to prepare new data alike."""
    return {
        "channels": list(prepared.channels),
        "scaler": {name: statistic.tolist() for name, statistic in vars(prepared.scaler).items()},
        "identities": prepared.source.identities.tolist(),
        "settings": asdict(prepared.settings),
        "encoding": prepared.encoding.content(),
        "data": data.model_dump(mode="json"),
        "covariates": covariates.model_dump(mode="json"),
    }


def load_prepared(paths: RunPaths) -> Prepared:
    """Read a preprocessed run through its gates.

    Raises:
        RunIdMismatchError, InputNotFoundError, ArtifactError: As `open_preprocessed`.
    """
    require_same_run(paths, paths.meta, paths.split_contract, paths.preprocessor)
    content = read_npz(paths.processed)
    require_keys(paths.processed, content, *NPZ_KEYS)  # before the hashes: it says what is wrong with the content
    meta, split, preprocessor = open_preprocessed(paths)
    try:
        fit = fitted(preprocessor)
        splits = Splits(*(TypeAdapter(Steps).validate_python(split["splits"][name]["end"]) for name in SPLITS))
        dropped, lacking = (TypeAdapter(dict[str, str]).validate_python(meta[name]) for name in ("dropped", "lacking"))
        data = DataParams.model_validate(preprocessor["data"])
        CovariateParams.model_validate(preprocessor["covariates"])  # by which new files are read
        require_arrays(content, len(fit.names), len(fit.identities), fit.settings.horizon, splits)
    except CORRUPT as error:
        raise ArtifactError(
            f"Artifacts of run {paths.run_id!r} must hold what preprocessing leaves. "
            f"Received: {' '.join(str(error).split()):.300}. {WAY_BACK}"
        ) from error
    layout, values = Layout(content["starts"], content["lengths"]), content["values"]
    filled = FilledSeries(layout, *(content[name] for name in ("settled", "observed", "held", "since")))
    series = content["series"]
    covariates = Covariates(
        series,
        len(fit.encoding.past_names()),
        layout.of(np.unique(series, return_index=True)[1]).longer(fit.settings.horizon),
        content["known"],
        content["calendar"],
        fit.encoding.calendar.optional,
        content["static"],
    )
    return Prepared(
        values,
        pd.DatetimeIndex(content["timestamps"]),
        fit.names,
        fit.settings,
        fit.scaler,
        fit.encoding,
        WindowSource(filled, fit.settings.lookback, fit.settings.horizon, fit.identities, covariates),
        dropped,
        lacking,
        fit.scaler.bound_until(values, filled.observed, layout, data.bounds_given),
        splits,
    )


def fitted(preprocessor: Mapping[str, Any]) -> Fitted:
    """What preprocessor.pkl holds of the series.

    Raises:
        ValueError, TypeError, KeyError: It is of another kind.
    """
    return Fitted(
        TypeAdapter(tuple[str, ...]).validate_python(preprocessor["channels"]),
        TypeAdapter(Settings).validate_python(preprocessor["settings"]),
        StandardScaler.of_content(preprocessor["scaler"], len(preprocessor["channels"])),
        np.array(TypeAdapter(list[Identity]).validate_python(preprocessor["identities"]), np.int32),
        Encoding.restore(preprocessor["encoding"]),
    )
