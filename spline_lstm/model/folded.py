"""A ridge on a long past, folded at the season: one small map from cycles to the cycles ahead, shared by all phases.

It sees much further back than a window, by few weights, and reverts to the mean of what it sees: it errs otherwise than
a map from a window's last value. In the manner of TimeBase (Huang et al. 2025), whose periods share one map, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spline_lstm.data.windows import WindowIndex, WindowSource
from spline_lstm.model.ridge import PENALTIES

LONGEST_SEASON = 48  # steps; of longer ones a series holds too few, and most are no whole number of steps
CYCLES = (15, 30, 90)  # that are tried
SEEN_CYCLES = 2  # train rows hold so many times the cycles at least
MOST_WINDOWS, MOST_JUDGES = 1 << 14, 1 << 12  # evenly spread
CHUNK_FLOATS = 1 << 22


@dataclass(frozen=True)
class FoldedRidge:
    """Linear map from the newest cycles to those ahead.

    Attributes:
        kernel: `(cycles, ceil(horizon / season))`, float32.
        season: Steps.
        penalty: The share of the input variance that was chosen.
    """

    kernel: np.ndarray
    season: int
    penalty: float


def fit_folded(
    source: WindowSource, train: WindowIndex, validation: WindowIndex, effects: np.ndarray, season: int, steps: int
) -> FoldedRidge | None:
    """Solve on train windows for some numbers of cycles and all penalties; keep what errs least on validation windows.

    Args:
        source: Where windows are cut from.
        train: Windows to learn from.
        validation: Windows that choose.
        effects: `(1 + static, known + calendar)`, which are taken out first, see `Covariates.effect`.
        season: Steps.
        steps: Of the train split.

    Returns:
        None if the season is 1 or too long, or train rows hold too few of it.
    """
    most = steps // (SEEN_CYCLES * season)
    choices = sorted({min(count, most) for count in CYCLES})
    if not 1 < season <= LONGEST_SEASON or choices[0] < 2:
        return None
    train, validation = train.at_most(MOST_WINDOWS), validation.at_most(MOST_JUDGES)
    found = [_fit(source.with_cycles(count, season, effects), train, validation) for count in choices]
    return min(found, key=lambda candidate: candidate[1])[0]


def refit_folded(source: WindowSource, windows: WindowIndex, effects: np.ndarray, folded: FoldedRidge) -> FoldedRidge:
    """The map that other windows ask for, with the cycles and the penalty that were chosen, beside the same effects."""
    longer = source.with_cycles(len(folded.kernel), folded.season, effects)
    kernel = _kernels(longer, windows.at_most(MOST_WINDOWS), [folded.penalty])[0]
    return replace(folded, kernel=kernel.astype(np.float32))


def _fit(source: WindowSource, train: WindowIndex, validation: WindowIndex) -> tuple[FoldedRidge, float]:
    """The best penalty's map, and its squared validation error."""
    kernels = _kernels(source, train, PENALTIES)
    errors = np.zeros(len(PENALTIES))
    for cycles, targets in _samples(source, validation):
        for index, kernel in enumerate(kernels):
            errors[index] += np.nansum((cycles @ kernel - targets) ** 2)
    best = int(np.argmin(errors))
    folded = FoldedRidge(kernels[best].astype(np.float32), source.season, float(PENALTIES[best]))
    return folded, float(errors[best])


def _kernels(source: WindowSource, windows: WindowIndex, penalties: Sequence[float] | np.ndarray) -> np.ndarray:
    """The map of each penalty: `(penalties, cycles, cycles ahead)`."""
    ahead = -(-source.horizon // source.season)
    grams, cross = np.zeros((ahead, source.cycles, source.cycles)), np.zeros((source.cycles, ahead))
    for cycles, targets in _samples(source, windows):
        whole = None
        for cycle, observed in enumerate(np.isfinite(targets).T):
            if observed.all():
                whole = cycles.T @ cycles if whole is None else whole
                grams[cycle] += whole
                cross[:, cycle] += cycles.T @ targets[:, cycle]
            else:
                grams[cycle] += cycles[observed].T @ cycles[observed]
                cross[:, cycle] += cycles[observed].T @ targets[observed, cycle]
    kernels = np.empty((len(penalties), *cross.shape))
    for cycle, gram in enumerate(grams):
        values, vectors = np.linalg.eigh(gram)
        unit = np.trace(gram) / len(gram) + np.finfo(float).tiny
        rotated = vectors.T @ cross[:, cycle]
        for index, penalty in enumerate(penalties):
            kernels[index, :, cycle] = vectors @ (rotated / (np.maximum(values, 0) + penalty * unit))
    return kernels


def _samples(source: WindowSource, windows: WindowIndex) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every phase of every window: `(samples, cycles)`, and targets, `(samples, cycles ahead)`, NaN where missing."""
    ahead = -(-source.horizon // source.season)
    surplus = ahead * source.season - source.horizon
    size = max(1, CHUNK_FLOATS // (source.cycles * source.season))
    for rows, origins in windows.chunks(size):
        cycles, level, _ = source.folded(rows, origins)
        targets = source.outputs(rows, origins) - level - source.effect_ahead(rows, origins)
        targets = np.pad(targets, ((0, 0), (0, surplus)), constant_values=np.nan)
        targets = np.swapaxes(targets.reshape(len(rows), ahead, source.season), 1, 2)
        yield (
            np.swapaxes(cycles, 1, 2).reshape(-1, source.cycles).astype(float),
            targets.reshape(-1, ahead).astype(float),
        )
