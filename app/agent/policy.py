"""Observation and history to a decision: one streamed request to the model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from app.agent.history import History, assistant_text
from app.agent.ports import Chat, Observation
from app.agent.reply import Decision, parse_reply
from app.agent.thought import ThoughtStream
from app.errors import PolicyError, ReplyTruncated


@dataclass
class Attempt:
    """What one request gave: a decision, or the error that says why not."""

    raw: str = ""
    decision: Decision | None = None
    error: PolicyError | ReplyTruncated | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)


class VisionPolicy:
    """Asks a vision model.

    `image_size` is (width, height), or None for the phone's own pixels. Without `feedback` the
    model is not told of failed actions, for models that were trained without such lines.
    """

    def __init__(
        self,
        chat: Chat,
        history: History,
        image_size: tuple[int, int] | None,
        *,
        feedback: bool = True,
    ) -> None:
        self._feedback = feedback
        self._chat = chat
        self._history = history
        self._image_size = image_size

    async def decide(
        self, observation: Observation, feedback: str, on_thought: Callable[[str], None]
    ) -> Attempt:
        """One request. Raises EngineError; a reply that cannot be used is in the attempt."""
        attempt = Attempt()
        started = time.perf_counter()
        png = await asyncio.to_thread(self._encode, observation)
        encoded = time.perf_counter()
        told = feedback if self._feedback else ""
        text = self._history.pending_text(observation.app, told)
        stream = ThoughtStream()
        first = 0.0
        async with self._chat.ask(self._history.messages(text, png)) as reply:
            async for piece in reply:
                first = first or time.perf_counter()
                new = piece.text if piece.reasoning else stream.feed(piece.text)
                if new:
                    on_thought(new)
        done = time.perf_counter()
        completion = reply.completion
        reasoning = completion.reasoning
        attempt.raw = (
            f"<think>{reasoning}</think>{completion.text}" if reasoning else completion.text
        )
        attempt.timings_ms = {
            "encode": (encoded - started) * 1000,
            "first_token": ((first or done) - encoded) * 1000,
            "request": (done - encoded) * 1000,
        }
        attempt.tokens = {
            "prompt": completion.prompt_tokens,
            "cached": completion.cached_tokens,
            "completion": completion.completion_tokens,
        }
        truncated = completion.finish_reason == "length"
        try:
            attempt.decision = parse_reply(attempt.raw, truncated=truncated)
        except (PolicyError, ReplyTruncated) as exc:
            attempt.error = exc
        self._history.answered(text, _kept(attempt))
        return attempt

    def _encode(self, observation: Observation) -> bytes:
        if self._image_size is None:
            return observation.frame.png()
        return observation.frame.scaled_png(*self._image_size)


def _kept(attempt: Attempt) -> str:
    """The reply as it stays in the conversation: clean tags, or as it came when it was no reply."""
    if attempt.decision is None:
        return attempt.raw
    return assistant_text(attempt.decision.thought, attempt.decision.answer)
