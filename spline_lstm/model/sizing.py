"""Sizes of the model that params.yaml leaves open, derived from windows and sample count."""

from __future__ import annotations

import math
from typing import Any

from spline_lstm.run.params import ModelParams, SplineParams, TrainParams

LONGEST_SEGMENT = 48
SEGMENTS = 7
NARROWEST, WIDEST = 16, 128
BATCH = 32  # windows of one row
MOST_ROWS_IN_BATCH = 8


def model_settings(
    spline: SplineParams, model: ModelParams, lookback: int, horizon: int, rows: int, train_windows: int
) -> dict[str, Any]:
    """Arguments of `SplineForecaster`, but for its scales.

    Args:
        spline: As given; null values are derived.
        model: As given; null values are derived.
        lookback: Steps.
        horizon: Steps.
        rows: Series times targets.
        train_windows: How many windows there are to learn from; the width grows with their root.
    """
    segment = min(lookback, spline.segment or max(1, min(LONGEST_SEGMENT, lookback // SEGMENTS)))
    coefficients = min(segment, spline.coefficients or max(4, segment // 2))
    width = 2 ** math.ceil(math.log2(math.sqrt(train_windows) / 2 + 1))
    return {
        "lookback": lookback,
        "horizon": horizon,
        "rows": rows,
        "members": [min(steps, lookback) for steps in model.members or (lookback,)],
        "segment": segment,
        "coefficients": coefficients,
        "degree": spline.degree,
        "penalty": spline.penalty,
        "cell": model.cell,
        "units": model.units or max(NARROWEST, min(WIDEST, width)),
        "dropout": model.dropout,
        "linear": model.linear,
    }


def train_settings(train: TrainParams, rows: int) -> TrainParams:
    """What `train` leaves open.

    A batch holds 32 windows of each row, of 8 rows at most. Windows are augmented where there are several
    rows: one series has its own direction and shape, of which a mirror image knows nothing.
    """
    return train.model_copy(
        update={
            "batch_size": train.batch_size or BATCH * min(rows, MOST_ROWS_IN_BATCH),
            "augment": rows > 1 if train.augment is None else train.augment,
        }
    )
