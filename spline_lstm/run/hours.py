"""Hours of the week as a person writes them: `Sat`, `17:30-08:00`, `Mon-Fri 22:00-06:00`."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

DAY, WEEK = 86_400, 604_800  # seconds
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = "|".join(DAYS)
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?"
TEXT = re.compile(rf"(?:({_DAY})(?:-({_DAY}))?)?(?:(?:^|(?<=[a-z]) )({_TIME})-({_TIME}|24:00))?")


@dataclass(frozen=True)
class Hours:
    """A stretch of time that begins on each of some days: all of the day, or from one time to another.

    Neither end belongs to it: a shop that is closed `17:30-08:00` may well count at 17:30 and at 08:00. All of a
    day begins with its midnight, the next midnight is outside.

    Attributes:
        first: The first of the days, 0 for Monday.
        last: The last of them; before `first`, where a Sunday lies between.
        begin: Seconds after midnight; None for all of the day.
        end: The same; on the next day, if it is not after `begin`.
    """

    first: int
    last: int
    begin: int | None = None
    end: int | None = None

    @classmethod
    def parse(cls, text: str) -> Hours:
        """The inverse of `str`.

        Raises:
            ValueError: The text names no hours.
        """
        match = TEXT.fullmatch(text)
        if not text or not match:
            raise ValueError("must name hours such as Sat, 17:30-08:00 or Mon-Fri 22:00-06:00")
        first, last, begin, end = match.groups()
        days = (0, 6) if first is None else (DAYS.index(first), DAYS.index(last or first))
        return cls(*days) if begin is None else cls(*days, _seconds(begin), _seconds(end) % DAY)

    def __str__(self) -> str:
        days = DAYS[self.first] if self.first == self.last else f"{DAYS[self.first]}-{DAYS[self.last]}"
        if self.begin is None or self.end is None:
            return days
        times = f"{_clock(self.begin)}-{_clock(self.end or DAY)}"
        return times if (self.first, self.last) == (0, 6) else f"{days} {times}"

    def hold(self, times: np.ndarray) -> np.ndarray:
        """Whether each of some times lies in these hours, `(times,)`, in seconds after Monday's midnight."""
        found = np.zeros(len(times), bool)
        for day in range(self.first, self.first + (self.last - self.first) % 7 + 1):
            since = (times - day * DAY) % WEEK
            if self.begin is None or self.end is None:
                found |= since < DAY
            else:
                length = (self.end - self.begin - 1) % DAY + 1
                found |= (since > self.begin) & (since < self.begin + length)
        return found


def _seconds(time: str) -> int:
    hours, minutes, *seconds = map(int, time.split(":"))
    return 3600 * hours + 60 * minutes + sum(seconds)


def _clock(seconds: int) -> str:
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return f"{text}:{seconds % 60:02}" if seconds % 60 else text
