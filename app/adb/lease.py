"""Exclusive use of one phone, for as long as it lasts and not a command longer.

A lease has a token that is larger than that of every lease before it on the phone. The device that
it gives asks before each command whether the lease still stands, so that whoever holds on to the
device after the end, in a forgotten task or a slow thread, can do nothing to the next one's phone.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable

from app.adb.device import Device
from app.errors import DeviceBusy


class Lease:
    """`token` counts from 1 for each phone. Ended by the fleet alone."""

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
