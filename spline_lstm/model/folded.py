"""A ridge on a long past, folded at the season: one small map from cycles to the cycles ahead, shared by all phases.

It sees much further back than a window, by few weights, and reverts to the mean of what it sees: it errs otherwise than
a map from a window's last value. In the manner of TimeBase (Huang et al. 2025), whose periods share one map, too. What
the map missed of the newest cycle, had it forecast that one, corrects what it says of those ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from spline_lstm.data.windows import WindowIndex, WindowSource
from spline_lstm.model.ridge import PENALTIES

LONGEST_SEASON = 53  # steps, a year of weeks; of longer ones a series holds too few
CYCLES = (15, 30, 90)  # that are tried
SEEN_CYCLES = 2  # train rows hold so many times the cycles at least
MOST_WINDOWS, MOST_JUDGES = 1 << 14, 1 << 12  # evenly spread
CHUNK_FLOATS = 1 << 22

Samples = Iterator[tuple[np.ndarray, np.ndarray]]  # inputs and targets, `(samples, ...)` each, some at a time


@dataclass(frozen=True)
class FoldedRidge:
    """Linear map from the newest cycles to those ahead, and from what it missed of the newest one to what it will miss.

    Attributes:
        kernel: `(cycles, ceil(horizon / phases))`, float32.
        correction: `(phases, horizon)`, float32.
        season: Steps, not always whole; `phases` of them are a cycle, see `WindowSource`.
        penalties: The shares of the input variance that were chosen, for the one and the other.
    """

    kernel: np.ndarray
    correction: np.ndarray
    season: float
    penalties: tuple[float, float]

    @property
    def seen(self) -> int:
        """How many cycles a window must show: one more than the map reads, for it to forecast the newest one, too."""
        return len(self.kernel) + 1


def fit_folded(
    source: WindowSource, train: WindowIndex, validation: WindowIndex, effects: np.ndarray, season: float, steps: int
) -> FoldedRidge | None:
    """Solve on train windows for some numbers of cycles and all penalties; keep what errs least on validation windows.
    Numbers of cycles are judged with their correction, since it mends the one more than the other.

    Args:
        source: Where windows are cut from.
        train: Windows to learn from.
        validation: Windows that choose.
        effects: `(1 + static, known + delayed + calendar)`, which are taken out first, see `Covariates.effect`.
        season: Steps.
        steps: Of the train split.

    Returns:
        None if the season is 1 or too long, or train rows hold too few of it.
    """
    most = int(steps // (SEEN_CYCLES * season))
    choices = sorted({min(count, most) for count in CYCLES})
    if not 1 < season <= LONGEST_SEASON or choices[0] < 2:
        return None
    train, validation = train.at_most(MOST_WINDOWS), validation.at_most(MOST_JUDGES)
    found = []
    for count in choices:
        longer = source.with_cycles(count + 1, season, effects)
        kernel, penalty, _ = _best(partial(_samples, longer), train, validation)
        correction, other, error = _best(partial(_misses, longer, kernel), train, validation)
        found.append((FoldedRidge(kernel, correction, season, (penalty, other)), error))
    return min(found, key=lambda candidate: candidate[1])[0]


def refit_folded(source: WindowSource, windows: WindowIndex, effects: np.ndarray, folded: FoldedRidge) -> FoldedRidge:
    """The maps that other windows ask for, with the cycles and penalties that were chosen, beside the same effects."""
    longer, windows = source.with_cycles(folded.seen, folded.season, effects), windows.at_most(MOST_WINDOWS)
    kernel = _maps(_samples(longer, windows), folded.penalties[:1])[0]
    correction = _maps(_misses(longer, kernel, windows), folded.penalties[1:])[0]
    return replace(folded, kernel=kernel, correction=correction)


def _best(
    samples: Callable[[WindowIndex], Samples], train: WindowIndex, validation: WindowIndex
) -> tuple[np.ndarray, float, float]:
    """The map of the best penalty, that penalty, and the squared validation error."""
    maps = _maps(samples(train), PENALTIES)
    errors = np.zeros(len(PENALTIES))
    for inputs, targets in samples(validation):
        for index, each in enumerate(maps):
            errors[index] += np.nansum((inputs @ each - targets) ** 2)
    best = int(np.argmin(errors))
    return maps[best], float(PENALTIES[best]), float(errors[best])


def _maps(samples: Samples, penalties: Sequence[float] | np.ndarray) -> np.ndarray:
    """The linear map of each penalty, from observed targets alone: `(penalties, inputs, outputs)`, float32."""
    grams: np.ndarray = np.zeros(0)
    cross: np.ndarray = np.zeros(0)
    for inputs, targets in samples:
        if not grams.size:
            grams = np.zeros((targets.shape[1], inputs.shape[1], inputs.shape[1]))
            cross = np.zeros((inputs.shape[1], targets.shape[1]))
        whole = None
        for output, observed in enumerate(np.isfinite(targets).T):
            if observed.all():
                whole = inputs.T @ inputs if whole is None else whole
                grams[output] += whole
                cross[:, output] += inputs.T @ targets[:, output]
            else:
                grams[output] += inputs[observed].T @ inputs[observed]
                cross[:, output] += inputs[observed].T @ targets[observed, output]
    maps = np.empty((len(penalties), *cross.shape), np.float32)
    for output, gram in enumerate(grams):
        values, vectors = np.linalg.eigh(gram)
        unit = np.trace(gram) / len(gram) + np.finfo(float).tiny
        rotated = vectors.T @ cross[:, output]
        for index, penalty in enumerate(penalties):
            maps[index, :, output] = vectors @ (rotated / (np.maximum(values, 0) + penalty * unit))
    return maps


def _samples(source: WindowSource, windows: WindowIndex) -> Samples:
    """Every phase of every window: `(samples, cycles)`, and targets, `(samples, cycles ahead)`, NaN where missing."""
    for cycles, targets, _ in past_and_ahead(source, windows):
        ahead = -(-source.horizon // source.phases)
        surplus = ahead * source.phases - source.horizon
        targets = np.pad(targets, ((0, 0), (0, surplus)), constant_values=np.nan)
        targets = np.swapaxes(targets.reshape(len(cycles), ahead, source.phases), 1, 2)
        yield cycles[:, :, 1:].reshape(-1, source.cycles - 1), targets.reshape(-1, ahead)


def _misses(source: WindowSource, kernel: np.ndarray, windows: WindowIndex) -> Samples:
    """What a map misses of the newest cycle, `(windows, phases)`, and of the targets, `(windows, horizon)`."""
    for cycles, targets, _ in past_and_ahead(source, windows):
        ahead = np.swapaxes(cycles[:, :, 1:] @ kernel, 1, 2).reshape(len(cycles), -1)
        yield cycles[:, :, -1] - cycles[:, :, :-1] @ kernel[:, 0], targets - ahead[:, : source.horizon]


def past_and_ahead(source: WindowSource, windows: WindowIndex) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """What there is to learn from, less the mean of the past and known effects, some windows at a time.

    Yields:
        Cycles, `(windows, phases, cycles)`; targets, `(windows, horizon)`, NaN where missing; the share of the past
        that lies within the row, `(windows, 1)`.
    """
    size = max(1, CHUNK_FLOATS // (source.cycles * source.phases))
    for rows, origins in windows.chunks(size):
        cycles, level, reach = source.folded(rows, origins)
        targets = source.outputs(rows, origins) - level - source.effect_ahead(rows, origins)
        yield np.swapaxes(cycles, 1, 2).astype(float), targets.astype(float), reach
