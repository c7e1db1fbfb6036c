"""A job in the background that is done over and over, and never dies silently."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""After a round that failed, doubled each time."""
REPORT_EVERY = 100
"""A fault that repeats is logged when it begins, after this many times, and when it has gone."""


class Background:
    """Does `round` until `close`; belongs to one event loop.

    `round` returns how many seconds to wait before the next one; `wake` cuts that short. A round
    that fails is logged and tried again after a pause that grows.
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
        """Begin, unless it runs already."""
        if not self.running:
            self._job = asyncio.create_task(self._go_on(), name=self.name)

    def wake(self) -> None:
        """Have the next round begin now, or right after the one that runs."""
        self._woken.set()

    def stop(self) -> asyncio.Task[None] | None:
        """Have it end, in the middle of a round if need be; what is left of it to be waited for."""
        job, self._job = self._job, None
        if job is None or job.done():  # done too when its event loop has ended
            return None
        job.cancel()
        return job

    async def close(self) -> None:
        """End it, in the middle of a round if need be."""
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
                pause = self._failed(exc)  # what it waited for was cancelled, and not this job
            except Exception as exc:  # whatever it was, the next round may go well
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
