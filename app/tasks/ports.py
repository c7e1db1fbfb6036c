"""What tasks need from phones and engines, in addition to the loop's own ports."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from app.agent.ports import Device
from app.agent.screen import Frame


class DeviceRow(Protocol):
    """One row of the adb server's list; `state` is "device" if the phone is ready."""

    @property
    def serial(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def product(self) -> str: ...


class Phone(Device, Protocol):
    """A phone that can also be watched."""

    async def glimpse(self, max_age_s: float) -> Frame:
        """The screen at most `max_age_s` ago; never delays a task."""


class Lease(Protocol):
    """Exclusive use of one phone; its device rejects calls once the lease has ended."""

    async def device(self) -> Phone: ...


class Fleet(Protocol):
    """The phones by serial. All calls raise DeviceError."""

    async def list(self) -> Sequence[DeviceRow]: ...

    async def phones(self) -> Sequence[DeviceRow]:
        """List each phone once, by its best route."""

    async def answering(self) -> Sequence[tuple[str, str]]:
        """List (phone, serial) of each phone that is ready and answers, by its best route.

        Does not wait for unresponsive phones.
        """

    async def choose(self, serial: str | None = None) -> Phone: ...

    async def get(self, serial: str) -> Phone: ...

    async def connect(self, address: str) -> Phone: ...

    async def disconnect(self, serial: str) -> None: ...

    async def wait_ready(self, serial: str, timeout_s: float) -> None:
        """Wait until a disconnected phone answers again, at most this many seconds."""

    async def phone_of(self, serial: str) -> str:
        """Return an identifier of the serial's phone, the same for each route to it."""

    def hold(self, serial: str) -> AbstractAsyncContextManager[Lease]:
        """Hold a phone exclusively while the block runs; raises DeviceBusy."""
