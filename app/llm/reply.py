"""What a streamed chat completion says, chunk by chunk. Pure: no connection here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from app.llm.tool_calls import ToolCalls

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


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

    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    timings: dict[str, float] = field(default_factory=dict)
    model: str = ""
    _pieces: list[Piece] = field(default_factory=list, repr=False)
    _calls: ToolCalls = field(default_factory=ToolCalls, repr=False, compare=False)

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self._pieces if not piece.reasoning)

    @property
    def reasoning(self) -> str:
        return "".join(piece.text for piece in self._pieces if piece.reasoning)

    def take(self, chunk: Mapping[str, Any]) -> list[Piece]:
        """Add the counts of one chunk of a `chat.completion.chunk` stream; returns the text that it
        brought, which `keep` adds. A whole `chat.completion` is read as the only chunk.

        The first chunk has `content: null`, the one with `usage` has no choices. Raises ValueError
        for what is no such chunk; only what a reply does not need may be odd.
        """
        model = chunk.get("model")
        self.model = model if isinstance(model, str) and model else self.model
        self._count(chunk)
        choices = chunk.get("choices") or []
        if not isinstance(choices, list):
            raise ValueError("`choices` is not a list")
        if not choices or choices[0] is None:
            return []
        choice = _mapping(choices[0], "choice")
        self.finish_reason = _text(choice, "finish_reason") or self.finish_reason
        # Some say the whole message once more at the end of a stream of deltas.
        key = "delta" if "delta" in choice or self._pieces else "message"
        delta = _mapping(choice.get(key) or {}, key)
        # vLLM names the field `reasoning` in newer versions.
        thought = _content(delta, "reasoning_content") or _content(delta, "reasoning")
        pieces = [Piece(piece.text, reasoning=True) for piece in thought]
        pieces += _content(delta, "content")
        if calls := delta.get("tool_calls"):
            self._calls.take(calls)
        return pieces + self.rest() if self.finish_reason else pieces

    def rest(self) -> list[Piece]:
        """The text that was kept back until the end: tool calls, whose pieces may come by turns."""
        text = self._calls.text()
        return [Piece(text)] if text else []

    def keep(self, piece: Piece) -> None:
        self._pieces.append(piece)

    def _count(self, chunk: Mapping[str, Any]) -> None:
        if isinstance(timings := chunk.get("timings"), Mapping) and timings:
            self.timings = numbers_of(timings)
            self.cached_tokens = _number(self.timings, "cache_n")
            self.prompt_tokens = self.cached_tokens + _number(self.timings, "prompt_n")
            self.completion_tokens = _number(self.timings, "predicted_n")
        if isinstance(usage := chunk.get("usage"), Mapping) and usage:
            self.prompt_tokens = _number(usage, "prompt_tokens")
            self.completion_tokens = _number(usage, "completion_tokens")
            details = usage.get("prompt_tokens_details")
            if isinstance(details, Mapping):
                self.cached_tokens = _number(details, "cached_tokens")


def from_engine(text: str | bytes) -> Any:
    """A JSON value of an engine's, every text in it fit to be stored and sent.

    Half a surrogate pair, which JSON can write and UTF-8 cannot, becomes U+FFFD. Raises ValueError.
    """
    try:
        return from_json(text)  # fast, and refuses half a pair
    except ValueError:
        try:
            return _whole(json.loads(text))
        except RecursionError as exc:
            raise ValueError("nested too deeply") from exc


def whole_characters(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair that stands alone."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return whole_characters(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {whole_characters(key): _whole(item) for key, item in value.items()}
    return value


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    raise ValueError(f"`{key}` is not a text")


def _content(found: Mapping[str, Any], key: str) -> list[Piece]:
    """A text, or a list of parts; those that are thought are marked, and pictures left out."""
    value = found.get(key)
    if not isinstance(value, list):
        text = _text(found, key)
        return [Piece(text)] if text else []
    pieces = []
    for part in value:
        if isinstance(part, str):
            pieces.append(Piece(part))
        elif isinstance(part, Mapping):
            thought = part.get("type") in ("thinking", "reasoning")
            text = _text(part, "text") or (_text(part, "thinking") if thought else "")
            pieces.append(Piece(text, reasoning=thought))
        elif part is not None:
            raise ValueError(f"`{key}` holds what is no part of a content")
    return [piece for piece in pieces if piece.text]


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"`{name}` is not an object")


def numbers_of(found: Mapping[str, Any]) -> dict[str, float]:
    """What is a finite number; the rest is left out."""
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def _number(found: Mapping[str, Any], key: str) -> int:
    """A count; whatever is none counts as 0."""
    value = found.get(key)
    return int(value) if isinstance(value, int | float) and 0 <= value < 2**53 else 0
