"""How many tokens an answer of the engine took, read from its bytes while they pass by."""

from __future__ import annotations

import json
from collections.abc import Mapping

_TAIL = 16_384
"""Bytes at the end of an answer, in which the counts stand."""
_EVENT = b"\ndata: {"
_DECODER = json.JSONDecoder()


class UsageReader:
    """Fed with the chunks of one answer."""

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
        """Counts by kind (prompt, cached, completion); empty when the answer tells none.

        llama.cpp tells `timings` in every answer, where `prompt_n` leaves out what was cached;
        other engines tell OpenAI's `usage`, in a stream only if asked for. Of a stream without, as
        one that was broken off, only `events` are known: llama.cpp sends one for each token.
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
