"""Whose turn it is on a phone: one task at a time, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from app.errors import DeviceBusy, DeviceError
from app.tasks.ports import Fleet, Lease

_LOOK_AGAIN_S = 5.0
"""For a phone whose lease may have been given up otherwise than by the end of a turn."""


class Turns:
    """The queues of all phones. Belongs to one event loop."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._queues: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._ended = asyncio.Condition()

    @asynccontextmanager
    async def take(self, serial: str) -> AsyncIterator[tuple[str, Lease]]:
        """(what stands for the phone, its lease) while the block runs, once it is its turn.

        Raises DeviceError.
        """
        # The adb server may know the phone no more since the task was given, as after a restart.
        # One that is away now may be there when the turn comes.
        with suppress(DeviceError):
            await self._fleet.choose(serial)
        phone = await self._fleet.phone_of(serial)
        try:
            async with self._queues[phone], AsyncExitStack() as stack:
                while True:
                    try:
                        lease = await stack.enter_async_context(self._fleet.hold(serial))
                        break
                    except DeviceBusy:
                        # Another task has the phone by a name that was not known for its own yet.
                        await self._one_more_ended()
                yield phone, lease
        finally:
            async with self._ended:
                self._ended.notify_all()

    async def _one_more_ended(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN_S), self._ended:
                await self._ended.wait()
