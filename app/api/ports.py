"""What the API needs of phones and of the engine besides what tasks need."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

from app.tasks.ports import DeviceRow, Fleet, Phone


class HandyDevice(Phone, Protocol):
    """A phone with what only a person's hand needs."""

    async def press(self, key: str) -> None:
        """Raises InputError for an unknown key."""


class Route(Protocol):
    """One way to a phone; `stale` when it is left over and another one leads there."""

    @property
    def serial(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def kind(self) -> Literal["usb", "emulator", "network", "mdns"]: ...

    @property
    def stale(self) -> bool: ...


class RoutedPhone(DeviceRow, Protocol):
    """A phone by its best route; `routes` has that one first."""

    @property
    def routes(self) -> Sequence[Route]: ...


class Phones(Fleet, Protocol):
    """The fleet, with what people do by hand and what changes in it."""

    async def get(self, serial: str) -> HandyDevice: ...

    async def phones(self) -> Sequence[RoutedPhone]: ...

    def changes(self) -> AsyncIterator[None]:
        """Yields at once and at each change, until the service ends."""


class Engine(Protocol):
    """The supervisor of the engine."""

    async def ensure_ready(self) -> str:
        """The base URL without `/v1`; raises an `AppError`."""

    async def restart(self) -> str: ...

    def status(self) -> Any:
        """A dataclass; its `kind` is "remote" for an engine that is not ours."""

    def log_lines(self, n: int | None = None) -> Sequence[str]: ...


class Calls(Protocol):
    """The slots of the engine, which tasks and callers take turns in."""

    @property
    def running(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    def hold(self, caller: str, *, pin: bool = True) -> AbstractAsyncContextManager[int | None]: ...


class OpenTasks(Protocol):
    def open_tasks(self) -> Mapping[str, int]:
        """How many tasks are in each state that is not an end."""
