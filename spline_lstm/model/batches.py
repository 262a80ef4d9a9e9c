"""What members learn from: windows in batches of one shape, in random order, augmented."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spline_lstm.data.windows import UNKNOWN, WindowIndex, Windows
from spline_lstm.model.linear import Remainder

NAMELESS = 0.1  # share of windows that do not say whose they are
MIXED = 0.5  # standard deviation of the share of another window that is added to one


@dataclass(frozen=True)
class MemberInputs:
    """What members see of windows: level-free, without the effects of known covariates.

    Attributes:
        remainder: Where windows are cut from.
        segment_starts: `(horizon segments,)`, the steps ahead at which members look at the calendar, from 0.
    """

    remainder: Remainder
    segment_starts: np.ndarray

    def gather(self, windows: WindowIndex, chosen: np.ndarray) -> tuple[Windows, np.ndarray]:
        """Some of the windows and their targets, `(windows, horizon)`, NaN where nothing was observed."""
        rows, origins = windows.at(chosen)
        source, covariates = self.remainder.source, self.remainder.source.covariates
        series, starts = covariates.series[rows], origins - source.lookback + 1
        values, level, ahead = self.remainder.level_free(rows, origins)
        inputs = Windows(
            values,
            source.missing(rows, origins),
            source.past(rows, origins),
            covariates.known[covariates.places(series, starts, source.lookback + source.horizon)],
            np.empty((len(rows), 0, 0), np.float32),
            covariates.calendar[origins[:, None] + 1 + self.segment_starts],
            covariates.static[series],
            source.identities[rows],
            np.empty((len(rows), 0, 1), np.float32),
            *np.empty((2, len(rows), 0), np.float32),
        )
        return inputs, source.outputs(rows, origins) - level - ahead


class TrainBatches:
    """Batches without end: pass after pass over the windows, each in a new order.

    Where there are several rows, some windows do not say whose they are, so that an unknown row is learned, too.

    Attributes:
        random: Decides.
        order: Of the windows in this pass.
        position: In it, of the next batch.
    """

    def __init__(
        self, seen: MemberInputs, windows: WindowIndex, size: int, random: np.random.Generator, augmented: bool
    ) -> None:
        self._seen, self._windows, self._size, self._augmented = seen, windows, size, augmented
        self._several = seen.remainder.source.trained > 1
        self.random = random
        self.order = np.arange(len(windows), dtype=np.int32)
        self.position = len(windows)

    def __iter__(self) -> TrainBatches:
        return self

    def __next__(self) -> tuple[Windows, np.ndarray]:
        if self.position + self._size > len(self.order):
            self.order, self.position = np.arange(len(self._windows), dtype=np.int32), 0
            self.random.shuffle(self.order)
        chosen = self.order[self.position : self.position + self._size]
        self.position += self._size
        batch, targets = self._seen.gather(self._windows, chosen)
        if self._augmented:
            batch, targets = augment(batch, targets, self.random)
        if self._several:
            nameless = self.random.random(self._size) < NAMELESS
            batch = batch._replace(rows=np.where(nameless, UNKNOWN, batch.rows).astype(np.int32))
        return batch, targets


def augment(windows: Windows, targets: np.ndarray, random: np.random.Generator) -> tuple[Windows, np.ndarray]:
    """Turn windows upside down at random, and add some of another window of the batch to each.

    For a linear system sums and mirror images of series are series, too; the members learn it as far as
    the data does not speak against it. What is known or static stays as it is: it says how the system works.

    Args:
        windows: Level-free.
        targets: `(windows, horizon)`, level-free, NaN where nothing was observed.
        random: Decides.

    Returns:
        The same; a target that is missing in either of two windows is missing in their sum.
    """
    count = len(targets)
    sign = random.choice(np.array([-1, 1], np.float32), (count, 1))
    amount = MIXED * random.standard_normal((count, 1), np.float32)
    other = random.permutation(count)

    def mixed(values: np.ndarray) -> np.ndarray:
        shape = (-1,) + (1,) * (values.ndim - 1)
        return sign.reshape(shape) * values + amount.reshape(shape) * values[other]

    return windows._replace(values=mixed(windows.values), past=mixed(windows.past)), mixed(targets)
