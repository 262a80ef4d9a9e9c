"""The LSTM of the tutorials: raw steps of all channels in, all horizons out, `Model.fit`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.runs import RUN_ID
from spline_lstm.data.layout import Layout
from spline_lstm.data.prepared import load_prepared
from spline_lstm.data.windows import origins_of
from spline_lstm.run.contract import RunPaths
from spline_lstm.run.params import load_params

LOOKBACK, UNITS, BATCH = 96, 64, 32
EPOCHS, PATIENCE = 20, 3
RESULT = Path("plain_lstm.json")


def plain_lstm(lookback: int, horizon: int, channels: int, units: int) -> keras.Model:
    """`(batch, lookback, channels)` to `(batch, horizon, channels)`."""
    model = keras.Sequential(
        [
            keras.Input((lookback, channels)),
            keras.layers.LSTM(units),
            keras.layers.Dense(horizon * channels),
            keras.layers.Reshape((horizon, channels)),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-3), loss="mse")
    return model


def main(_: list[str] | None = None) -> int:
    params = load_params()
    prepared = load_prepared(RunPaths(Path("artifacts"), RUN_ID))
    keras.utils.set_random_seed(params.seed)
    source = prepared.source

    filled = source.filled
    flats = (filled.settled, np.where(filled.observed, filled.settled, np.nan))
    # The channels of one file share a clock, so their rows are of one length.
    known, observed = (np.stack(list(prepared.layout.split(flat))) for flat in flats)
    clock = Layout.rectangular(1, known.shape[1])

    def cut(values: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        return sliding_window_view(values.T, length, axis=0)[starts].swapaxes(1, 2)

    def windows(split: str, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, origins = origins_of(clock, prepared.splits.bounds(split), LOOKBACK, source.horizon)
        return cut(known, origins - LOOKBACK + 1, LOOKBACK), cut(targets, origins + 1, source.horizon)

    model = plain_lstm(LOOKBACK, source.horizon, len(prepared.names), UNITS)
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    history = model.fit(
        *windows("train", known),
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=windows("validation", known),
        validation_batch_size=256,
        callbacks=[stop],
        verbose=0,
    )
    inputs, targets = windows("test", observed)
    error = model.predict(inputs, batch_size=256, verbose=0) - targets
    scores = {
        "mse": float(np.nanmean(error**2, dtype=float)),
        "mae": float(np.nanmean(np.abs(error), dtype=float)),
        "epochs": len(history.history["loss"]),
    }
    RESULT.write_text(json.dumps(scores), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
