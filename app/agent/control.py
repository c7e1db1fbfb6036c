"""Pausing a task at a moment when the phone is idle, and going on.

The loop passes the gate before each step, and does what does not touch the phone's state inside
`unless_paused`, so that a pause ends a look or a request to the model at once; the step is then
taken again from its look, because the screen may be another one when the task goes on.

While the loop stands, a person may use the phone by hand. The loop goes on only when that hand is
off the phone again, so the two never touch it at the same time.
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

    `on_change` is told True when the loop stands still, with nothing under way on the phone, and
    False when it goes on.
    """

    def __init__(self, on_change: Callable[[bool], Awaitable[None]] | None = None) -> None:
        self._on_change = on_change
        self._wanted = asyncio.Event()
        self._released = asyncio.Event()
        self._released.set()
        self._stands = asyncio.Event()
        """Nothing acts on the phone, and whoever should know has been told."""
        self._open_to_hands = False
        self._hands = 0
        self._hands_off = asyncio.Event()
        self._hands_off.set()

    async def pause(self) -> None:
        """Ask for a pause; returns once nothing acts on the phone any more, or the pause was taken
        back before that."""
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
        """Called by the loop where nothing is under way: stays here while a pause is wanted."""
        while self._wanted.is_set():
            async with self.standing(lambda: self._told(True)):
                await self._released.wait()
            await self._told(False)

    @asynccontextmanager
    async def standing(
        self, announce: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[None]:
        """A time in which the loop does nothing on the phone, whether it is paused or not.

        `announce` tells others of it before `pause` returns. At the end a hand that is still on the
        phone is waited for.
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
        """A person's touch, while the loop stands. Raises DeviceBusy when it does not."""
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
        """The result of `work`, or None when a pause was asked for meanwhile and ended it."""
        task = asyncio.ensure_future(work)
        wanted = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait({task, wanted}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            # Whatever ends this, nothing of it is left behind: not a screenshot, not a request.
            for job in (task, wanted):
                job.cancel()
            await asyncio.wait({task, wanted})
            if not task.cancelled():
                task.exception()  # one that comes after the pause is the next look's to find
