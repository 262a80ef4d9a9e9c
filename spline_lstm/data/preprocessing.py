"""From a panel to a prepared run: settings resolved on train rows, gaps filled, scaled and split."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from spline_lstm.data.covariates import Covariates
from spline_lstm.data.faults import UNLEARNED, doubtful, limits, usable_rows
from spline_lstm.data.gaps import fill_gaps, fit_decay
from spline_lstm.data.layout import Layout
from spline_lstm.data.phases import ROUNDING
from spline_lstm.data.prepared import Fitted, Prepared, Series, Settings, held_once
from spline_lstm.data.repetition import best_repeated
from spline_lstm.data.roles import Encoding, lacking_ahead, series_layout
from spline_lstm.data.scaling import FARTHEST, StandardScaler, natural_bounds, require_near, spread_follows_level
from spline_lstm.data.seasonality import infer_seasons, longest_rows
from spline_lstm.data.series import Panel
from spline_lstm.data.windows import UNKNOWN, WindowSource, leaves_test, split_series
from spline_lstm.run.errors import DataError, InsufficientDataError
from spline_lstm.run.params import DataParams, Params

LONGEST_LOOKBACK = 480
FEWEST_STEPS = 4  # of a cycle whose spread is compared with its level
TRAIN_SHARE_OF_LOOKBACK = 10  # a derived lookback spans a tenth of the train rows, if no season asks for more
LEAST_OF_MANY = 12  # steps of it where all rows together have ten times as many, and each holds a window


def prepare(panel: Panel, params: Params, before: int | None = None) -> Prepared:
    """Resolve settings on train rows, then leave out what cannot be used, fill, scale and split.

    The few train values that lie far from all others count as missing; later ones do in what a model sees.

    Args:
        panel: As read.
        params: Of the run.
        before: The calendar step up to which series are judged; None: by all that they hold.

    Raises:
        ParamsError: The splits are not in order.
        DataError: A series is unusable.
        InsufficientDataError: The train split has no window; those of others are asked for where they are needed.
    """
    layout, horizon = panel.layout, params.windows.horizon
    # Train rows have told which hours are closed: where some are, the border must not move before those rows.
    least = 0 if panel.closed else horizon
    if len(panel.timestamps) < (fewest := 3 * (horizon + 1)):
        fixed = [] if least and leaves_test(params.split) else [params.split.validation, params.split.test]
        shares = [share for share in fixed if isinstance(share, float) and share < 1]  # which are rounded to steps
        enough = max([fewest, *(math.ceil((horizon + 1) / share) for share in shares)])
        raise InsufficientDataError(
            f"The series must have at least {fewest} steps for a horizon of {horizon} in three splits. "
            f"Received: {len(panel.timestamps)}. Give {enough} steps or more, or shorten windows.horizon."
        )
    splits = split_series(panel.timestamps, params.split, panel.timezone, least)
    near = _limits(layout.before(panel.values, splits.train))
    panel = replace(panel, values=_near(panel.values, layout, near, splits.train))
    settings = _resolve(params, panel, splits.train)
    encoding = Encoding.fit(panel, splits.train, params.covariates, settings.timezone)
    drop = params.data.on_bad_series == "drop"
    known_until = _known_until(layout, splits.train, settings)
    kept, dropped = usable_rows(panel, known_until, settings.lookback + horizon, drop, before)
    rows = _rows(panel, encoding, kept)
    of_past = _limits(list(rows.layout.before(rows.values, splits.train))[len(rows.targets) :])
    near = np.concatenate([near[kept], of_past])
    rows = replace(rows, values=_near(rows.values, rows.layout, near, splits.train))
    doubted = doubtful(rows.values, rows.layout, near[:, 0], near[:, 1], splits.train, settings.longest_gap)
    believed = rows.layout.split(np.where(doubted, np.nan, rows.values))
    heads = zip(believed, _known_until(rows.layout, splits.train, settings), strict=True)
    scaler = _scaler([row[:known] for row, known in heads], rows.targets, settings.log, params.data, encoding)
    scaler = scaler.doubting(*near.T)
    identities = np.full(kept.sum(), UNKNOWN, np.int32)
    prepared = Prepared(
        **_series(panel, rows, encoding, settings, scaler, identities, splits.train, before, params.data),
        dropped=dropped,
        splits=splits,
    )
    # Rows of which training sees a window are known by their number among these, which no other row can change.
    trained = np.unique(prepared.windows("train").first_rows)
    identities[trained] = np.arange(1, len(trained) + 1)
    return prepared


def _limits(heads: Iterable[np.ndarray]) -> np.ndarray:
    """What few train values of each row lie beyond: `(rows, 2)`."""
    return np.array([limits(head, UNLEARNED) for head in heads]).reshape(-1, 2)


def _near(values: np.ndarray, layout: Layout, near: np.ndarray, train: int) -> np.ndarray:
    """Flat values without the few train ones beyond such limits: one of them would be most of what is learned."""
    values = values.copy()
    for head, (low, high) in zip(layout.before(values, train), near, strict=True):
        head[(head < low) | (head > high)] = np.nan
    return values


def prepare_for_forecast(
    panel: Panel, fit: Fitted, data: DataParams, last: pd.Timestamp, before: int | None = None
) -> Series:
    """New data, prepared as a finished run was. A series that the run does not know has a scale of its own.

    Args:
        panel: New data.
        fit: Of the run.
        data: Of the run: whether series may be left out, and what bounds them.
        last: The last train step of the run.
        before: The calendar step up to which series are judged and scaled; None: by all that they hold.

    Raises:
        DataError: A series is unusable, or has fewer steps than one lookback.
    """
    drop = data.on_bad_series == "drop"
    count = len(fit.identities)
    of_targets = {name: row for row, name in enumerate(fit.names[:count])}
    spreads = dict(zip(of_targets, fit.scaler.spread, strict=False))
    of_past = {name: row for row, name in enumerate(fit.names[count:], count)}
    train = int(panel.timestamps.searchsorted(last, side="right"))
    limits_of = dict(zip(of_targets, zip(fit.scaler.floor, fit.scaler.ceiling, strict=True), strict=False))
    near = np.array([limits_of.get(name, (-np.inf, np.inf)) for name in panel.names])
    panel = replace(panel, values=_near(panel.values, panel.layout, near, train))
    kept, dropped = usable_rows(panel, panel.layout.lengths, fit.settings.lookback, drop, before, spreads)
    rows = _rows(panel, fit.encoding, kept)
    targets = len(rows.targets)
    places = np.array([(of_targets if row < targets else of_past).get(name, -1) for row, name in enumerate(rows.names)])
    known = places >= 0
    heads = rows.layout.before(rows.values, len(panel.timestamps) if before is None else before)
    new = [head[:0] if there else head for head, there in zip(heads, known, strict=True)]  # the others have a scale
    own = _scaler(new, rows.targets, fit.settings.log, data, fit.encoding)
    scaler = fit.scaler.where(known, places, own)
    identities = np.where(known[:targets], fit.identities[places[:targets] * known[:targets]], UNKNOWN).astype(np.int32)
    return Series(
        **_series(panel, rows, fit.encoding, fit.settings, scaler, identities, train, before, data), dropped=dropped
    )


def _scaler(
    heads: Sequence[np.ndarray], names: Sequence[str], log: bool, data: DataParams, encoding: Encoding
) -> StandardScaler:
    """Statistics of rows to forecast, which have names, and then of past covariates.

    Those are never logarithms and have no bounds. One that stands still in one series has the spread that it has in
    all; one without rows its mean, too.
    """
    targets = len(names)
    logs = np.array([log and row < targets and not (head <= 0).any() for row, head in enumerate(heads)], bool)
    if data.log and not logs[:targets].all():
        row = int(logs.argmin())
        raise DataError(
            f"Series {names[row]!r} must be above zero for data.log. Received: {np.nanmin(heads[row]):g}. "
            "Mend the data.",
            "leave data.log null",
        )
    bounds = [_bounds(head, data) if row < targets else (-np.inf, np.inf) for row, head in enumerate(heads)]
    scales = np.tile([0.0, 1.0], (len(heads), 1))
    if past := encoding.past_scales():
        scales[targets:] = np.tile(past, ((len(heads) - targets) // len(past), 1))
    return StandardScaler.fit(heads, logs, scales).bounded(*np.reshape(bounds, (-1, 2)).T)


def _bounds(head: np.ndarray, data: DataParams) -> tuple[float, float]:
    """What forecasts of a row stay within: as params say or, if these leave one open and room for it, as values do."""
    low, high = natural_bounds(head)
    if data.minimum is not None:
        low = -np.inf if data.minimum is False else data.minimum
    if data.maximum is not None:
        high = np.inf if data.maximum is False else data.maximum
    if low >= high:
        return (-np.inf, high) if data.minimum is None else (low, np.inf)
    return low, high


@dataclass(frozen=True)
class _Rows:
    """The rows that go on: those to forecast, then those of the past covariates of their series.

    Attributes:
        values: `(steps,)`, flat.
        layout: Where the rows stand.
        names: One per row.
        series: `(rows to forecast,)`, which of the series that go on each is of.
        kept: `(series,)`, which series of the panel go on.
    """

    values: np.ndarray
    layout: Layout
    names: tuple[str, ...]
    series: np.ndarray
    kept: np.ndarray

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the rows to forecast."""
        return self.names[: len(self.series)]


