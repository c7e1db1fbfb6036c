"""Pausing a task at a moment when the phone is idle, and going on.

The loop passes the gate before each step, and does what does not touch the phone's state inside
`unless_paused`, so that a pause ends a look or a request to the model at once; the step is then
taken again from its look, because the screen may be another one when the task goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

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
        self._idle = asyncio.Event()

    async def pause(self) -> None:
        """Ask for a pause; returns once nothing acts on the phone any more."""
        self._released.clear()
        self._wanted.set()
        await self._idle.wait()

    def resume(self) -> None:
        self._wanted.clear()
        self._released.set()

    @property
    def pausing(self) -> bool:
        return self._wanted.is_set()

    async def gate(self) -> None:
        """Called by the loop where nothing is under way: stays here while a pause is wanted."""
        while self._wanted.is_set():
            await self._told(True)
            with self.standing():
                await self._released.wait()
            await self._told(False)

    @contextmanager
    def standing(self) -> Iterator[None]:
        """A time in which the loop does nothing on the phone, whether it is paused or not."""
        self._idle.set()
        try:
            yield
        finally:
            self._idle.clear()

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
