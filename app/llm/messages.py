"""What the owner of the engine's state is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.llm.launch import Running
from app.settings import EngineSettings


@dataclass(frozen=True)
class Ensure:
    """The engine is wanted; `reply` gets the base of its API."""

    reply: asyncio.Future[str]


@dataclass(frozen=True)
class Stop:
    """`settings` are those to go on with, None for the ones that it has."""

    reply: asyncio.Future[None]
    settings: EngineSettings | None = None


@dataclass(frozen=True)
class Restart:
    """Stop and start; whoever waits for a start that this ends, waits for the new one."""

    reply: asyncio.Future[str]


@dataclass(frozen=True)
class Hung:
    """A request saw no progress for too long."""


@dataclass(frozen=True)
class Doubt:
    """A connection to the engine broke, which may be the first sign of its end."""

    reply: asyncio.Future[None]


@dataclass(frozen=True)
class Judged:
    """The doubt is settled: an end of the process was reported before this."""

    reply: asyncio.Future[None]


@dataclass(frozen=True)
class Asleep:
    """The engine of run `number` let go of its model, or took it again."""

    number: int
    asleep: bool


@dataclass(frozen=True)
class Ended:
    """A task of run `number` is over: its start, or the watch over its process."""

    number: int
    task: asyncio.Task[Running] | asyncio.Task[int]


Message = Ensure | Stop | Restart | Hung | Doubt | Judged | Asleep | Ended


def answer(reply: asyncio.Future[None]) -> None:
    """Tell whoever waits for it that it is done, if somebody still does."""
    if not reply.done():
        reply.set_result(None)


def refuse(message: Message, error: Exception) -> None:
    """Tell whoever waits for a start or a stop that there will be none."""
    if isinstance(message, Ensure | Stop | Restart) and not message.reply.done():
        message.reply.set_exception(error)
