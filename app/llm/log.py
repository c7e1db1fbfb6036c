"""The last lines that an engine wrote."""

from __future__ import annotations

import time
from collections import deque

KEPT_LINES = 500
LONGEST_LINE = 4096
"""Characters; a longer line is cut, so that a binary dump cannot fill the memory."""


class LogRing:
    """Bytes in, whole lines out; the oldest lines fall off."""

    def __init__(self, kept: int = KEPT_LINES) -> None:
        self._lines: deque[str] = deque(maxlen=kept)
        self._partial = b""
        self.last_at = time.monotonic()
        """When the last line came, by the monotonic clock."""

    def feed(self, data: bytes) -> list[str]:
        """Add what was read; returns the lines that it completed."""
        *whole, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > LONGEST_LINE:
            whole.append(self._partial)
            self._partial = b""
        return [self.add(line.decode("utf-8", "replace").rstrip("\r")) for line in whole]

    def flush(self) -> list[str]:
        """End of the stream: what came without a newline becomes the last line."""
        rest, self._partial = self._partial, b""
        return [self.add(rest.decode("utf-8", "replace"))] if rest else []

    def add(self, line: str) -> str:
        """Add one line of our own or of the engine; returns it as kept."""
        line = line[:LONGEST_LINE]
        self._lines.append(line)
        self.last_at = time.monotonic()
        return line

    def lines(self, count: int | None = None) -> tuple[str, ...]:
        """The last `count` lines, oldest first; all of them without a number."""
        lines = tuple(self._lines)
        return lines if count is None else lines[max(0, len(lines) - count) :]

    def clear(self) -> None:
        """Forget everything: a new run begins."""
        self.last_at = time.monotonic()
        self._lines.clear()
        self._partial = b""
