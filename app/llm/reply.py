"""What a streamed chat completion says, chunk by chunk. Pure: no connection here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Piece:
    """Some text as it came. `reasoning` marks what the engine had split off as thought."""

    text: str
    reasoning: bool = False


@dataclass
class Completion:
    """A reply as far as it is known; whole once `finish_reason` is set.

    `prompt_tokens` counts the whole prompt, of which `cached_tokens` were not evaluated again.
    `timings` is llama.cpp's own (`prompt_ms`, `predicted_per_second`, ...), empty elsewhere.
    """

    text: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    timings: dict[str, float] = field(default_factory=dict)
    model: str = ""

    def take(self, chunk: Mapping[str, Any]) -> list[Piece]:
        """Add one chunk of a `chat.completion.chunk` stream; returns the text that it brought.

        The first chunk has `content: null`, the one with `usage` has no choices.
        """
        self.model = chunk.get("model") or self.model
        self._count(chunk)
        choices = chunk.get("choices") or []
        if not choices:
            return []
        choice = choices[0]
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        delta = choice.get("delta") or {}
        pieces = []
        # vLLM names the field `reasoning` in newer versions.
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            self.reasoning += thought
            pieces.append(Piece(thought, reasoning=True))
        if text := delta.get("content"):
            self.text += text
            pieces.append(Piece(text))
        return pieces

    def _count(self, chunk: Mapping[str, Any]) -> None:
        if timings := chunk.get("timings"):
            self.timings = dict(timings)
            self.cached_tokens = int(timings.get("cache_n") or 0)
            self.prompt_tokens = self.cached_tokens + int(timings.get("prompt_n") or 0)
            self.completion_tokens = int(timings.get("predicted_n") or 0)
        if usage := chunk.get("usage"):
            self.prompt_tokens = usage.get("prompt_tokens") or 0
            self.completion_tokens = usage.get("completion_tokens") or 0
            details = usage.get("prompt_tokens_details") or {}
            self.cached_tokens = details.get("cached_tokens") or 0
