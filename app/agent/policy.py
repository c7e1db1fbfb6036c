"""Turns an observation and the history into a decision, with one streamed request to the model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.agent.dialects.base import Reading, Size
from app.agent.history import NEXT_TURN, ContextBudget, History
from app.agent.picture import encoded, sent_size
from app.agent.ports import Chat, Completion
from app.agent.retry import Retry
from app.agent.step import Attempt, Observation
from app.errors import (
    ContextOverflow,
    EngineBrokeOff,
    EngineUnreachable,
    PolicyError,
    ReplyTruncated,
)

KEPT_UNREADABLE = 500
"""Characters of an unusable reply that stay in the conversation, for the model to repair."""
MAX_FOLDS = 3
MAX_TAIL = 40
"""Characters to wait for after a complete action, if the token counts come only at the end."""


class VisionPolicy:
    """Asks a vision model in the dialect of its history.

    `image_size` is (width, height), or None for the dialect's choice. Without `feedback` the model
    is not told about failed actions, for models that were trained without such lines. With a
    `grammar` (GBNF) the engine admits no other reply. A picture of more than
    `image_max_bytes` as PNG is sent as JPEG; 0 means no limit.
    """

    def __init__(
        self,
        chat: Chat,
        history: History,
        image_size: tuple[int, int] | None,
        *,
        feedback: bool = True,
        grammar: str = "",
        max_reply: int = 3000,
        retry: Retry | None = None,
        image_max_bytes: int = 0,
    ) -> None:
        self._image_max_bytes = image_max_bytes
        self._retry = retry or Retry()
        self._feedback = feedback
        self._chat = chat
        self._dialect = history.dialect
        self._history = history
        self._image_size = image_size
        self._grammar = grammar
        self._max_reply = max_reply
        self._budget: ContextBudget | None = None
        self._last_prompt = 0
        self._picture_stays = False
        """Whether the next request keeps all its pictures in spite of the last one."""

    async def decide(
        self, observation: Observation, told: str, on_thought: Callable[[str], None]
    ) -> Attempt:
        """Make one request, repeated after errors that pass. Raises EngineError; an unusable reply
        is reported in the attempt.

        If the context still overflows, before or during the reply, it is shrunk once and the
        request is repeated.
        """
        attempt = Attempt()
        begun = time.perf_counter()
        frame = observation.frame
        size = sent_size(self._dialect, self._image_size, frame.width, frame.height)
        picture = await asyncio.to_thread(encoded, frame, size, self._image_max_bytes)
        attempt.timings_ms["encode"] = (time.perf_counter() - begun) * 1000
        text = self._history.pending_text(observation.app, told if self._feedback else "")
        request = _Request(text, picture, size, self._dialect.image_tokens(*size))
        self._make_room(request.tokens)

        async def ask() -> tuple[Completion, Reading]:
            await self._foresee(text, picture)
            return await self._ask(attempt, request, on_thought)

        try:
            completion, reading = await self._retry(self._chat, ask)
        except ContextOverflow:
            if not self._shrunk():
                raise
            completion, reading = await self._retry(self._chat, ask)
        else:
            if self._cut_by_the_context(completion) and self._shrunk():
                completion, reading = await self._retry(self._chat, ask)
        self._read(attempt, completion, reading)
        self._remember(attempt, request)
        return attempt

    async def warm(self) -> None:
        """Have the engine evaluate the beginning of the next request while the phone acts.

        The text after a dropped image has to be evaluated again. Raises EngineError.
        """
        if self._budget is not None:
            self._make_room(self._budget.image or self._budget.last_image)
        await self._chat.warm(self._history.prefix())

    def doubted(self) -> None:
        """The last reply claimed success and was not believed. A model without feedback forgets
        that reply, because it would only repeat it."""
        if not self._feedback:
            self._history.take_back()
            self._last_prompt = 0

    def misread(self, reason: str) -> str:
        """What the model is told after an unusable reply."""
        return self._dialect.misread(reason)

    async def _ask(
        self, attempt: Attempt, request: _Request, on_thought: Callable[[str], None]
    ) -> tuple[Completion, Reading]:
        begun, first = time.perf_counter(), 0.0
        reading = self._dialect.reading(request.size)
        messages = self._history.messages(request.text, request.picture)
        try:
            async with self._chat.ask(messages, grammar=self._grammar) as reply:
                async for piece in reply:
                    first = first or time.perf_counter()
                    if new := reading.feed(piece.text, reasoning=piece.reasoning):
                        on_thought(new)
                    if _is_over(reading, reply.completion):
                        break  # leaving the block closes the stream, and the engine stops
        except (EngineBrokeOff, EngineUnreachable):
            if not reading.closed:
                raise
        done = time.perf_counter()
        attempt.timings_ms["first_token"] = ((first or done) - begun) * 1000
        attempt.timings_ms["request"] = (done - begun) * 1000
        return reply.completion, reading

    def _read(self, attempt: Attempt, completion: Completion, reading: Reading) -> None:
        begun = time.perf_counter()
        attempt.tokens = {
            "prompt": completion.prompt_tokens,
            "cached": completion.cached_tokens,
            "completion": completion.completion_tokens,
        }
        truncated = completion.finish_reason == "length"
        try:
            attempt.decision = reading.decision(truncated=truncated)
        except (PolicyError, ReplyTruncated) as exc:
            attempt.error = exc
        attempt.raw = reading.text
        attempt.timings_ms["parse"] = (time.perf_counter() - begun) * 1000

    def _make_room(self, image: int) -> None:
        if self._budget is None:
            self._budget = ContextBudget(self._chat.context, self._max_reply)
        excess = self._budget.excess(image)
        if excess > 0:
            self._budget.freed(self._history.fold(excess))
            self._last_prompt = 0

    async def _foresee(self, text: str, picture: bytes) -> None:
        """Nobody has counted an inherited conversation yet: count it, and fold it until it fits."""
        if self._last_prompt or not self._history.exchanges or not self._budget:
            return
        for _ in range(MAX_FOLDS):
            counted = await self._chat.count(self._history.messages(text, picture))
            excess = counted - self._budget.limit
            if not self._budget.size or excess <= 0 or not self._history.fold(excess):
                return

    def _shrunk(self) -> bool:
        """Fold all that can be folded; return False if nothing can."""
        self._last_prompt = 0
        return self._history.fold(self._budget.size if self._budget else 1 << 30) > 0

    def _cut_by_the_context(self, completion: Completion) -> bool:
        """Whether the reply ended at the end of the context. False without the engine's counts."""
        size = self._budget.size if self._budget else 0
        used = completion.prompt_tokens + completion.completion_tokens
        return completion.finish_reason == "length" and 0 < size <= used + NEXT_TURN

    def _remember(self, attempt: Attempt, request: _Request) -> None:
        prompt = attempt.tokens["prompt"]
        if self._last_prompt:
            more = request.tokens if self._picture_stays else 0
            self._history.weigh_last(max(0, prompt - self._last_prompt - more))
        self._picture_stays = self._history.gathers_pictures
        self._last_prompt = prompt
        completion = attempt.tokens["completion"]
        if attempt.decision is None:
            kept = min(completion, KEPT_UNREADABLE) if self._feedback else 0
            if self._feedback:
                self._answered(request, attempt.raw[:KEPT_UNREADABLE], "", kept)
            self._count(prompt, kept, request.tokens)
            return
        decision = attempt.decision
        summary = decision.action.describe()
        kept_reply = self._dialect.assistant_text(decision.thought, decision.answer)
        self._answered(request, kept_reply, summary, completion)
        self._count(prompt, completion, request.tokens)

    def _answered(self, request: _Request, reply: str, summary: str, tokens: int) -> None:
        self._history.answered(request.text, reply, summary, tokens, request.picture)

    def _count(self, prompt: int, reply: int, image: int) -> None:
        if self._budget is not None:
            leaving = 0 if self._picture_stays else image
            self._budget.counted(prompt, reply, leaving)
            self._budget.last_image = image


@dataclass(frozen=True)
class _Request:
    """One turn's question; the size of its picture in pixels and in tokens."""

    text: str
    picture: bytes
    size: Size
    tokens: int


def _is_over(reading: Reading, completion: Completion) -> bool:
    """Whether the rest does not matter: the action is complete and the counts are known."""
    return reading.over and (completion.prompt_tokens > 0 or reading.behind >= MAX_TAIL)
