"""params.yaml as frozen, validated sections. Every mistake is listed in one message."""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import re
import sys
import warnings
import zoneinfo
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StrictBool
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from spline_lstm.run.contract import checked_run_id
from spline_lstm.run.errors import InputNotFoundError, ParamsError
from spline_lstm.run.files import require_input, write_text
from spline_lstm.run.hours import Hours

CELLS = {"lstm": "LSTM", "gru": "GRU"}  # layers of Keras that can be the recurrence, by their name in params.yaml
NULL_TAG = "tag:yaml.org,2002:null"
LONGEST, LONGEST_SEGMENT = 100_000, 2048  # steps of a lookback or a horizon, and of a segment, that models are built of
MOST_ROWS = 2**53  # above which not every whole number is a float
MOST_EPOCHS = 100_000  # a snapshot has room for the errors of each
PARAMS_FILE = Path("params.yaml")
RECORD = "the record of the run"
BUT_FOR_THE_YEAR = [datetime(year, 1, 1, tzinfo=timezone.utc) for year in (2001, 2007)]  # both a Monday


def _border(value: object) -> object:
    """Where a split ends: a share of the steps, a count of them, or a date."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and (0 < value < 1 or (1 <= value <= MOST_ROWS and value == int(value))):  # type: ignore
        return value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            if datetime.fromisoformat(value).tzinfo is None:
                return value
    raise ValueError("must be a share below 1, a whole number of steps, or a date without offset such as '2001-12-31'")


def _timezone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError("must be a time zone such as UTC or Europe/Berlin") from None
    return name


def _timestamp_format(pattern: str) -> str:
    import pandas  # costs a third of a second, and most runs have no format

    try:
        texts = [moment.strftime(pattern) for moment in BUT_FOR_THE_YEAR]
        # Without a year strptime would take one of its own, of which newer Pythons warn.
        years = [datetime.strptime(text, pattern).year for text in texts] if texts[0] != texts[1] else []
    except (ValueError, re.error):
        years = []
    if years != [moment.year for moment in BUT_FOR_THE_YEAR]:
        raise ValueError("must be a date and time as of strptime, such as %d.%m.%Y %H:%M")
    if ("%I" in pattern) != ("%p" in pattern):
        raise ValueError("must tell mornings from evenings, by %I with %p, or else by %H alone")
    if pattern.endswith("Z") and "%Z" not in pattern:
        raise ValueError("must read a Z that stands for UTC by %z")
    try:
        pandas.to_datetime(["2024"], format=pattern, errors="coerce")
    except (ValueError, re.error) as error:
        raise ValueError(f"must be one that pandas reads, too, which says: {error!s:.120}") from None
    return pattern


def _frequency(name: str) -> str:
    """A step as pandas calls it today without a warning: of what was M, ME."""
    import pandas  # costs a third of a second, and most runs leave the step to their data

    with warnings.catch_warnings(record=True) as outdated:
        warnings.simplefilter("always", FutureWarning)
        try:
            offset = pandas.tseries.frequencies.to_offset(name)
        except (ValueError, OverflowError):
            offset = None
    if offset is None or offset.n < 1:
        raise ValueError("must be a pandas offset such as h, 15min, D, W-SAT or MS")
    return offset.freqstr if outdated else name


def _bound(value: object) -> object:
    if value is True or not isinstance(value, int | float | None) or not abs(value or 0) <= sys.float_info.max:
        raise ValueError("must be null, false, or a finite number")
    return value


def _refit(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, int) and 0 < value < 2**31):
        return value
    raise ValueError("must be true, false, or a whole number of folds above 0")


def _several(value: object) -> object:
    return (value,) if isinstance(value, int | float) else value


def _marks(value: object) -> object:
    return _columns(_several(value))


def _mark(value: object) -> object:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return float(value)
    raise ValueError("must be a number or a text, such as -999 or '?'")


def _columns(value: object) -> object:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _closed(value: object) -> object:
    if value is True:
        raise ValueError("must be null, false, or hours such as [Sat, '17:30-08:00']")
    return () if value is False else _columns(value)


def _hours(text: str) -> str:
    Hours.parse(text)
    return text


def _run_id(value: object) -> str:
    try:
        return checked_run_id(value)
    except ParamsError as error:
        raise ValueError(str(error)) from None


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("must name each once")
    return values


def _distinct_names(levels: tuple[float, ...]) -> tuple[float, ...]:
    """Levels that have columns of their own."""
    _distinct(tuple(f"{100 * level:g}" for level in levels))
    return levels


def _ascending(seasons: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sorted(_distinct(seasons)))


def _country(name: str) -> str:
    import holidays  # costs a tenth of a second, and most runs have none

    country, _, part = name.partition("-")
    try:
        holidays.country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        raise ValueError("must be a country such as DE, or a part of one such as DE-BY") from None
    return name


def _cell(name: str) -> str:
    if name not in CELLS:
        raise ValueError(f"must be {' or '.join(map(repr, CELLS))}")
    return name


Steps = Annotated[int, Field(gt=0, lt=2**31, strict=True)]
Number = Annotated[float, Field(strict=True)]  # neither a text nor a switch
Share = Annotated[Number, Field(ge=0, lt=1)]
Border = Annotated[float | int | str, BeforeValidator(_border)]
Cell = Annotated[str, AfterValidator(_cell)]
Seasons = Annotated[tuple[Annotated[Number, Field(ge=2)], ...], BeforeValidator(_several), AfterValidator(_ascending)]
Names = Annotated[tuple[str, ...], BeforeValidator(_columns), AfterValidator(_distinct)]
Columns = Annotated[Names, Field(min_length=1)]
Bound = Annotated[StrictBool | Number | None, BeforeValidator(_bound)]
Open = Annotated[Number, Field(gt=0, lt=1)]  # between 0 and 1
Levels = Annotated[tuple[Open, ...], BeforeValidator(_several), AfterValidator(_distinct_names)]
Marks = Annotated[
    tuple[Annotated[float | str, BeforeValidator(_mark)], ...], BeforeValidator(_marks), AfterValidator(_distinct)
]
Closed = Annotated[tuple[Annotated[str, AfterValidator(_hours)], ...], BeforeValidator(_closed)]


class Section(pydantic.BaseModel):
    """A section of params.yaml: frozen, no unknown keys, no silent conversions from text to number."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataParams(Section):
    """Where the series comes from and how it is put on a regular grid."""

    path: Annotated[str, Field(min_length=1)]
    timestamp: str
    target: Columns
    series_id: Names = ()
    on_bad_series: Literal["fail", "drop"] = "fail"
    frequency: Annotated[str, AfterValidator(_frequency)] | None = None
    aggregate: Literal["mean", "last", "sum", "min", "max"] = "mean"
    duplicates: Literal["error", "mean", "sum", "first", "last"] = "error"
    missing: Marks = ()
    timestamp_format: Annotated[str, AfterValidator(_timestamp_format)] | None = None
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    closed: Closed | None = None
    log: bool | None = None
    minimum: Bound = None
    maximum: Bound = None

    @pydantic.field_validator("maximum")
    @classmethod
    def _above_minimum(cls, maximum: Any, others: pydantic.ValidationInfo) -> Any:
        low = others.data.get("minimum")
        given = all(bound is not None and bound is not False for bound in (low, maximum))
        if given and low >= maximum:
            raise ValueError(f"must be above data.minimum, {low:g}")
        return maximum

    @property
    def bounds_given(self) -> tuple[bool, bool]:
        """Whether minimum and maximum are told, and not left to what values show."""
        return self.minimum is not None, self.maximum is not None


