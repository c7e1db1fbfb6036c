"""How one task is run: its mode, budget, person and rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.agent.control import Control
from app.agent.guard import Guard
from app.agent.outcome import Mode
from app.agent.ports import Nobody, Person
from app.agent.reader import Reader
from app.agent.second_look import SecondLook
from app.agent.step import Answer, Question


@dataclass
class Conduct:
    """What a task needs besides looking, deciding and acting; one object per task.

    `reader` answers Note and Call_API, `second_look` doubts a finish; either may be missing.
    `clock` is the time budget; it stops while the task waits for a person.
    """

    person: Person = field(default_factory=Nobody)
    control: Control = field(default_factory=Control)
    guard: Guard = field(default_factory=Guard)
    reader: Reader | None = None
    second_look: SecondLook | None = None
    mode: Mode = "auto"
    opening: str = ""
    """What the model is told with the first screen."""
    clock: asyncio.Timeout | None = None

    async def ask(self, question: Question) -> Answer:
        """Ask the person and return the answer; the loop does not touch the phone meanwhile.

        If the task was paused while it asked, the answer takes effect when the task resumes.
        """
        async with self.control.standing(), self._clock_stopped():
            answer = await self.person.ask(question)
        await self.gate()
        return answer

    async def gate(self) -> None:
        """Wait here while the task is paused."""
        if self.control.pausing:
            async with self._clock_stopped():
                await self.control.gate()

    @asynccontextmanager
    async def _clock_stopped(self) -> AsyncIterator[None]:
        now = asyncio.get_running_loop().time
        end = self.clock.when() if self.clock is not None else None
        if self.clock is None or end is None:
            yield
            return
        left = end - now()
        self.clock.reschedule(None)
        try:
            yield
        finally:
            self.clock.reschedule(now() + left)
