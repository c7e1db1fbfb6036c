"""Numbered events of a task, kept for late readers.

A topic is one task. The publisher never waits: each reader takes the kept events at its own pace,
and a reader that is too slow is told how many events it lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

KEPT_EVENTS = 5_000


@dataclass(frozen=True)
class Event:
    """`seq` increases by one with each event of a topic; `data` is ready for JSON."""

    seq: int
    kind: str
    data: dict[str, Any]


class Topic:
    """The events of one task. Owned by one event loop; `close` ends all readers."""

    def __init__(self, begin: int = 0) -> None:
        """`begin` is the number before that of the first event."""
        self._begin = self._count = begin
        self._kept: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._news = asyncio.Event()
        self.closed = False

    def publish(self, kind: str, data: dict[str, Any]) -> Event:
        self._count += 1
        event = Event(self._count, kind, data)
        self._kept.append(event)
        self._wake()
        return event

    def close(self) -> None:
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def read(self, after: int = 0) -> AsyncIterator[Event]:
        """Yield the events with a number above `after`: the kept ones, then new ones until the end.

        A number that this topic has not sent means all events. Events that are no longer kept are
        replaced by an event of kind "lost" with their count.
        """
        last = max(after, self._begin) if after <= self._count else self._begin
        while True:
            lost = self._count - len(self._kept) - last
            if lost > 0:
                last += lost
                yield Event(last, "lost", {"count": lost})
            for event in self._after(last):
                last = event.seq
                yield event
            if last < self._count:
                continue
            if self.closed:
                return
            await self._news.wait()

    def _after(self, number: int) -> list[Event]:
        """Return the kept events after `number`."""
        count = min(self._count - number, len(self._kept))
        return [self._kept[at] for at in range(-count, 0)]
