"""The queue in this process: whose turn it is on each phone."""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from app.errors import DeviceBusy, DeviceError
from app.tasks.ports import Fleet
from app.tasks.queue import ANY, Ticket, Turn

_LOOK_AGAIN_S = 5.0
"""For a phone that became free otherwise than by the end of a turn, or has just come."""


@dataclass(order=True)
class _Place:
    """Where someone stands; the smallest goes first. `phone` is None for whoever takes any."""

    rank: tuple[int, int]
    phone: str | None = field(compare=False)
    serial: str = field(compare=False)
    turn: asyncio.Future[tuple[str, str]] = field(compare=False)


class Turns:
    """Belongs to one event loop."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._waiting: list[_Place] = []
        self._busy: set[str] = set()
        self._used: dict[str, int] = {}
        """When a phone had its last turn, for those who take any: the longest idle one."""
        self._clock = itertools.count()
        self._news = asyncio.Event()
        self._dealing = asyncio.Lock()

    @asynccontextmanager
    async def take(self, ticket: Ticket) -> AsyncIterator[Turn]:
        rank = (-ticket.priority, next(self._clock))
        phone = None if ticket.device == ANY else await self._phone_of(ticket.device)
        while True:
            granted, serial = await self._turn(rank, phone, ticket.device)
            try:
                async with AsyncExitStack() as stack:
                    try:
                        lease = await stack.enter_async_context(self._fleet.hold(serial))
                    except DeviceBusy:
                        # Somebody has the phone by a name that was not known for its own yet, or
                        # not by way of the queue.
                        await self._news_or_time()
                        continue
                    yield Turn(granted, serial, lease)
                    return
            finally:
                self._used[granted] = next(self._clock)
                await self._give_back(granted)

    async def _phone_of(self, serial: str) -> str:
        # The adb server may know the phone no more since the task was given, as after a restart.
        # One that is away now may be there when the turn comes.
        with suppress(DeviceError):
            await self._fleet.choose(serial)
        return await self._fleet.phone_of(serial)

    async def _turn(self, rank: tuple[int, int], phone: str | None, serial: str) -> tuple[str, str]:
        """(phone, serial) once it is ours; the phone counts as busy from then on."""
        place = _Place(rank, phone, serial, asyncio.get_running_loop().create_future())
        bisect.insort(self._waiting, place)
        try:
            await self._deal()
            while not place.turn.done():
                await asyncio.wait({place.turn}, timeout=_LOOK_AGAIN_S)
                if self._waiting and self._waiting[0] is place:  # one looks again for all
                    await self._deal()
            return place.turn.result()
        except BaseException:
            if place.turn.done() and not place.turn.cancelled():
                await self._give_back(place.turn.result()[0])  # granted, and never used
            raise
        finally:
            with suppress(ValueError):
                self._waiting.remove(place)

    async def _give_back(self, phone: str) -> None:
        self._busy.discard(phone)
        news, self._news = self._news, asyncio.Event()
        news.set()
        await self._deal()

    async def _deal(self) -> None:
        """Give each free phone to the first who waits for it."""
        async with self._dealing:
            free: list[tuple[str, str]] | None = None
            for place in [*self._waiting]:
                found = None
                if place.phone is not None:
                    found = (place.phone, place.serial)
                else:
                    free = await self._free_phones() if free is None else free
                    found = next((each for each in free if each[0] not in self._busy), None)
                if found is None or found[0] in self._busy or place not in self._waiting:
                    continue
                self._busy.add(found[0])
                self._waiting.remove(place)
                place.turn.set_result(found)

    async def _free_phones(self) -> list[tuple[str, str]]:
        """(phone, serial) of the phones that could begin now, the longest idle one first."""
        try:
            rows = [row for row in await self._fleet.phones() if row.state == "device"]
            phones = [(await self._fleet.phone_of(row.serial), row.serial) for row in rows]
        except DeviceError:
            return []
        return sorted(phones, key=lambda found: self._used.get(found[0], -1))

    async def _news_or_time(self) -> None:
        """Until a turn ends; after some time in any case."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN_S):
                await self._news.wait()
