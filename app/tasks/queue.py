"""Decides when a task runs, and on which phone.

The runner knows only the protocol `Queue`, so that a queue over several hosts can replace the one
in this process. `Line` is the decision: who waits, which phones are free, who gets which. It does
no I/O. `LocalQueue` does the rest: it identifies phones and holds their leases.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from app.background import Background
from app.errors import AppError, DeviceBusy, DeviceError
from app.tasks.ports import Fleet, Lease

log = logging.getLogger(__name__)

ANY = "any"
"""Used instead of a serial: whichever phone is free first."""

_LOOK_AGAIN_S = 5.0
"""Seconds between two looks for new phones, while a task waits for any phone."""
_HELD_ELSEWHERE_S = 1.0
"""Seconds that a phone in use outside the queue, such as by hand, is left alone before the next
attempt."""


@dataclass(frozen=True)
class Ticket:
    """A task's place in the queue: higher priority first, then first come, first served."""

    task_id: str
    device: str
    priority: int = 0


@dataclass(frozen=True)
class Grant:
    """`phone` identifies the phone, whatever the route; `serial` is the route to use."""

    phone: str
    serial: str
    lease: Lease


class Queue(Protocol):
    """One task at a time on each phone."""

    def take(self, ticket: Ticket) -> AbstractAsyncContextManager[Grant]:
        """Hold a phone for a task while the block runs; whoever stops waiting leaves the queue.

        Raises DeviceError.
        """


@dataclass(order=True)
class _Place:
    """A ticket's place in the queue; the smallest rank goes first."""

    rank: tuple[int, int]
    ticket: Ticket = field(compare=False)
    left: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Deal:
    """A phone assigned to a ticket."""

    ticket: Ticket
    phone: str
    serial: str


class Line:
    """The waiting tickets: one heap per device name. Pure; the cost of a deal grows with the number
    of device names, not with the number of tickets."""

    def __init__(self) -> None:
        self._heaps: dict[str, list[_Place]] = {}
        self._places: dict[str, _Place] = {}
        self._arrivals = itertools.count()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._places

    def add(self, ticket: Ticket, arrival: int | None = None) -> int:
        """Add a ticket and return its arrival; pass that of a ticket that returns to its place."""
        arrival = next(self._arrivals) if arrival is None else arrival
        place = _Place((-ticket.priority, arrival), ticket)
        self._places[ticket.task_id] = place
        heapq.heappush(self._heaps.setdefault(ticket.device, []), place)
        return arrival

    def remove(self, task_id: str) -> None:
        if place := self._places.pop(task_id, None):
            place.left = True
            self._head(place.ticket.device)

    def devices(self) -> list[str]:
        """The devices that tickets wait for, possibly including `any`."""
        return [device for device in [*self._heaps] if self._head(device)]

    def deal(
        self,
        free: Sequence[tuple[str, str]],
        phone_of: Mapping[str, str],
        busy: Iterable[str],
    ) -> list[Deal]:
        """Assign phones to tickets, which leave the line.

        `free` are (phone, serial) for tickets that take any phone, best first; `phone_of` maps each
        serial that tickets name to its phone, as far as it is known; a phone in `busy` is not
        assigned.
        """
        taken, deals = set(busy), list[Deal]()
        while found := self._first(free, phone_of, taken):
            taken.add(found.phone)
            self.remove(found.ticket.task_id)
            deals.append(found)
        return deals

    def _first(
        self, free: Sequence[tuple[str, str]], phone_of: Mapping[str, str], taken: set[str]
    ) -> Deal | None:
        """Return the first ticket for which there is a phone."""
        best: tuple[_Place, str, str] | None = None
        for device in [*self._heaps]:
            head = self._head(device)
            if head is None:
                continue
            if device == ANY:
                phone, serial = next((each for each in free if each[0] not in taken), ("", ""))
            else:
                phone, serial = phone_of.get(device, ""), device
            if phone and phone not in taken and (best is None or head < best[0]):
                best = head, phone, serial
        return Deal(best[0].ticket, best[1], best[2]) if best else None

    def _head(self, device: str) -> _Place | None:
        heap = self._heaps.get(device, [])
        while heap and heap[0].left:
            heapq.heappop(heap)
        if not heap:
            self._heaps.pop(device, None)
            return None
        return heap[0]