class CovariateParams(Section):
    """What accompanies the targets: columns by what is known of them when, and the calendar."""

    past: Names = ()
    future: Names = ()
    static: Names = ()
    calendar: bool | None = None
    holidays: Annotated[str, AfterValidator(_country)] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.past, *self.future, *self.static)


class SplitParams(Section):
    """Chronological borders. Each is a share of all steps of the grid, a count of them, or the last date."""

    train: Border = 0.7
    validation: Border = 0.15
    test: Border | None = None


class WindowParams(Section):
    """What the model sees and what it forecasts, in steps of the grid."""

    horizon: Annotated[Steps, Field(le=LONGEST)]
    lookback: Annotated[Steps, Field(le=LONGEST)] | None = None


class GapParams(Section):
    """How missing values are filled, and how many are too many."""

    seasons: Seasons | None = None
    longest: Steps | None = None
    max_missing: Share = 0.6


class SplineParams(Section):
    """The penalised B-splines that represent each segment of a window."""

    segment: Annotated[Steps, Field(le=LONGEST_SEGMENT)] | None = None
    coefficients: Annotated[Steps, Field(le=LONGEST_SEGMENT)] | None = None
    degree: Annotated[int, Field(ge=0, le=5, strict=True)] = 3
    penalty: Annotated[Number, Field(ge=0)] = 0.01


