"""Exclusive use of one phone, for exactly as long as the lease lasts.

A lease has a larger token than every lease before it. Its device checks before each command whether
the lease is still valid, so that a holder that keeps the device after the end, in a forgotten task
or a slow thread, cannot affect the next holder's phone.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

from app.adb.device import Device
from app.errors import DeviceBusy


class Lease:
    """A lease of one phone. Only the fleet ends it."""

    def __init__(self, serial: str, token: int, get: Callable[[str], Awaitable[Device]]) -> None:
        self.serial = serial
        self.token = token
        self._get = get
        self._device: Device | None = None
        self._ended = threading.Event()  # checked by the threads that talk to the phone

    def check(self) -> None:
        """Raise DeviceBusy once the lease has ended. Thread-safe."""
        if self._ended.is_set():
            raise DeviceBusy(
                f"lease {self.token} of device {self.serial} has ended",
                "Nothing was done; another task may have the phone now.",
            )

    async def device(self) -> Device:
        """Return the phone, for the holder of this lease; raises like `Fleet.get`."""
        self.check()
        found = await self._get(self.serial)
        if self._device is None:
            self._device = found.fenced(self.check)
            self._device.ready_hands()
        return self._device

    async def end(self) -> None:
        """Reject every further command, and wait for those under way."""
        self._ended.set()
        if self._device is not None:
            await self._device.drained()


class Leases:
    """The leases of all phones. `identity` returns the same value for all serials of one phone."""

    def __init__(
        self, identity: Callable[[str], str], get: Callable[[str], Awaitable[Device]]
    ) -> None:
        self._identity = identity
        self._get = get
        self._live: dict[Lease, str] = {}
        self._tokens = itertools.count(1)

    @property
    def serials(self) -> list[str]:
        """The serials of the held phones."""
        return [lease.serial for lease in self._live]

    def cover(self, serial: str) -> bool:
        """Whether the phone of that serial is held, over this route or another."""
        identity = self._identity(serial)
        # The identity at the time of the lease counts too: a route that has died since may no
        # longer be attributed to that phone.
        return any(
            serial == lease.serial or identity in (known, self._identity(lease.serial))
            for lease, known in self._live.items()
        )

    @contextlib.asynccontextmanager
    async def hold(self, serial: str) -> AsyncIterator[Lease]:
        """Hold a phone exclusively while the block runs; raises DeviceBusy if it is taken.

        Afterwards the lease's device rejects calls, and those under way end before the next lease
        begins.
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
