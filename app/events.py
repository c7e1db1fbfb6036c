"""Typed events with numbers, kept for late readers, sent to each reader through a bounded queue.

A topic is one task. The publisher never waits: a reader whose queue is full is marked as lagging,
loses what it could not take, and is told how many events that were.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

KEPT_EVENTS = 5_000
READER_QUEUE = 1_000


@dataclass(frozen=True)
class Event:
    """`seq` counts from 1 within its topic; `data` is JSON-ready."""

    seq: int
    kind: str
    data: dict[str, Any]


class _Reader:
    def __init__(self) -> None:
        self.queue: asyncio.Queue[Event | None] = asyncio.Queue(maxsize=READER_QUEUE)
        self.lost = 0

    def offer(self, event: Event | None) -> None:
        if event is None:
            while self.queue.full():
                self.queue.get_nowait()
                self.lost += 1
            self.queue.put_nowait(None)
        elif self.queue.full():
            self.lost += 1
        else:
            self.queue.put_nowait(event)


class Topic:
    """The events of one task. Owned by one event loop; `close` ends all readers."""

    def __init__(self) -> None:
        self._kept: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._readers: set[_Reader] = set()
        self._count = 0
        self.closed = False

    def publish(self, kind: str, data: dict[str, Any]) -> Event:
        self._count += 1
        event = Event(self._count, kind, data)
        self._kept.append(event)
        for reader in self._readers:
            reader.offer(event)
        return event

    def close(self) -> None:
        self.closed = True
        for reader in self._readers:
            reader.offer(None)

    async def read(self, after: int = 0) -> AsyncIterator[Event]:
        """Events with a number above `after`: the kept ones, then new ones until the end.

        What a slow reader lost comes as an event of kind "lost" with a count.
        """
        reader = _Reader()
        for event in self._kept:
            if event.seq > after:
                reader.offer(event)
        self._readers.add(reader)
        if self.closed:
            reader.offer(None)
        last = after
        try:
            while (event_or_end := await reader.queue.get()) is not None:
                if reader.lost:
                    yield Event(last, "lost", {"count": reader.lost})
                    reader.lost = 0
                last = event_or_end.seq
                yield event_or_end
        finally:
            self._readers.discard(reader)
