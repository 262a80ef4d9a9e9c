"""Where the steps of ragged series stand: in flat arrays, and on the calendar that all series share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


@dataclass(frozen=True)
class Layout:
    """Rows of unequal length, one after the other, without padding.

    Attributes:
        starts: `(rows,)`, the calendar step at which each row begins.
        lengths: `(rows,)`, how many steps it has.
    """

    starts: np.ndarray
    lengths: np.ndarray

    @classmethod
    def rectangular(cls, rows: int, time: int) -> Layout:
        """Rows that all span the whole calendar."""
        return cls(np.zeros(rows, np.int64), np.full(rows, time, np.int64))

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def offsets(self) -> np.ndarray:
        """`(rows + 1,)`, where each row begins in a flat array, and where the last one ends."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @property
    def ends(self) -> np.ndarray:
        """`(rows,)`, the calendar step after each row's last."""
        return self.starts + self.lengths

    @property
    def size(self) -> int:
        """Length of a flat array."""
        return int(self.offsets[-1])

    def steps(self) -> np.ndarray:
        """`(steps,)`, the calendar step of each entry of a flat array."""
        return np.arange(self.size) - np.repeat(self.offsets[:-1] - self.starts, self.lengths)

    def positions(self, rows: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Where calendar steps of rows stand in a flat array."""
        return self.offsets[rows] + steps - self.starts[rows]

    def cut(self, flat: np.ndarray, rows: np.ndarray, steps: np.ndarray, length: int) -> np.ndarray:
        """Stretches of a flat array, each beginning at a calendar step of a row: `(stretches, length)`.

        A stretch must not cross the border of its row; nothing here looks.
        """
        return sliding_window_view(flat, length)[self.positions(rows, steps)]

    def split(self, flat: np.ndarray) -> Iterator[np.ndarray]:
        """The rows of a flat array, as views."""
        for start, end in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            yield flat[start:end]

    def chunks(self, steps: int) -> Iterator[slice]:
        """Stretches of rows that hold so many steps at most, or are one row each."""
        first = 0
        while first < len(self):
            fitting = int(np.searchsorted(self.offsets, self.offsets[first] + steps, side="right")) - 1
            yield slice(first, max(first + 1, fitting))
            first = max(first + 1, fitting)

    def before(self, flat: np.ndarray, step: int) -> Iterator[np.ndarray]:
        """Of each row of a flat array what stands before a calendar step, as views; possibly nothing."""
        for row, start in zip(self.split(flat), self.starts, strict=True):
            yield row[: max(0, step - start)]

    def of(self, rows: np.ndarray | slice) -> Layout:
        """The layout of some rows, chosen as from an array."""
        return Layout(self.starts[rows], self.lengths[rows])

    def followed_by(self, other: Layout) -> Layout:
        """The layout of these rows and then those of another one."""
        return Layout(np.append(self.starts, other.starts), np.append(self.lengths, other.lengths))

    def longer(self, steps: int) -> Layout:
        """The layout of rows that go on for some steps more."""
        return Layout(self.starts, self.lengths + steps)

    def keep(self, flat: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, Layout]:
        """A flat array and its layout with some rows only; `rows` is `(rows,)`, True for those kept."""
        return flat[np.repeat(rows, self.lengths)], self.of(rows)