def _rows(panel: Panel, encoding: Encoding, kept: np.ndarray) -> _Rows:
    values, layout = panel.layout.keep(panel.values, kept)
    names = [name for name, keep in zip(panel.names, kept, strict=True) if keep]
    codes, series = np.unique(panel.series[kept], return_inverse=True)
    kept_series = np.isin(np.arange(panel.series.max() + 1), codes)
    past, past_layout = encoding.past_rows(panel, kept_series)
    names += [
        f"{panel.ids[code]}/{name}" if panel.ids[code] else name for code in codes for name in encoding.past_names()
    ]
    return _Rows(np.concatenate([values, past]), layout.followed_by(past_layout), tuple(names), series, kept_series)


def _series(
    panel: Panel,
    rows: _Rows,
    encoding: Encoding,
    settings: Settings,
    scaler: StandardScaler,
    identities: np.ndarray,
    train: int,
    before: int | None,
    data: DataParams,
) -> dict[str, Any]:
    """What series and a prepared run have in common.

    A later value that is doubted stays a target to score, but is not seen.
    A number that stands for a missing one is not observed from step `before` on, up to which series are judged.
    """
    layout = rows.layout
    values = _near(rows.values, layout, np.column_stack([scaler.floor, scaler.ceiling]), train)
    standardized = scaler.transform(values, layout)
    if before is not None:
        missing = (np.abs(standardized) > FARTHEST) & (layout.steps() >= before)
        standardized, values = (np.where(missing, np.nan, each) for each in (standardized, values))
    standardized[doubtful(values, layout, scaler.floor, scaler.ceiling, train, settings.longest_gap)] = np.nan
    for name, row in zip(rows.names, layout.split(standardized), strict=True):
        require_near(f"Series {name!r}", row)
    filled = fill_gaps(standardized, layout, settings.used_seasons, settings.decay)
    codes = np.flatnonzero(rows.kept)
    lacking = lacking_ahead(panel, encoding)
    covariates = Covariates(
        rows.series,
        len(encoding.past_names()),
        series_layout(panel).of(codes).longer(settings.horizon),
        encoding.known(panel, rows.kept),
        encoding.calendar.features(panel.timestamps.append(panel.ahead)),
        encoding.calendar.optional,
        encoding.statics(panel, rows.kept),
    )
    return {
        "values": values,
        "timestamps": panel.timestamps,
        "channels": rows.names,
        "settings": settings,
        "scaler": scaler,
        "encoding": encoding,
        "source": WindowSource(filled, settings.lookback, settings.horizon, identities, covariates),
        "lacking": {
            name: lacking[codes[series]]
            for name, series in zip(rows.names, rows.series, strict=False)
            if codes[series] in lacking
        },
        "bound_until": scaler.bound_until(values, filled.observed, layout, data.bounds_given),
    }


