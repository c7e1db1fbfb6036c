"""What the label under the finger says: an entry of a list, an "OK", or something else."""

from __future__ import annotations

from collections.abc import Sequence

from app.agent.guard.grammar import AFTER_CJK, AGREEING, NOT, NOT_CJK, PLACES, TAILS, UNSPACED
from app.agent.guard.phrases import Entry, Phrases
from app.agent.guard.tokens import normalise, spelt_out, words

MAX_LABEL = 200
"""Characters of a label that are examined; labels of buttons are shorter."""
_LINES = 3
_MANY = 10
"""Most words in a button's label."""
_SHORT = 8
"""Most characters in a button's label in Chinese, Japanese or Korean."""


class Label:
    """A text under the finger, parsed once."""

    def __init__(self, text: str, phrases: Phrases) -> None:
        self._phrases = phrases
        lines = [
            words(spelt_out(normalise(line))) for line in text[:MAX_LABEL].split("\n")[:_LINES]
        ]
        self._lines = [line for line in lines if line]
        self.digits = bool(self._lines) and all(len(w) == 1 and w.isdigit() for w in self._lines[0])

    @property
    def known(self) -> bool:
        """Whether it contains words: an icon or an arrow does not."""
        return bool(self._lines)

    @property
    def clear(self) -> bool:
        """Whether it is short enough to be understood: a page of text on a button is not."""
        return self.known and len(self._lines[0]) <= (_MANY if self._lines[0][0].isascii() else 30)

    def holds(self, owner: str) -> Entry | None:
        """Return an entry of the owner's list anywhere in the label; enough where money is."""
        for line in self._lines[:1]:
            for match in self._phrases.find(line):
                plain = match.form == "base" and not _names_place(line[match.end :])
                denied = any(word in NOT for word in line[: match.start])
                unspaced = "".join(line[match.end :]).startswith(AFTER_CJK)
                if match.entry.owner == owner and plain and not denied and not unspaced:
                    return match.entry
        return None

    @property
    def agrees(self) -> bool:
        """Whether it agrees to something named elsewhere: OK, Confirm, Continue."""
        first = self._lines[0] if self._lines else []
        if not first:
            return False
        short = len(first) <= 3 and first[0].isascii()
        return "".join(first) in AGREEING or (short and first[0] in AGREEING)

    def entry_of(self, owner: str, *, loose: bool) -> Entry | None:
        """Return the owner's entry that makes up the label; `loose` where labels may be longer."""
        for number, line in enumerate(self._lines):
            # Below the first line of a row is content: a message, a preview.
            open_ended = loose and number == 0
            entry = self._spaced(line, owner, loose=open_ended) or self._unspaced(line, owner)
            if entry is not None:
                return entry
        return None

    def _spaced(self, line: Sequence[str], owner: str, *, loose: bool) -> Entry | None:
        """Return the owner's entry in a label that consists only of entries and neutral words."""
        if len(line) > _MANY:
            return None
        found: Entry | None = None
        at = 0
        while at < len(line):
            matches = [each for each in self._phrases.at(line, at) if each.form != "s"]
            if line[at] in PLACES:
                return None
            for match in matches:
                if match.entry.owner == owner and (loose or not match.open_end):
                    found = found or match.entry
                    if match.open_end and not _names_place(line[match.end :]):
                        return found
            closed = [match.end for match in matches if not match.open_end]
            if not (closed or line[at] in TAILS | AGREEING or line[at][0].isdigit()):
                return None
            at = max(closed, default=at + 1)
        return found

    def _unspaced(self, line: Sequence[str], owner: str) -> Entry | None:
        """Return the owner's entry inside a short label in a script without spaces."""
        if len(line) > _SHORT or line[0][0] < "\u2e80":
            return None
        text = "".join(line)
        for match in self._phrases.find(line):
            before, after = text[: match.start], text[match.end :]
            said = match.entry.owner == owner and match.entry.language in UNSPACED
            if said and not (before.endswith(NOT_CJK) or after.startswith(AFTER_CJK)):
                return match.entry
        return None

    def field_of(self, owner: str) -> Entry | None:
        """Return the owner's field entry that the label names: "Enter your password"."""
        for line in self._lines:
            for match in self._phrases.find(line[:12]):
                if match.entry.owner == owner:
                    return match.entry
        return None


def _names_place(rest: Sequence[str]) -> bool:
    return bool(rest) and rest[0] in PLACES