class ModelParams(Section):
    """The recurrent forecaster."""

    cell: Cell = "lstm"
    units: Annotated[int, Field(ge=2, le=4096, strict=True)] | None = None
    dropout: Share = 0.2
    linear: bool = True
    members: Annotated[tuple[Steps, ...], Field(min_length=1, max_length=16)] | None = None


class TrainParams(Section):
    """The fit."""

    epochs: Annotated[int, Field(gt=0, le=MOST_EPOCHS, strict=True)] = 40
    batch_size: Steps | None = None
    learning_rate: Annotated[Number, Field(gt=0, le=1)] = 1e-3
    patience: Steps = 2
    augment: bool | None = None
    final: bool = True


def level_of(quantile: float) -> float:
    """Coverage of the interval of which a quantile is a border; 0 for the median."""
    return round(abs(2 * quantile - 1), 10)


class EvaluateParams(Section):
    """What the scores and intervals are."""

    coverage: Annotated[Levels, Field(min_length=1)] = (0.9,)
    quantiles: Levels = ()
    scale: Literal["original", "standardized"] | None = None

    def scale_of(self, targets: int) -> str:
        """Of scores: as it was asked for, else original units where there is but one target."""
        return self.scale or ("original" if targets == 1 else "standardized")

    @property
    def levels(self) -> tuple[float, ...]:
        """Coverage of every interval that is needed: those that were asked for, then those that quantiles border."""
        bordered = map(level_of, self.quantiles)
        return tuple(dict.fromkeys((*self.coverage, *(level for level in bordered if level))))


class BacktestParams(Section):
    """Folds that walk forward through the series."""

    windows: Steps | None = None
    step: Steps | None = None
    refit: Annotated[bool | int, BeforeValidator(_refit)] = True
    input: Steps | None = None


