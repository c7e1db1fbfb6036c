"""The second look: checks a model's claim that the goal is reached.

Models say "done" too early. There are two ways to check, both using the same engine: a judge is
asked, with a short prompt of its own, whether this screen shows that the goal is reached; or the
model itself is asked again without its history, and has to finish again. The second way is for
models that know only their protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from app.agent.actions import Answer, Finish
from app.agent.ports import Policy
from app.agent.reader import Reader, Verdict
from app.agent.step import Observation


class SecondLook(Protocol):
    async def look(self, observation: Observation, claim: str) -> Verdict:
        """Whether the goal is reached. Raises EngineError."""


class JudgeLook:
    """Asks the judge about the screen."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def look(self, observation: Observation, claim: str) -> Verdict:
        return await self._reader.judge(observation.frame, claim)


class FreshLook:
    """Asks the model for its next action as if the task began with this screen; `policy` creates
    one without history."""

    def __init__(self, policy: Callable[[], Policy]) -> None:
        self._policy = policy

    async def look(self, observation: Observation, claim: str) -> Verdict:
        attempt = await self._policy().decide(observation, "", lambda thought: None)
        if attempt.decision is None:
            return Verdict(None, "the second look could not be read")
        action = attempt.decision.action
        if isinstance(action, Finish):
            return Verdict(True, action.message)
        if isinstance(action, Answer):
            return Verdict(None, "seen afresh, the model would answer first")
        return Verdict(False, f"seen afresh, the next action would be: {action.describe()}")
