"""What decides when a task runs, and on which phone.

The runner knows no more of it than this, so that a queue over several hosts can take the place of
the one in this process (`app/tasks/turns.py`). It would keep tickets in its database, one lock for
each phone; entering `take` puts one there and waits for its turn, leaving it takes it out.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from app.tasks.ports import Lease

ANY = "any"
"""In place of a serial: whichever phone is free first."""


@dataclass(frozen=True)
class Ticket:
    """A task's place in the queue. A higher priority goes first, then who came first."""

    task_id: str
    device: str
    priority: int = 0


@dataclass(frozen=True)
class Turn:
    """`phone` stands for the phone, whatever route leads to it; `serial` is the one to use."""

    phone: str
    serial: str
    lease: Lease


class Queue(Protocol):
    """One task at a time on each phone."""

    def take(self, ticket: Ticket) -> AbstractAsyncContextManager[Turn]:
        """The task's turn while the block runs; who stops waiting, leaves the queue.

        Raises DeviceError.
        """