def _known_until(layout: Layout, train: int, settings: Settings) -> np.ndarray:
    """Steps of each row from which its scale comes: those of the train split, one lookback at least.

    A series that begins late has few train steps or none. Its scale may come from its first lookback, which
    every window of it follows or holds.
    """
    return np.clip(train - layout.starts, settings.lookback, layout.lengths)


def _resolve(params: Params, panel: Panel, train: int) -> Settings:
    rows = [row for row in panel.layout.before(panel.values, train) if len(row)]
    typical = int(np.median([len(row) for row in rows])) if rows else train
    voters, given, horizon = longest_rows(rows), params.gaps.seasons, params.windows.horizon
    least = min(LEAST_OF_MANY, sum(map(len, rows)) // TRAIN_SHARE_OF_LOOKBACK, _shortest(panel, train) - horizon)

    def repeated(learned: list[np.ndarray]) -> tuple[tuple[float, ...], int, int]:
        seasons = infer_seasons(learned, panel.timestamps[:train]) if given is None else given
        lookback = params.windows.lookback or _derived_lookback(typical, horizon, seasons, least)
        return seasons, lookback, best_repeated(voters, held_once(seasons, lookback))

    # The season of what grows is small at first, and mere growth may look like one: logarithms show what repeats.
    in_logs = [np.log(row, where=row > 0, out=np.full(len(row), np.nan)) for row in voters]
    found, of_logs, log = repeated(voters), repeated(in_logs), params.data.log
    if log is None:
        log = any(spread_follows_level(voters, max(season, FEWEST_STEPS)) for *_, season in (found, of_logs))
    seasons, lookback, season = of_logs if log else found
    used = held_once(seasons, lookback)
    longest_gap = params.gaps.longest or max(1, lookback // 4)
    return Settings(
        frequency=panel.frequency,
        anchor=str(panel.timestamps[0]),
        seasons=seasons,
        season=season,
        decay=fit_decay(in_logs if log else voters, used, longest_gap) if used else None,
        lookback=lookback,
        horizon=horizon,
        longest_gap=longest_gap,
        max_missing=params.gaps.max_missing,
        log=log,
        closed=panel.closed,
        timezone=panel.timezone,
    )


def _shortest(panel: Panel, train: int) -> int:
    """Steps of the shortest row that train rows know of, if those that have not ended in them go on to the end."""
    starts, ends = panel.layout.starts, panel.layout.ends
    lengths = np.where(ends < train, ends, len(panel.timestamps)) - starts
    return int(lengths[starts < train].min(initial=len(panel.timestamps)))


def _derived_lookback(train: int, horizon: int, seasons: Sequence[float], least: int = 2) -> int:
    """A tenth of the train rows in whole seasons of the shortest kind, or more to hold longer ones twice, or once."""
    most = max(1, min(LONGEST_LOOKBACK, (train - horizon) // 2))
    wanted = min(most, max(train // TRAIN_SHARE_OF_LOOKBACK, least, 2))
    fitting = [season for season in seasons if round(season) <= most]
    if not fitting:
        return most if seasons else wanted
    shortest = fitting[0]
    needed = max(2 * season if 2 * season <= most else season for season in fitting)
    whole = max((wanted + 0.5) // shortest, math.ceil(needed / shortest - ROUNDING))
    return min(round(whole * shortest), most)
