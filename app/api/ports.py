"""What the API needs from phones and the engine, in addition to what tasks need."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

from app.tasks.ports import DeviceRow, Fleet, Phone


class HandyDevice(Phone, Protocol):
    """A phone with the methods needed only for manual input."""

    async def press(self, key: str) -> str:
        """Press a key. Raises InputError for an unknown key."""


class Route(Protocol):
    """One route to a phone; `stale` if it is left over and another route leads there."""

    @property
    def serial(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def kind(self) -> Literal["usb", "emulator", "network", "mdns"]: ...

    @property
    def stale(self) -> bool: ...


class RoutedPhone(DeviceRow, Protocol):
    """A phone by its best route; `routes` lists that one first."""

    @property
    def routes(self) -> Sequence[Route]: ...


class Phones(Fleet, Protocol):
    """The fleet, with manual input and change notification."""

    async def get(self, serial: str) -> HandyDevice: ...

    async def phones(self) -> Sequence[RoutedPhone]: ...

    def changes(self) -> AsyncIterator[None]:
        """Yield at once and at each change, until the service ends."""


class Engine(Protocol):
    """The supervisor of the engine."""

    async def ensure_ready(self) -> str:
        """Return the base of the engine's API, with its version; raises an `AppError`."""

    async def restart(self) -> str: ...

    async def check_pulse(self) -> bool:
        """Return False for an engine of ours that no longer computes: it is ended, and its
        connections break."""

    def status(self) -> Any:
        """A dataclass; its `kind` is "remote" for an engine that is not managed here."""

    def log_lines(self, n: int | None = None) -> Sequence[str]: ...


class GoalKind(Protocol):
    """Goals of one kind that the model knows."""

    @property
    def title(self) -> str: ...

    @property
    def things(self) -> Iterable[str]: ...

    @property
    def example(self) -> str: ...


class Calls(Protocol):
    """The slots of the engine, shared by tasks and callers."""

    @property
    def running(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    def hold(self, caller: str, *, pin: bool = True) -> AbstractAsyncContextManager[int | None]: ...


class OpenTasks(Protocol):
    def open_tasks(self) -> Mapping[str, int]:
        """Count the tasks in each open state."""
