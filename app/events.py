"""Typed events with numbers, kept for late readers.

A topic is one task. The publisher never waits: readers take what is kept, each at its own pace, and
one that is so slow that events are kept no longer is told how many it lost.
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
    """`seq` grows by one from event to event of a topic; `data` is JSON-ready."""

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
        """Events with a number above `after`: the kept ones, then new ones until the end.

        A number that this topic has not sent stands for none. What is kept no longer comes as an
        event of kind "lost" with a count.
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
        """The kept events from the one after `number` on."""
        count = min(self._count - number, len(self._kept))
        return [self._kept[at] for at in range(-count, 0)]
