"""What tasks need of phones and engines besides the loop's own ports."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from app.agent.ports import Device
from app.agent.screen import Frame


class DeviceRow(Protocol):
    """One row of the adb server's list; `state` is "device" when the phone is ready."""

    @property
    def serial(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def product(self) -> str: ...


class Phone(Device, Protocol):
    """A phone that can be watched besides."""

    async def glimpse(self, max_age_s: float) -> Frame:
        """The screen as it was at most `max_age_s` ago; never in the way of a task."""


class Lease(Protocol):
    """Exclusive use of one phone; the device that it gives refuses once the lease has ended."""

    async def device(self) -> Phone: ...


class Fleet(Protocol):
    """The phones by serial. All calls raise DeviceError."""

    async def list(self) -> Sequence[DeviceRow]: ...

    async def phones(self) -> Sequence[DeviceRow]:
        """Each phone once, by its best route."""

    async def answering(self) -> Sequence[tuple[str, str]]:
        """(phone, serial) of each phone that is ready and answers, by its best route.

        Waits for none that is silent.
        """

    async def choose(self, serial: str | None = None) -> Phone: ...

    async def get(self, serial: str) -> Phone: ...

    async def connect(self, address: str) -> Phone: ...

    async def disconnect(self, serial: str) -> None: ...

    async def wait_ready(self, serial: str, timeout_s: float) -> None:
        """Wait until a phone that dropped off answers again, for so many seconds."""

    async def phone_of(self, serial: str) -> str:
        """What stands for the phone of a serial, the same for each route to it."""

    def hold(self, serial: str) -> AbstractAsyncContextManager[Lease]:
        """Exclusive use of a phone while the block runs; raises DeviceBusy."""