class Params(Section):
    """The whole of params.yaml."""

    run_id: Annotated[str, BeforeValidator(_run_id)]
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 7
    data: DataParams
    covariates: CovariateParams = CovariateParams()
    split: SplitParams = SplitParams()
    windows: WindowParams
    gaps: GapParams = GapParams()
    spline: SplineParams = SplineParams()
    model: ModelParams = ModelParams()
    train: TrainParams = TrainParams()
    evaluate: EvaluateParams = EvaluateParams()
    backtest: BacktestParams = BacktestParams()

    @pydantic.model_validator(mode="after")
    def _one_role_each(self) -> Params:
        data = self.data
        named = [data.timestamp, *data.series_id, *data.target, *self.covariates.columns]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(
                "`data` and `covariates` must give each column one role. "
                f"Received: {', '.join(map(repr, twice))} in several. Choose one for each."
            )
        return self


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and validate params.yaml.

    Raises:
        InputNotFoundError: There is no such file.
        ParamsError: It is not YAML, or breaks rules; the message lists all of them.
    """
    return parse_params(written_params(path))


def written_params(path: Path = PARAMS_FILE) -> Any:
    """What params.yaml says, as it stands: where one value may stand for a list, DVC tells the two apart.

    Raises:
        InputNotFoundError: There is no such file.
        ParamsError: It is not YAML.
    """
    return _parse_yaml(_read(path))


def parse_params(content: object, source: str = "params.yaml") -> Params:
    """Validate the content of a params.yaml, or of what was recorded of one.

    Raises:
        ParamsError: It lists every mistake, and names the source.
    """
    if not isinstance(content, Mapping):
        raise ParamsError(f"{source} must be a mapping of sections. Received: {type(content).__name__}.")
    try:
        return Params.model_validate(content)
    except pydantic.ValidationError as error:
        mistakes = [_mistake(details) for details in error.errors()]
    raise ParamsError(" ".join([f"{source} has {len(mistakes)} mistake(s):", *mistakes]))


def set_params(assignments: list[str], path: Path = PARAMS_FILE) -> Params:
    """Change values of params.yaml in place, comments kept, if the result is valid.

    Args:
        assignments: `section.key=value` each, the value as YAML; text stays text where text is due.
        path: The file to change.

    Raises:
        InputNotFoundError: There is no such file, or no input at the new data.path.
        ParamsError: An assignment has no such section or the result is invalid; the file is as it was.
    """
    document = _document(path)
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        *sections, key = name.split(".")
        section = document
        for part in sections:
            section = section.get(part) if isinstance(section, dict) else None
        if not separator or not isinstance(section, dict):
            raise ParamsError(f"--set takes SECTION.KEY=VALUE. Received: {assignment!r:.120}.")
        _put(section, key, value if name in ("run_id", "data.path") else _yaml_or_text(value))
    return _save(document, path)


def adopt_params(recorded: Mapping[str, Any], path: Path = PARAMS_FILE) -> Params:
    """Make params.yaml say what a run was made with, in the words of then, comments kept; `dvc repro` finds no change.

    Args:
        recorded: The params of the run, as its metadata holds them.
        path: The file to change.

    Raises:
        InputNotFoundError: There is no such file, or no longer the input of the run.
        ParamsError: The file is no YAML, or this version does not take the run's params; the file is as it was.
    """
    parse_params(recorded, RECORD)
    document = _document(path)
    if not isinstance(document, dict):
        parse_params(document)
    _adopt(document, recorded)
    return _save(document, path)


def _adopt(section: dict[str, Any], recorded: Mapping[str, Any]) -> None:
    for key in [key for key in section if key not in recorded]:
        del section[key]
    for key, value in recorded.items():
        there = section.get(key)
        if isinstance(there, dict) and isinstance(value, Mapping):
            _adopt(there, value)
        elif key not in section or json.dumps(there, default=repr) != json.dumps(value):  # 1 and 1.0 are two to DVC
            _put(section, key, value)


def _put(section: Any, key: str, value: Any) -> None:
    """Set a value; a list stands in one line."""
    if isinstance(value, list):
        value = CommentedSeq(value)
        value.fa.set_flow_style()
    section[key] = value
    comments = section.ca.items.get(key) if isinstance(section, CommentedMap) else None
    if comments and len(comments) > 3:
        comments[3] = None  # of a list of several lines, which would break the lines of what takes its place


def _document(path: Path) -> Any:
    """The file as a tree that remembers its comments."""
    content = _read(path)
    _parse_yaml(content)
    return _round_trip().load(content)


def _save(document: Any, path: Path) -> Params:
    params = parse_params(document)
    require_input(Path(params.data.path))
    buffer = io.StringIO()
    _round_trip().dump(document, buffer)
    write_text(path, buffer.getvalue())
    return params


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.representer.add_representer(type(None), lambda dumper, _: dumper.represent_scalar(NULL_TAG, "null"))
    return yaml


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputNotFoundError(
            f"`{path}` must exist. Received: no such file. Run from the root of the project."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"`{path}` must be a readable UTF-8 file. Received: {error}.") from error


def _parse_yaml(text: str) -> Any:
    try:
        return YAML(typ="safe").load(text)  # as DVC reads it: YAML 1.2, no key twice
    except (YAMLError, ValueError, RecursionError) as error:
        raise ParamsError(f"params.yaml must be valid YAML. Received: {' '.join(str(error).split())}.") from error


def _yaml_or_text(value: str) -> Any:
    try:
        return _parse_yaml(value)
    except ParamsError:
        return value  # such as %d.%m.%Y, which YAML takes in quotes alone


def _mistake(details: Any) -> str:
    # Pydantic adds the names of union members to the location; those are no keys of params.yaml.
    location = [str(part) for part in details["loc"][:2]]
    name = ".".join(location)
    if details["type"] == "extra_forbidden":
        return f"`{name}` must be a known key. Received: an unknown one.{_nearest(location)}"
    if name in ("", "run_id") and details["type"] == "value_error":
        return str(details["ctx"]["error"])
    if details["type"] == "missing":
        return f"`{name}` must be given. Received: nothing."
    rule = details["msg"].removeprefix("Value error, ").replace("Input should be ", "must be ")
    return f"`{name}` {rule}. Received: {details['input']!r:.80}."


def _nearest(location: list[str]) -> str:
    model: type[pydantic.BaseModel] = Params
    for part in location[:-1]:
        model = model.model_fields[part].annotation  # type: ignore[assignment]
    initials = {"".join(word[0] for word in name.split("_")): name for name in model.model_fields}
    near = initials.get(location[-1]) or difflib.get_close_matches(location[-1], model.model_fields, 1, 0.0)[0]
    return f" Did you mean `{'.'.join([*location[:-1], near])}`?"
