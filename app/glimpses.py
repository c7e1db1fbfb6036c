"""Pictures of one screen for watchers, taken so that they never delay a task.

A phone takes one screenshot at a time. A task's has priority: one under way for watchers is
cancelled, and they get the task's own as long as it is fresh enough. Further pictures for watchers
are taken once for all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

WORKING_S = 1.0
"""Seconds of inactivity after which a task leaves the phone to the watchers: its model thinks."""
WORKING_AGE_S = 0.5
"""Age in seconds of a picture that is fresh enough for watchers while a task works."""


class Glimpses(Generic[T]):
    """The pictures of one screen. Used from one event loop.

    `take` takes one for the watchers; cancelling it must end it.
    """

    def __init__(
        self, take: Callable[[], Awaitable[T]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._take = take
        self._clock = clock
        self._latest: T | None = None
        self._begun = float("-inf")
        self._job: asyncio.Task[T] | None = None
        self._watchers = 0
        self._calls = 0
        self._pictures = 0
        self._worked_at = float("-inf")
        self._news = asyncio.Event()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Marks that a task uses the phone while the block runs."""
        if self._job is not None:
            self._job.cancel()
            self._job = None
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            self._worked_at = self._clock()

    async def first(self, take: Callable[[], Awaitable[T]]) -> T:
        """Take a task's own picture now; watchers get it too."""
        with self.working():
            begun = self._clock()
            self._pictures += 1
            try:
                picture = await take()
                self._latest, self._begun = picture, begun
            finally:
                self._pictures -= 1
                news, self._news = self._news, asyncio.Event()
                news.set()
        return picture

    async def get(self, max_age_s: float) -> T:
        """Return a picture whose capture began at most `max_age_s` before this call, or a little
        earlier while a task works. Raises the errors of the capture."""
        asked = self._clock()
        while True:
            busy = self._calls > 0 or self._clock() < self._worked_at + WORKING_S
            age = max(max_age_s, WORKING_AGE_S) if busy else max_age_s
            if self._latest is not None and self._begun >= asked - age:
                return self._latest
            if self._pictures:
                await self._news.wait()
            else:
                await self._taken()

    async def _taken(self) -> None:
        """Wait for the picture under way, or start one; it may also be cancelled."""
        job = self._job
        if job is None:
            job = self._job = asyncio.create_task(self._take_one())
            job.add_done_callback(self._ended)
        self._watchers += 1
        try:
            await asyncio.wait({job})
        finally:
            self._watchers -= 1
            if not self._watchers and not job.done():
                job.cancel()  # nobody is watching any more
        if not job.cancelled():
            job.result()

    async def _take_one(self) -> T:
        begun = self._clock()
        picture = await self._take()
        self._latest, self._begun = picture, begun
        return picture

    def _ended(self, job: asyncio.Task[T]) -> None:
        if self._job is job:
            self._job = None
        if not job.cancelled():
            job.exception()  # nobody else retrieves it once all watchers have gone
