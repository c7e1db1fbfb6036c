"""Counts the tokens of an engine's response from its bytes as they pass through."""

from __future__ import annotations

import json
from collections.abc import Mapping

_TAIL = 16_384
"""Bytes at the end of a response, which contain the counts."""
_EVENT = b"\ndata: {"
_DECODER = json.JSONDecoder()


class UsageReader:
    """Gets the chunks of one response."""

    def __init__(self) -> None:
        self._tail = bytearray()
        self._edge = b"\n"
        self._events = 0

    def feed(self, chunk: bytes) -> None:
        self._tail += chunk
        edged = self._edge + chunk
        self._events += edged.count(_EVENT)
        self._edge = edged[1 - len(_EVENT) :]
        if len(self._tail) > 2 * _TAIL:
            del self._tail[:-_TAIL]

    def tokens(self) -> dict[str, int]:
        """Counts by kind (prompt, cached, completion); empty if the response contains none.

        llama.cpp reports `timings` in every response, whose `prompt_n` excludes cached tokens.
        Other engines report OpenAI's `usage`, in a stream only on request. For a stream without it,
        such as one that was aborted, only `events` are known: llama.cpp sends one per token.
        """
        text = self._tail.decode("utf-8", "replace")
        if timings := _last_object(text, '"timings":'):
            cached = _count(timings, "cache_n")
            return {
                "prompt": _count(timings, "prompt_n") + cached,
                "cached": cached,
                "completion": _count(timings, "predicted_n"),
            }
        if usage := _last_object(text, '"usage":'):
            details = usage.get("prompt_tokens_details")
            return {
                "prompt": _count(usage, "prompt_tokens") or _count(usage, "input_tokens"),
                "cached": _count(details, "cached_tokens") if isinstance(details, dict) else 0,
                "completion": _count(usage, "completion_tokens") or _count(usage, "output_tokens"),
            }
        return {"events": self._events} if self._events else {}


def _last_object(text: str, name: str) -> Mapping[str, object]:
    at = text.rfind(name)
    if at < 0:
        return {}
    try:
        found, _ = _DECODER.raw_decode(text[at + len(name) :].lstrip())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _count(counts: Mapping[str, object], name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else 0
