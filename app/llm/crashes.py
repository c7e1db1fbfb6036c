"""The pauses before an engine that crashed is started again."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Before a start after a crash; doubled from one to the next."""
HEALTHY_S = 300.0
"""An engine that was ready for so long has not failed by its settings: the pauses begin anew."""


@dataclass(frozen=True)
class Pause:
    """Before a start after `crashes` in a row; `until` is by the monotonic clock."""

    crashes: int
    seconds: float
    until: float

    def told(self) -> str:
        """What the engine waits for, "" once the pause is over."""
        left_s = math.ceil(self.until - time.monotonic())
        return f"starts in {left_s} s, after {self._crashes}" if left_s > 0 else ""

    def noted(self) -> str:
        """The same for the log, at its beginning."""
        return f"waiting {self.seconds:g} s, after {self._crashes}"

    @property
    def _crashes(self) -> str:
        return "a crash" if self.crashes == 1 else f"{self.crashes} crashes in a row"


class Crashes:
    """How many there were in a row."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, ready_s: float) -> None:
        """Count the crash of an engine that had been ready for `ready_s` seconds."""
        self._count = 1 if ready_s >= HEALTHY_S else self._count + 1

    def forget(self) -> None:
        """Begin anew: what it crashed of is put right, or a person has stopped it."""
        self._count = 0

    def pause(self) -> Pause | None:
        """The pause before a start now, None when it may start at once."""
        if not self._count:
            return None
        seconds = min(FIRST_PAUSE_S * 2 ** (self._count - 1), LONGEST_PAUSE_S)
        return Pause(self._count, seconds, time.monotonic() + seconds)
