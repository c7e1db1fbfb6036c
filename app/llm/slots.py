"""Requests to the engine at one time: as many as it has slots, and its callers take turns.

A caller is a phone, or whoever uses the passthrough. When more ask than can be answered, each
caller gets one request in its turn, so that a program which sends hundreds at once delays a phone
by one request and not by hundreds.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Calls:
    """`limit` requests at a time, 0 for any number. Belongs to one event loop.

    With `pinned` each request of a phone is given a slot of the engine, the one that it had before
    where that is free, because its prompt is in that slot's cache.
    """

    def __init__(self, limit: int, *, pinned: bool = False) -> None:
        self.limit = limit
        self.running = 0
        self._free = deque(range(limit)) if pinned else deque[int]()
        """Slots, the one that was used longest ago first."""
        self._last: dict[str, int] = {}
        self._unpinned = 0
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return sum(not turn.cancelled() for queue in self._waiting.values() for turn in queue)

    @property
    def full(self) -> bool:
        """Whether another request would have to wait."""
        return bool(self.limit) and self.running >= self.limit

    @asynccontextmanager
    async def hold(self, caller: str, *, pin: bool = True) -> AsyncIterator[int | None]:
        """A turn while the block runs, with the slot to name to the engine.

        None leaves the choice to the engine: where slots are not ours to give, for a request that
        is not ours to change (`pin` is False), and while such a one may be in any of them.
        """
        await self._turn(caller)
        pin = pin and bool(self._free) and not self._unpinned
        slot = self._take_slot(caller) if pin else None
        self._unpinned += slot is None
        try:
            yield slot
        finally:
            if slot is None:
                self._unpinned -= 1
            else:
                self._free.append(slot)
            self._pass_on()

    def _take_slot(self, caller: str) -> int:
        slot = self._last.get(caller, self._free[0])
        if slot not in self._free:
            slot = self._free[0]
        self._free.remove(slot)
        self._last[caller] = slot
        return slot

    async def _turn(self, caller: str) -> None:
        if not self.full and not self._waiting:
            self.running += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # A cancelled turn is passed over; one that came with the cancellation is given on.
            if not turn.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give an ended request's place to the next caller in the round."""
        while self._waiting:
            caller, queue = next(iter(self._waiting.items()))
            turn = queue.popleft()
            if queue:
                self._waiting.move_to_end(caller)
            else:
                del self._waiting[caller]
            if not turn.cancelled():
                turn.set_result(None)
                return
        self.running -= 1
