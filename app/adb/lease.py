"""Exclusive use of one phone, for as long as it lasts and not a command longer.

A lease has a token that is larger than that of every lease before it. The device that it gives asks
before each command whether the lease still stands, so that whoever holds on to the device after the
end, in a forgotten task or a slow thread, can do nothing to the next one's phone.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

from app.adb.device import Device
from app.errors import DeviceBusy


class Lease:
    """Ended by the fleet alone."""

    def __init__(self, serial: str, token: int, get: Callable[[str], Awaitable[Device]]) -> None:
        self.serial = serial
        self.token = token
        self._get = get
        self._device: Device | None = None
        self._ended = threading.Event()  # asked from the threads that talk to the phone

    def check(self) -> None:
        """Raises DeviceBusy once the lease has ended. Thread-safe."""
        if self._ended.is_set():
            raise DeviceBusy(
                f"lease {self.token} of device {self.serial} has ended",
                "Nothing was done; another task may have the phone now.",
            )

    async def device(self) -> Device:
        """The phone, for the holder of this lease; raises what `Fleet.get` raises."""
        self.check()
        found = await self._get(self.serial)
        if self._device is None:
            self._device = found.fenced(self.check)
        return self._device

    async def end(self) -> None:
        """Refuse every further command, and wait for those under way."""
        self._ended.set()
        if self._device is not None:
            await self._device.drained()


class Leases:
    """The leases of all phones. `identity` gives the same for all serials of one phone."""

    def __init__(
        self, identity: Callable[[str], str], get: Callable[[str], Awaitable[Device]]
    ) -> None:
        self._identity = identity
        self._get = get
        self._live: dict[Lease, str] = {}
        self._tokens = itertools.count(1)

    @property
    def serials(self) -> list[str]:
        """The serials under which phones are held."""
        return [lease.serial for lease in self._live]

    def cover(self, serial: str) -> bool:
        """Whether the phone of that serial is held, by this route or by another."""
        identity = self._identity(serial)
        # What a phone was known by when it was leased counts too: a route that has died meanwhile
        # may no longer be known for one of that phone.
        return any(
            serial == lease.serial or identity in (known, self._identity(lease.serial))
            for lease, known in self._live.items()
        )

    @contextlib.asynccontextmanager
    async def hold(self, serial: str) -> AsyncIterator[Lease]:
        """Exclusive use of a phone while the block runs; raises DeviceBusy when it is taken.

        At its end the device of the lease refuses, and what it was doing is over before the next
        lease can begin.
        """
        if self.cover(serial):
            raise DeviceBusy(f"device {serial} is in use by another task")
        lease = Lease(serial, next(self._tokens), self._get)
        self._live[lease] = self._identity(serial)
        try:
            yield lease
        finally:
            try:
                await lease.end()
            finally:
                del self._live[lease]
