"""How long an engine has said nothing of any worth in an answer."""

from __future__ import annotations

import asyncio
import time


class Silence:
    """Ends with each chunk that carries more than the pings of an event stream."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def heard(self, chunk: bytes) -> None:
        """Note the next bytes of the answer."""
        if not _is_ping(chunk):
            self._since = time.monotonic()

    async def lasts(self, seconds: float) -> None:
        """Return when it has lasted `seconds` since the last chunk, or since the last return."""
        while True:
            left = self._since + seconds - time.monotonic()
            if left <= 0:
                break
            await asyncio.sleep(left)
        self._since = time.monotonic()


def _is_ping(chunk: bytes) -> bool:
    """Whether a chunk of an event stream has comments only; a split one counts as progress."""
    return chunk.startswith(b":") and all(
        line.startswith(b":") for line in chunk.splitlines() if line.strip()
    )