class LocalQueue:
    """The queue of one process. Belongs to one event loop.

    No ticket waits for a phone that only others have named: each device is identified on its own,
    and an unresponsive phone delays only the tickets for it.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._line = Line()
        self._granted: dict[str, asyncio.Future[Deal]] = {}
        self._busy: set[str] = set()
        self._used: dict[str, int] = {}
        """When each phone was last given back; a ticket for any phone gets the longest idle one."""
        self._clock = itertools.count()
        self._phone_of: dict[str, str] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._resting: dict[str, asyncio.TimerHandle] = {}
        """Phones that are held outside the queue."""
        self._looking = Background("the look for free phones", self._look)

    @asynccontextmanager
    async def take(self, ticket: Ticket) -> AsyncIterator[Grant]:
        arrival = None
        while True:
            deal, arrival = await self._wait(ticket, arrival)
            try:
                async with AsyncExitStack() as stack:
                    try:
                        lease = await stack.enter_async_context(self._fleet.hold(deal.serial))
                    except DeviceBusy:
                        self._rest(deal.phone)
                        continue
                    yield Grant(deal.phone, deal.serial, lease)
                    return
            finally:
                self._give_back(deal.phone)

    async def _wait(self, ticket: Ticket, arrival: int | None) -> tuple[Deal, int]:
        """Wait for a phone, which is busy from then on; return it and the ticket's arrival."""
        granted: asyncio.Future[Deal] = asyncio.get_running_loop().create_future()
        self._granted[ticket.task_id] = granted
        arrival = self._line.add(ticket, arrival)
        try:
            self._ask(ticket.device)
            self._deal_soon()
            return await granted, arrival
        except BaseException:
            if granted.done() and not granted.cancelled():
                self._give_back(granted.result().phone)  # granted, and never used
            raise
        finally:  # no await here: a cancellation would lose the granted phone
            self._granted.pop(ticket.task_id, None)
            self._line.remove(ticket.task_id)
            if not self._line:
                self._nobody_waits()

    def _deal_soon(self) -> None:
        """Assign each free phone to the first ticket waiting for it. If a ticket takes any phone,
        look for free phones first."""
        if ANY in self._line.devices():
            self._looking.wake()
        else:
            self._deal(())

    def _deal(self, free: Sequence[tuple[str, str]]) -> None:
        by_rest = sorted(free, key=lambda found: self._used.get(found[0], -1))
        again = True
        while again:
            again = False
            taken = self._busy | self._resting.keys()
            for deal in self._line.deal(by_rest, self._phone_of, taken):
                granted = self._granted[deal.ticket.task_id]
                if granted.cancelled():  # its caller has left, but has not yet run to remove it
                    again = True
                else:
                    self._busy.add(deal.phone)
                    granted.set_result(deal)

    def _give_back(self, phone: str) -> None:
        self._used[phone] = next(self._clock)
        self._busy.discard(phone)
        self._deal_soon()

    def _rest(self, phone: str) -> None:
        """Leave a phone alone for a moment: it is held under a serial not yet known to be the same
        phone, or outside the queue."""

        def over() -> None:
            del self._resting[phone]
            for serial in [s for s, known in self._phone_of.items() if known == phone]:
                self._ask(serial, anew=True)
            self._deal_soon()

        if phone not in self._resting:
            loop = asyncio.get_running_loop()
            self._resting[phone] = loop.call_later(_HELD_ELSEWHERE_S, over)

    def _ask(self, device: str, *, anew: bool = False) -> None:
        """Find out in the background which phone a device is."""
        if device == ANY:
            self._looking.start()
            self._looking.wake()
        elif device not in self._asking and (anew or device not in self._phone_of):
            self._asking[device] = asyncio.create_task(self._learn(device))

    async def _learn(self, serial: str) -> None:
        try:
            # The adb server may have forgotten the phone since the task was created, as after a
            # restart. A phone that is away now may be back when the ticket is due.
            with suppress(AppError):
                await self._fleet.choose(serial)
            self._phone_of[serial] = await self._fleet.phone_of(serial)
        except Exception:
            log.exception("%s could not be asked who it is", serial)
            self._phone_of[serial] = serial
        finally:
            if self._asking.get(serial) is asyncio.current_task():
                del self._asking[serial]
        self._deal_soon()

    async def _look(self) -> float:
        """Look for phones that could start now."""
        try:
            free = await self._fleet.answering()
        except DeviceError:
            free = ()
        self._deal(free)
        return _LOOK_AGAIN_S

    def _nobody_waits(self) -> None:
        """Stop all background work, and forget what may have changed before the next ticket."""
        asking, self._asking = self._asking, {}
        for job in asking.values():
            job.cancel()
        for timer in self._resting.values():
            timer.cancel()
        self._resting.clear()
        self._phone_of.clear()
        self._looking.stop()
