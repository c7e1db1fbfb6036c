"""One life of an engine, from its start to its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.errors import EngineError
from app.llm.crashes import Pause
from app.llm.launch import Running
from app.llm.offload import Offload


@dataclass
class Life:
    """Belongs to the engine's owner. Messages of an older life, by its `number`, are ignored.

    `loads` counts those of the model in a row up to this one; the others ended for want of memory.
    `waiters` get the base of the engine's API.
    """

    number: int
    starting: asyncio.Task[Running]
    offload: Offload
    loads: int
    pause: Pause | None
    waiters: list[asyncio.Future[str]]
    running: Running | None = None
    watch: asyncio.Task[int] | None = None
    ready_at: float = 0.0
    """By the monotonic clock."""

    def answer(self, url: str) -> None:
        """Tell everybody who waits that it is ready."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(url)
        self.waiters.clear()

    def refuse(self, error: EngineError) -> None:
        """Tell everybody who waits that it will not be."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)
        self.waiters.clear()

    def release(self) -> list[asyncio.Future[str]]:
        """Return everybody who waits, and forget them: they wait for another life."""
        waiters, self.waiters = self.waiters, []
        return waiters

    async def end(self, grace_s: float) -> None:
        """End its start or its process, which has `grace_s` seconds after it was asked to."""
        if self.watch is not None:
            self.watch.cancel()
        # bring_up() stops what it has started; but it may just have succeeded, unknown to us.
        self.starting.cancel()
        await asyncio.wait({self.starting})
        if not self.starting.cancelled() and self.starting.exception() is None:
            process = self.starting.result().process
            if process is not None:
                await process.stop(grace_s)
