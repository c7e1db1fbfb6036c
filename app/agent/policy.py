"""Observation and history to a decision: one streamed request to the model."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.agent.dialects.base import Reading, Size
from app.agent.history import NEXT_TURN, ContextBudget, History
from app.agent.picture import picture, sent_size
from app.agent.ports import Chat, Completion
from app.agent.step import Attempt, Observation
from app.errors import (
    ContextOverflow,
    EngineBrokeOff,
    EngineHung,
    EngineUnreachable,
    PolicyError,
    ReplyTruncated,
)

log = logging.getLogger(__name__)

KEPT_UNREADABLE = 500
"""Characters of a reply that was no action that stay in the conversation, to be repaired."""
MAX_FOLDS = 3
MAX_TAIL = 40
"""Characters behind a complete action that are waited for, where only the end tells the counts."""


class VisionPolicy:
    """Asks a vision model in the dialect of its history.

    `image_size` is (width, height), or None for what the dialect asks for. Without `feedback` the
    model is not told of failed actions, for models that were trained without such lines. With a
    `grammar` (GBNF) the engine lets no other reply come.
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
    ) -> None:
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
        """Whether the last picture pushes no other one out of the next request."""

    async def decide(
        self, observation: Observation, told: str, on_thought: Callable[[str], None]
    ) -> Attempt:
        """One request. Raises EngineError; a reply that cannot be used is in the attempt.

        A context that overflows all the same, or in the middle of the reply, is shrunk once and the
        request repeated.
        """
        attempt = Attempt()
        begun = time.perf_counter()
        frame = observation.frame
        size = sent_size(self._dialect, self._image_size, frame.width, frame.height)
        png = await asyncio.to_thread(picture, frame, size)
        attempt.timings_ms["encode"] = (time.perf_counter() - begun) * 1000
        text = self._history.pending_text(observation.app, told if self._feedback else "")
        request = _Request(text, png, size, self._dialect.image_tokens(*size))
        self._make_room(request.tokens)
        await self._foresee(text, png)
        try:
            completion, reading = await self._ask(attempt, request, on_thought)
        except (EngineUnreachable, EngineBrokeOff, EngineHung) as exc:
            # Asking a model twice does no harm, and a supervised engine is started again for it.
            log.warning("the engine was lost, asking again: %s", exc.message)
            completion, reading = await self._ask(attempt, request, on_thought)
        except ContextOverflow:
            if not self._shrunk():
                raise
            completion, reading = await self._ask(attempt, request, on_thought)
        else:
            if self._cut_by_the_context(completion) and self._shrunk():
                completion, reading = await self._ask(attempt, request, on_thought)
        self._read(attempt, completion, reading)
        self._remember(attempt, request)
        return attempt

    async def warm(self) -> None:
        """Have the engine read what the next request begins with, while the phone acts.

        What an image stood before has to be read again once it has left. Raises EngineError.
        """
        if self._budget is not None:
            self._make_room(self._budget.image or self._budget.last_image)
        await self._chat.warm(self._history.prefix())

    def doubted(self) -> None:
        """The last reply said done and is not believed. A model that cannot be told so forgets it,
        or it would only say it again."""
        if not self._feedback:
            self._history.take_back()
            self._last_prompt = 0

    def misread(self, reason: str) -> str:
        """What the model is told after a reply that could not be used."""
        return self._dialect.misread(reason)

    async def _ask(
        self, attempt: Attempt, request: _Request, on_thought: Callable[[str], None]
    ) -> tuple[Completion, Reading]:
        begun, first = time.perf_counter(), 0.0
        reading = self._dialect.reading(request.size)
        messages = self._history.messages(request.text, request.png)
        async with self._chat.ask(messages, grammar=self._grammar) as reply:
            try:
                async for piece in reply:
                    first = first or time.perf_counter()
                    if new := reading.feed(piece.text, reasoning=piece.reasoning):
                        on_thought(new)
                    if _is_over(reading, reply.completion):
                        break  # leaving the block closes the stream, and the engine stops
            except EngineBrokeOff:
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

    async def _foresee(self, text: str, png: bytes) -> None:
        """A conversation that was taken over was counted by nobody yet: fold it until it fits."""
        if self._last_prompt or not self._history.exchanges or not self._budget:
            return
        for _ in range(MAX_FOLDS):
            counted = await self._chat.count(self._history.messages(text, png))
            excess = counted - self._budget.limit
            if not self._budget.size or excess <= 0 or not self._history.fold(excess):
                return

    def _shrunk(self) -> bool:
        """Fold all that can be folded; False when nothing can."""
        self._last_prompt = 0
        return self._history.fold(self._budget.size if self._budget else 1 << 30) > 0

    def _cut_by_the_context(self, completion: Completion) -> bool:
        """Whether the reply ended where the context did, as when the engine tells no counts."""
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
        self._history.answered(request.text, reply, summary, tokens, request.png)

    def _count(self, prompt: int, reply: int, image: int) -> None:
        if self._budget is not None:
            leaving = 0 if self._picture_stays else image
            self._budget.counted(prompt, reply, leaving)
            self._budget.last_image = image


@dataclass(frozen=True)
class _Request:
    """What is asked in one turn; the size of its picture in pixels and in tokens."""

    text: str
    png: bytes
    size: Size
    tokens: int


def _is_over(reading: Reading, completion: Completion) -> bool:
    """Whether nothing is to come that matters: the action is whole, and the counts are known."""
    return reading.over and (completion.prompt_tokens > 0 or reading.behind >= MAX_TAIL)
