"""A panel made for a benchmark, in a file, a few series in memory at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20260301
CHUNK = 100  # series
MISSING = 0.01


def write_panel(path: str, count: int, steps: int) -> None:
    """Write hourly series, `series, time, value`, with two seasons and noise that remembers, some rows left out.

    The first series of a larger panel are those of a smaller one.
    """
    clock = np.arange(steps)
    times = np.datetime64("2024-01-01", "ms") + clock.astype("timedelta64[h]")
    day, week = np.sin(2 * np.pi * clock / 24), np.where(clock // 24 % 7 < 5, 1.0, -2.0)
    schema = pa.schema([("series", pa.string()), ("time", pa.timestamp("ms")), ("value", pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, count, CHUNK):
            random = np.random.default_rng([SEED, start])
            rows = min(CHUNK, count - start)
            level, size, weekly = (random.uniform(*bounds, CHUNK) for bounds in ((50, 500), (2, 20), (0, 2)))
            noise = random.normal(size=(steps, CHUNK))
            for step in range(1, steps):
                noise[step] += 0.8 * noise[step - 1]
            values = level + size * (day[:, None] + weekly * week[:, None] / 2 + noise / 3)
            kept = (random.random((CHUNK, steps)) >= MISSING)[:rows]
            names = np.array([f"s{number:05}" for number in range(start, start + rows)])
            places = np.nonzero(kept)
            columns = [pa.array(names[places[0]]), pa.array(times[places[1]]), pa.array(values.T[:rows][kept].round(3))]
            writer.write_table(pa.table(columns, schema=schema))
