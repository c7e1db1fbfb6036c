"""The events of a virtual phone, in order, for its observers."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

KEPT = 10_000


class EventLog:
    """The last events, and a queue per reader. A reader that lags loses the oldest events."""

    def __init__(self) -> None:
        self.entries: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._count = 0
        self._readers: set[asyncio.Queue[dict[str, Any]]] = set()

    def add(self, kind: str, **data: Any) -> None:
        self._count += 1
        entry = {"seq": self._count, "kind": kind, **data}
        self.entries.append(entry)
        for reader in self._readers:
            if reader.full():
                reader.get_nowait()
            reader.put_nowait(entry)

    def subscribe(self) -> asyncio.Queue[dict[str, Any]]:
        reader: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=1_000)
        self._readers.add(reader)
        return reader

    def unsubscribe(self, reader: asyncio.Queue[dict[str, Any]]) -> None:
        self._readers.discard(reader)
