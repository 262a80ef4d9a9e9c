"""From a panel to a prepared run: settings resolved on train rows, gaps filled, scaled and split."""

from __future__ import annotations

import numpy as np

from spline_lstm.data.gaps import fill_gaps
from spline_lstm.data.prepared import Prepared, Settings, as_rows
from spline_lstm.data.scaling import StandardScaler
from spline_lstm.data.seasonality import infer_season
from spline_lstm.data.series import Panel
from spline_lstm.data.windows import SPLITS, WindowSource, split_series
from spline_lstm.run.errors import InsufficientDataError
from spline_lstm.run.params import Params

LONGEST_LOOKBACK = 480
TRAIN_SHARE_OF_LOOKBACK = 10  # a derived lookback spans at most a tenth of the train rows


def prepare(panel: Panel, params: Params) -> Prepared:
    """Resolve settings on train rows, then fill, scale and split.

    Raises:
        ParamsError: The splits are not in order.
        DataError: A train column has no observation.
        InsufficientDataError: A split has no window.
    """
    rows = as_rows(panel.values)
    horizon = params.windows.horizon
    if rows.shape[1] < 3 * (horizon + 1):
        raise InsufficientDataError(
            f"The series must have at least {3 * (horizon + 1)} steps for a horizon of {horizon} in three splits. "
            f"Received: {rows.shape[1]}. Give more data, or shorten windows.horizon."
        )
    splits = split_series(panel.timestamps, params.split)
    scaler = StandardScaler.fit(rows[:, : splits.train], panel.channels)
    settings = _resolve(params, panel, rows[:, : splits.train])
    prepared = Prepared(
        panel.values, panel.timestamps, panel.channels, settings, splits, scaler, _source(rows, scaler, settings)
    )
    for split in SPLITS:
        prepared.windows(split)
    return prepared


def prepare_for_forecast(panel: Panel, scaler: StandardScaler, settings: Settings) -> WindowSource:
    """Windows of new data, made with the scaler and settings of a finished run.

    Raises:
        InsufficientDataError: There are fewer steps than one lookback.
    """
    rows = as_rows(panel.values)
    if rows.shape[1] < settings.lookback:
        raise InsufficientDataError(
            f"The input must have at least {settings.lookback} steps, the run's lookback. "
            f"Received: {rows.shape[1]}. Give more history."
        )
    return _source(rows, scaler, settings)


def _resolve(params: Params, panel: Panel, train: np.ndarray) -> Settings:
    season = params.gaps.season or infer_season(train)
    lookback = params.windows.lookback or _derived_lookback(train.shape[1], params.windows.horizon, season)
    return Settings(
        frequency=panel.frequency,
        anchor=str(panel.timestamps[0]),
        season=season,
        lookback=lookback,
        horizon=params.windows.horizon,
        longest_gap=params.gaps.longest or max(1, lookback // 4),
        max_missing=params.gaps.max_missing,
    )


def _derived_lookback(train: int, horizon: int, season: int) -> int:
    """As many whole seasons as a tenth of the train rows hold, two at least, if the rows allow."""
    wanted = min(LONGEST_LOOKBACK, max(train // TRAIN_SHARE_OF_LOOKBACK, 2 * season, 2))
    if season <= wanted:
        wanted -= wanted % season
    return max(1, min(wanted, (train - horizon) // 2))


def _source(rows: np.ndarray, scaler: StandardScaler, settings: Settings) -> WindowSource:
    scaled = scaler.transform(rows)
    filled = fill_gaps(scaled, settings.season)
    return WindowSource(filled, scaled.astype(np.float32), settings.lookback, settings.horizon)
