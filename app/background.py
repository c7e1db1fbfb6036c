"""Jobs that must not die silently: one that runs repeatedly, and one that must not stop halfway."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Seconds to pause after a failed round, doubled each time."""
REPORT_EVERY = 100
"""A repeating fault is logged when it begins, after this many times, and when it ends."""


class Background:
    """Runs `round` repeatedly until `close`; belongs to one event loop.

    `round` returns the seconds to wait before the next one; `wake` cuts this short. A failed round
    is logged and retried after a growing pause.
    """

    def __init__(
        self,
        name: str,
        round: Callable[[], Awaitable[float]],
        longest_pause_s: float = LONGEST_PAUSE_S,
    ) -> None:
        self.name = name
        self._longest_pause_s = longest_pause_s
        self._round = round
        self._woken = asyncio.Event()
        self._job: asyncio.Task[None] | None = None
        self._faults = 0

    @property
    def running(self) -> bool:
        return self._job is not None and not self._job.done()

    def start(self) -> None:
        """Begin, unless it is already running."""
        if not self.running:
            self._job = asyncio.create_task(self._go_on(), name=self.name)

    def wake(self) -> None:
        """Start the next round now, or right after the current one."""
        self._woken.set()

    def stop(self) -> asyncio.Task[None] | None:
        """End it, in the middle of a round if necessary; return the task to wait for, if any."""
        job, self._job = self._job, None
        if job is None or job.done():  # also done if its event loop has ended
            return None
        job.cancel()
        return job

    async def close(self) -> None:
        """End it and wait, in the middle of a round if necessary."""
        if job := self.stop():
            await asyncio.wait({job})

    async def _go_on(self) -> None:
        while True:
            self._woken.clear()
            try:
                pause = await self._round()
            except asyncio.CancelledError as exc:
                job = asyncio.current_task()
                if job is not None and job.cancelling():
                    raise
                pause = self._failed(exc)  # something it awaited was cancelled, not this job
            except Exception as exc:  # whatever it was, the next round may succeed
                pause = self._failed(exc)
            else:
                self._well()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()

    def _failed(self, exc: BaseException) -> float:
        self._faults += 1
        pause: float = min(FIRST_PAUSE_S * 2 ** min(self._faults - 1, 10), self._longest_pause_s)
        if self._faults == 1:
            log.error("%s failed; it is tried again: %r", self.name, exc, exc_info=exc)
        elif self._faults % REPORT_EVERY == 0:
            log.error("%s has failed %d times in a row: %r", self.name, self._faults, exc)
        return pause

    def _well(self) -> None:
        if self._faults:
            log.info("%s works again after %d failures", self.name, self._faults)
        self._faults = 0


async def carried_through(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns. A caller who is cancelled waits for its end, too; an error that
    ends it then is logged."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("what nobody waits for any more failed: %s", error)
        raise
