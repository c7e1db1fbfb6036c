"""Pauses a task at a moment when the phone is idle, and resumes it.

The loop passes the gate before each step, and runs everything that does not change the phone inside
`unless_paused`, so that a pause ends a screenshot or a model request at once. The step then starts
over with a new look, because the screen may differ when the task resumes.

While the loop is stopped, a person may use the phone by hand. The loop resumes only after the last
touch by hand has ended, so that the two never act on the phone at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from app.errors import DeviceBusy

T = TypeVar("T")


class Control:
    """The pause switch of one task. Belongs to one event loop.

    `on_change` is called with True when the loop has stopped with nothing under way on the phone,
    and with False when it resumes.
    """

    def __init__(self, on_change: Callable[[bool], Awaitable[None]] | None = None) -> None:
        self._on_change = on_change
        self._wanted = asyncio.Event()
        self._released = asyncio.Event()
        self._released.set()
        self._stands = asyncio.Event()
        """Set while nothing acts on the phone and the observers have been notified."""
        self._open_to_hands = False
        self._hands = 0
        self._hands_off = asyncio.Event()
        self._hands_off.set()

    async def pause(self) -> None:
        """Ask for a pause. Returns once nothing acts on the phone any more, or once the pause has
        been withdrawn."""
        self._released.clear()
        self._wanted.set()
        ends = [asyncio.ensure_future(each.wait()) for each in (self._stands, self._released)]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    def resume(self) -> None:
        self._wanted.clear()
        self._released.set()

    @property
    def pausing(self) -> bool:
        return self._wanted.is_set()

    @property
    def stands(self) -> bool:
        """Whether the loop leaves the phone to the person now."""
        return self._open_to_hands

    async def gate(self) -> None:
        """Wait here while a pause is wanted. The loop calls it when nothing is under way."""
        while self._wanted.is_set():
            async with self.standing(lambda: self._told(True)):
                await self._released.wait()
            await self._told(False)

    @asynccontextmanager
    async def standing(
        self, announce: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[None]:
        """A period in which the loop does nothing on the phone, whether the task is paused or not.

        `announce` notifies others before `pause` returns. At the end, waits for a touch by hand
        that is still under way.
        """
        self._open_to_hands = True
        try:
            if announce is not None:
                await announce()
            self._stands.set()
            yield
        finally:
            self._open_to_hands = False
            self._stands.clear()
            await self._hands_off.wait()

    @contextmanager
    def by_hand(self) -> Iterator[None]:
        """A person's touch while the loop is stopped. Raises DeviceBusy if it is not."""
        if not self._open_to_hands:
            raise DeviceBusy("a task is working with the phone", "Pause the task first.")
        self._hands += 1
        self._hands_off.clear()
        try:
            yield
        finally:
            self._hands -= 1
            if not self._hands:
                self._hands_off.set()

    async def _told(self, paused: bool) -> None:
        if self._on_change is not None:
            await self._on_change(paused)

    async def unless_paused(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return the result of `work`, or None if a pause was requested and ended it."""
        task = asyncio.ensure_future(work)
        wanted = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait({task, wanted}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            # However this ends, no screenshot and no request may be left running.
            for job in (task, wanted):
                job.cancel()
            await asyncio.wait({task, wanted})
            if not task.cancelled():
                task.exception()  # a fault after the pause is left for the next look to find
