"""Train one model of neuralforecast and score every test window; run by speed.py in an environment of its own.

    python benchmarks/peers.py MODEL STEPS DATA TRAIN VALIDATION TEST LOOKBACK HORIZON UNITS WINDOWS

The last line of stdout is JSON: `seconds` from reading the data to scores, `step` (median seconds of a
training step), `mse`, `mae`, versions.
"""

import json
import logging
import statistics
import sys
import time
import warnings
from importlib.metadata import version
from typing import ClassVar

import numpy as np
import pandas as pd
import pytorch_lightning as lightning
from neuralforecast import NeuralForecast, models
from neuralforecast.losses.pytorch import MAE

MODELS: dict[str, dict[str, object]] = {
    "LSTM": {"encoder_hidden_size": "units", "decoder_hidden_size": "units", "encoder_n_layers": 1},
    "NHITS": {},
    "DLinear": {},
    "PatchTST": {"hidden_size": "units"},
}


class StepTimes(lightning.Callback):
    """How long each training step took; of the class, for neuralforecast trains with a copy."""

    seconds: ClassVar[list[float]] = []

    def on_train_batch_start(self, *_: object) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(self, *_: object) -> None:
        self.seconds.append(time.perf_counter() - self.start)


def main() -> None:
    name, steps, data, *numbers = sys.argv[1:]
    train, validation, test, lookback, horizon, units, windows = map(int, numbers)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    start = time.perf_counter()
    frame = pd.read_csv(data, nrows=train + validation + test)
    clock, values = pd.to_datetime(frame.iloc[:, 0]), frame.iloc[:, 1:]
    scaled = (values - values[:train].mean()) / values[:train].std(ddof=0)
    panel = pd.concat([pd.DataFrame({"unique_id": key, "ds": clock, "y": scaled[key]}) for key in scaled])
    model = getattr(models, name)(
        h=horizon,
        input_size=lookback,
        max_steps=int(steps),
        loss=MAE(),
        batch_size=scaled.shape[1],
        windows_batch_size=windows,
        inference_windows_batch_size=1024,
        random_seed=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        enable_checkpointing=False,
        callbacks=[StepTimes()],
        **{key: units if value == "units" else value for key, value in MODELS[name].items()},
    )
    forecasts = NeuralForecast([model], freq="h").cross_validation(
        panel, val_size=validation, test_size=test, n_windows=None, step_size=1
    )
    error = forecasts[name] - forecasts["y"]
    result = {
        "seconds": time.perf_counter() - start,
        "step": statistics.median(StepTimes.seconds),
        "mse": float(np.mean(error**2)),
        "mae": float(np.mean(error.abs())),
        "version": version("neuralforecast"),
        "torch": version("torch"),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
