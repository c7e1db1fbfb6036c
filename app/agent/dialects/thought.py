"""Extracts the model's thought from a reply while it streams in."""

from __future__ import annotations

from collections.abc import Sequence


class ThoughtStream:
    """Takes the pieces of a reply and returns what they add to the thought, without tags.

    The thought may begin with `opening`; it ends where the first of `endings` begins.
    """

    def __init__(self, opening: str, endings: Sequence[str]) -> None:
        self._opening = opening
        self._endings = endings
        self._held = ""
        self._begun = False
        self._ended = False

    def feed(self, piece: str) -> str:
        if self._ended:
            return ""
        self._held += piece
        if not self._begun:
            self._held = self._held.lstrip()
            if self._opening.startswith(self._held):
                return ""
            self._begun = True
            self._held = self._held.removeprefix(self._opening)
        end = min((i for i in map(self._held.find, self._endings) if i >= 0), default=-1)
        self._ended = end >= 0
        stop = end if self._ended else len(self._held) - self._kept_back()
        new, self._held = self._held[:stop], self._held[stop:]
        return new

    def _kept_back(self) -> int:
        """How many characters at the end may be the beginning of an ending."""
        longest = max(map(len, self._endings)) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(ending.startswith(self._held[-length:]) for ending in self._endings):
                return length
        return 0
