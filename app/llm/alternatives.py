"""The engines that a task may use, in order: the configured one, and those that stand in for it.

An engine that is lost is left for the next one, for all tasks, and tried again some minutes later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import (
    EngineError,
    EngineForbidden,
    EngineKeyRefused,
    EngineModelUnknown,
    EngineStartFailed,
    EngineUnpaid,
)
from app.llm.client import ChatClient
from app.llm.engine import Engine
from app.llm.slots import Calls
from app.llm.status import EngineFault

log = logging.getLogger(__name__)

AWAY_S = 300.0
"""How long an engine that was lost is not asked, if another one can be."""
_LOST = (EngineForbidden, EngineKeyRefused, EngineModelUnknown, EngineStartFailed, EngineUnpaid)
"""Errors that do not pass, and are about the engine and not about the request."""


@dataclass(frozen=True)
class Member:
    """One engine with its client and its slots. `grammar` says that it takes grammars, `local` that
    phonepilot runs it."""

    name: str
    engine: Engine
    client: ChatClient
    calls: Calls = field(default_factory=lambda: Calls(0))
    grammar: bool = False
    local: bool = False

    @property
    def context(self) -> int:
        """Tokens of one sequence, by the settings that the engine runs with."""
        return self.engine.settings.context // self.engine.settings.parallel


class Alternatives:
    """The members in their order. Belongs to one event loop."""

    def __init__(
        self, members: Sequence[Member], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """There is at least one member. Raises ValueError."""
        if not members:
            raise ValueError("no engine")
        self.members = tuple(members)
        self._clock = clock
        self._away: dict[str, tuple[float, EngineError]] = {}
        """By name: when the engine may be asked again, and what happened."""

    @property
    def context(self) -> int:
        """Tokens that fit every member."""
        return min(member.context for member in self.members)

    def choose(self) -> Member:
        """Return the first member that is not away; the first of all if every one is."""
        now = self._clock()
        there = (m for m in self.members if self._away.get(m.name, (0.0,))[0] <= now)
        return next(there, self.members[0])

    def lost(self, member: Member, error: EngineError) -> Member | None:
        """Take note that requests to `member` fail with `error`, and return the member to ask
        instead; None if there is none, or the error is about the request."""
        if len(self.members) == 1 or not (error.passing or isinstance(error, _LOST)):
            return None
        self._away[member.name] = (self._clock() + AWAY_S, error)
        other = self.choose()
        if other.name in self._away and self._away[other.name][0] > self._clock():
            return None
        log.warning("the engine %s is lost, using %s: %s", member.name, other.name, error.message)
        return other

    def shown(self) -> list[dict[str, Any]]:
        """Return every member for GET /engine, in order: name, kind and state, whether it is used
        now, and the error for which it is away or has failed."""
        used, now = self.choose(), self._clock()
        rows = []
        for member in self.members:
            status = member.engine.status()
            until, error = self._away.get(member.name, (0.0, None))
            away = error.as_dict() if error is not None and until > now else None
            rows.append(
                {
                    "name": member.name,
                    "kind": status.kind,
                    "state": status.state,
                    "used": member is used,
                    "error": away or _failure(status.error),
                }
            )
        return rows

    async def aclose(self, *, keep: Engine | None = None) -> None:
        """Close the clients, and the engines but the one to `keep`."""
        for member in self.members:
            await member.client.aclose()
            if member.engine is not keep:
                await member.engine.aclose()


def _failure(fault: EngineFault | None) -> dict[str, str] | None:
    if fault is None:
        return None
    return {"code": fault.code, "message": fault.message, "hint": fault.hint}
