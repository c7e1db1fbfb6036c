"""Keeps the last lines that an engine wrote, and ours between them."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

KEPT_LINES = 500
LONGEST_LINE = 4096
"""Characters. A longer line is cut, so that a binary dump cannot fill the memory."""
OURS = "phonepilot: "
"""Prefix of the lines that the supervisor adds."""


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    ours: bool


class LogRing:
    """A bounded log: the newest lines push out the oldest.

    Lines of the engine and notes of the supervisor are kept apart, so that a note about an earlier
    failure is never read as a failure of the engine.
    """

    def __init__(self, kept: int = KEPT_LINES) -> None:
        self._lines: deque[_Line] = deque(maxlen=kept)
        self._partial = b""
        self._cut = False
        """Whether the rest of the current line is to be dropped."""
        self.last_at = time.monotonic()
        """When the last line arrived, by the monotonic clock."""

    def split(self, data: bytes) -> list[str]:
        """Return the lines that `data`, the next bytes of output, completes."""
        *whole, self._partial = (self._partial + data).split(b"\n")
        if whole and self._cut:  # the end of a line whose beginning was returned already
            whole, self._cut = whole[1:], False
        if len(self._partial) > LONGEST_LINE:
            if not self._cut:
                whole.append(self._partial)
            self._partial, self._cut = b"", True
        return [_decoded(line) for line in whole]

    def rest(self) -> list[str]:
        """Return what arrived without a newline; call it at the end of the stream."""
        rest, self._partial = self._partial, b""
        return [_decoded(rest)] if rest and not self._cut else []

    def add(self, line: str) -> None:
        """Add a line of the engine."""
        self._append(_Line(line, ours=False))

    def note(self, text: str) -> None:
        """Add a line of the supervisor's own."""
        self._append(_Line(f"{OURS}{text}"[:LONGEST_LINE], ours=True))

    def _append(self, line: _Line) -> None:
        self._lines.append(line)
        self.last_at = time.monotonic()

    def lines(self, count: int | None = None) -> tuple[str, ...]:
        """The last `count` lines, oldest first; all of them without a number."""
        lines = tuple(line.text for line in self._lines)
        return lines if count is None else lines[max(0, len(lines) - count) :]

    def engine_lines(self) -> tuple[str, ...]:
        """The lines that the engine itself wrote, oldest first."""
        return tuple(line.text for line in self._lines if not line.ours)

    def clear(self) -> None:
        """Forget everything, for a new run."""
        self.last_at = time.monotonic()
        self._lines.clear()
        self._partial, self._cut = b"", False


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")[:LONGEST_LINE]
