"""The second look: is the goal reached, when the model says so?

Models say "done" too early. Two ways to look again, each by the same engine: a judge, asked with a
short prompt of its own whether this screen shows that the goal is reached; or the model itself,
asked afresh without its own history, which is to finish again. The second one is for models that
know nothing but their protocol.
"""

from __future__ import annotations

from typing import Protocol

from app.agent.actions import Finish
from app.agent.history import History
from app.agent.policy import VisionPolicy
from app.agent.ports import Chat
from app.agent.reader import Reader, Verdict
from app.agent.step import Observation


class SecondLook(Protocol):
    async def look(self, observation: Observation, claim: str) -> Verdict:
        """Whether the goal is reached. Raises EngineError."""


class JudgeLook:
    """Asks the judge's question about the screen."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def look(self, observation: Observation, claim: str) -> Verdict:
        return await self._reader.judge(observation.frame, claim)


class FreshLook:
    """Asks the model for its next action as if the task began with this screen."""

    def __init__(
        self, chat: Chat, system: str, goal: str, image_size: tuple[int, int] | None, grammar: str
    ) -> None:
        self._chat = chat
        self._system = system
        self._goal = goal
        self._image_size = image_size
        self._grammar = grammar

    async def look(self, observation: Observation, claim: str) -> Verdict:
        history = History(self._system, self._goal)
        policy = VisionPolicy(self._chat, history, self._image_size, grammar=self._grammar)
        attempt = await policy.decide(observation, "", lambda thought: None)
        if attempt.decision is None:
            return Verdict(None, "the second look could not be read")
        action = attempt.decision.action
        if isinstance(action, Finish):
            return Verdict(True, action.message)
        return Verdict(False, f"seen afresh, the next action would be: {action.describe()}")
