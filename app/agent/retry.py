"""Asks the engine again after an error that passes: too many requests, an overload, a lost stream.

The only place where a request to the engine is repeated. It is above the stream, because a reply
that broke off has to be read from its beginning. The waits end with the task, whose time budget and
cancellation end whatever it awaits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from app.agent.ports import Chat
from app.errors import EngineError

log = logging.getLogger(__name__)

AT_ONCE = (0.0,)
"""For an engine of our own: it is restarted for the next request, with a pause of its own."""
BACK_OFF_S = (2.0, 4.0, 8.0, 16.0)
"""For a host that others use too."""
LONGEST_S = 300.0
"""A host that asks to wait longer is not waited for: the error tells the person now."""

T = TypeVar("T")


@dataclass(frozen=True)
class Wait:
    """A wait of that many seconds after an error, before the request is repeated; at another
    engine, if `engine` names one."""

    seconds: float
    error: EngineError
    engine: str = ""

    @property
    def text(self) -> str:
        """What happens, for the person."""
        said = self.error.message
        if self.engine:
            return f"The engine {self.engine} is asked instead: {said}"
        if self.error.wait_s:
            return f"The engine asks to wait {self.seconds:g} s: {said}"
        when = f"in {self.seconds:g} s" if self.seconds else "now"
        return f"The engine is asked again {when}: {said}"


def _unseen(wait: Wait) -> None:
    pass


@dataclass(frozen=True)
class Retry:
    """Repeats requests: after each of the chat's pauses, unless the host names another time, and
    then at another engine if there is one. `on_wait` is called before each wait and must not block;
    `sleep` waits."""

    on_wait: Callable[[Wait], None] = _unseen
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def __call__(self, chat: Chat, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what `ask`, which uses `chat`, returns. Raises EngineError: one that does not pass
        at once, one that does after the last repetition."""
        while True:
            try:
                return await self._patiently(chat.pauses, ask)
            except EngineError as exc:
                other = chat.switch(exc)
                if not other:
                    raise
                wait = Wait(0.0, exc, other)
            self._tell(wait)

    async def _patiently(self, pauses: Sequence[float], ask: Callable[[], Awaitable[T]]) -> T:
        for pause in pauses:
            try:
                return await ask()
            except EngineError as exc:
                wait = Wait(exc.wait_s or pause, exc)
                if not exc.passing or wait.seconds > LONGEST_S:
                    raise
            self._tell(wait)
            await self.sleep(wait.seconds)
        return await ask()

    def _tell(self, wait: Wait) -> None:
        log.warning("%s", wait.text)
        self.on_wait(wait)
