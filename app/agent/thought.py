"""The model's thought while it comes: what of a half reply may already be shown."""

from __future__ import annotations

_OPENING = "<think>"
_ENDINGS = ("</think>", "<answer>", "do(action", "finish(message")


class ThoughtStream:
    """Feed it the pieces of a reply; it gives back what they add to the thought, without tags."""

    def __init__(self) -> None:
        self._text = ""
        self._shown = 0
        self._ended = False

    def feed(self, piece: str) -> str:
        if self._ended:
            return ""
        self._text += piece
        body = self._text.lstrip()
        if _OPENING.startswith(body):
            return ""
        body = body.removeprefix(_OPENING)
        end = min((i for i in map(body.find, _ENDINGS) if i >= 0), default=-1)
        self._ended = end >= 0
        stop = end if self._ended else len(body) - _held_back(body)
        new = body[self._shown : stop]
        self._shown = max(self._shown, stop)
        return new


def _held_back(text: str) -> int:
    """How many characters at the end may be the beginning of an ending."""
    longest = max(map(len, _ENDINGS)) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(ending.startswith(text[-length:]) for ending in _ENDINGS):
            return length
    return 0
