"""What accompanies the series: covariates known up to an origin, known for their own time, or constant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from spline_lstm.data.lags import lag_operator
from spline_lstm.data.layout import Layout

LONGEST_DELAY = 48  # steps
FINE_DELAYS = 8  # are told apart
DELAY_GROWTH = 1.5  # of those at which further knots stand


@dataclass(frozen=True)
class Covariates:
    """Covariates of the rows of a source, standardized and without gaps.

    Attributes:
        series: `(rows,)`, which series each row to forecast is of.
        past: How many past covariates a series has; they are rows of the source itself, behind the rows to
            forecast, those of one series after the other.
        layout: Where the known covariates of each series stand: to one horizon behind its last step.
        known: `(known steps, features)`, float32, in that layout.
        calendar: `(time + horizon, features)`, float32, known covariates that all series share.
        optional: How many of these, the last ones, are of the clock and the year: validation may leave them out.
        static: `(series, features)`, float32.
        longest_delay: Steps, up to which what was known of earlier ones is looked at, too; 0 for not at all.
    """

    series: np.ndarray
    past: int
    layout: Layout
    known: np.ndarray
    calendar: np.ndarray
    optional: int
    static: np.ndarray
    longest_delay: int = 0

    @classmethod
    def none(cls, layout: Layout, horizon: int) -> Covariates:
        """Of rows that are a series each and have none."""
        known = layout.longer(horizon)
        time = int(known.ends.max(initial=0))
        return cls(
            np.arange(len(layout)),
            0,
            known,
            np.empty((known.size, 0), np.float32),
            np.empty((time, 0), np.float32),
            0,
            np.empty((len(layout), 0), np.float32),
        )

    def without_clock(self) -> Covariates:
        """The same without what is of the clock and the year."""
        return replace(self, calendar=self.calendar[:, : self.calendar.shape[1] - self.optional], optional=0)

    def with_delays(self, lookback: int) -> Covariates:
        """The same with what was known of earlier steps: of `LONGEST_DELAY` of them, or of a lookback."""
        return replace(self, longest_delay=min(LONGEST_DELAY, lookback))

    @cached_property
    def delayed(self) -> np.ndarray:
        """Means of known covariates under splines of the steps before: `(known steps, splines * features)`, float32.

        Before a series begins they were what they were at its begin.
        """
        weights = self._delays
        result = np.zeros((self.layout.size, weights.shape[1], self.known.shape[1]), np.float32)
        begins, steps = np.repeat(self.layout.offsets[:-1], self.layout.lengths), np.arange(self.layout.size)
        for delay, spline in np.argwhere(weights):
            result[:, spline] += weights[delay, spline] * self.known[np.maximum(steps - delay, begins)]
        return result.reshape(len(result), -1)

    @property
    def _delays(self) -> np.ndarray:
        """The weight of each delay in each spline, the step itself, of delay 0, left out: `(delays, splines)`."""
        return lag_operator(1 + self.longest_delay, FINE_DELAYS, DELAY_GROWTH)[::-1, 1:]

    @property
    def channels(self) -> dict[str, int]:
        """How many there are of each role, under the names that the model gives them."""
        known = self.known.shape[1]
        shared = {"calendar": self.calendar.shape[1], "static": self.static.shape[1]}
        return {"past": self.past, "known": known, "delayed": known * self._delays.shape[1], **shared}

    @property
    def effects_shape(self) -> tuple[int, int]:
        """Of `effect`'s argument."""
        channels = self.channels
        return 1 + channels["static"], channels["known"] + channels["delayed"] + channels["calendar"]

    @property
    def used(self) -> dict[str, bool]:
        """Which covariates that validation may leave out are there, for `Series.seen_by`."""
        return {"clock": self.optional > 0, "delays": self.longest_delay > 0}

    def past_rows(self, series: np.ndarray, first: int) -> np.ndarray:
        """The rows of the source that hold past covariates: `(windows, past)`.

        Args:
            series: `(windows,)`.
            first: The first of them.
        """
        return first + self.past * series[:, None] + np.arange(self.past)

    def places(self, series: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        """Where stretches that begin at calendar steps stand in `known` and `delayed`: `(windows, length)`."""
        return self.layout.positions(series, starts)[:, None] + np.arange(length)

    @property
    def alike(self) -> bool:
        """Whether all series have the same covariates that are known in advance: those of the calendar."""
        return not self.known.shape[1] and not self.static.shape[1]

    def effect(self, effects: np.ndarray) -> np.ndarray:
        """The linear effect of all that is known in advance, float32.

        Args:
            effects: `(1 + static, known + delayed + calendar)`: of the covariates, then of their products with each
                static one.

        Returns:
            `(known steps,)`, in the layout of `known`; `(time + horizon,)` where the series are alike.
        """
        if self.alike:
            return self.calendar @ effects[0]
        result = np.empty(self.layout.size, np.float32)
        channels, delayed = self.channels, self.delayed
        to_delayed, to_calendar = np.cumsum([channels["known"], channels["delayed"]])
        parts = zip(self.layout.split(result), self.layout.starts, self.layout.offsets, self.static, strict=False)
        for part, start, offset, static in parts:
            slopes = effects[0] + static @ effects[1:]
            own = slice(offset, offset + len(part))
            part[:] = self.known[own] @ slopes[:to_delayed] + delayed[own] @ slopes[to_delayed:to_calendar]
            part += self.calendar[start : start + len(part)] @ slopes[to_calendar:]
        return result

    def effect_before(self, effect: np.ndarray, series: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """What `effect` gave at calendar steps, `(windows, length)`; its first value before a series begins."""
        if self.alike:
            return effect[np.maximum(steps, 0)]
        begins = self.layout.offsets[series][:, None]
        return effect[np.maximum(begins + steps - self.layout.starts[series][:, None], begins)]

    def effect_steps(self, effect: np.ndarray, series: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        """What `effect` gave, of stretches that begin at calendar steps: `(windows, length)`."""
        if self.alike:
            return sliding_window_view(effect, length)[starts]
        return self.layout.cut(effect, series, starts, length)
