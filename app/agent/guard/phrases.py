"""Lists of words and phrases, compiled for searching a text in linear time.

An entry is one or more words. `word*` matches every word with that beginning; `...` matches up to
six words between two others, or any rest at the end of an entry. English words also match in their
-ing form, and verbs in the third person (`sends`). Entries in scripts without spaces match
anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from app.agent.guard.tokens import normalise, words

Form = Literal["base", "ing", "s"]
Kind = Literal["word", "label", "field"]
"""Said or on a button; only on a button; the name of an input field."""
_GAP = 6
_ANY = "..."


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a list: its owner ("pay"), its list and language, and its words."""

    owner: str
    kind: Kind
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Match:
    """`words[start:end]` of a text. `form` is the form of an English entry's first word; `open_end`
    means that anything may follow."""

    start: int
    end: int
    entry: Entry
    form: Form = "base"
    open_end: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    stem: bool = False

    def fits(self, word: str) -> bool:
        return word.startswith(self.text) if self.stem else word == self.text


@dataclass(frozen=True, slots=True)
class _Pattern:
    entry: Entry
    form: Form
    rest: tuple[_Piece | None, ...]
    """The pieces after the first word; None is a gap."""
    open_end: bool


class Phrases:
    """Entries, compiled for searching."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._exact: dict[str, list[_Pattern]] = {}
        self._stems: dict[str, list[_Pattern]] = {}
        for entry in entries:
            self._add(entry)
        self._lengths = sorted({len(stem) for stem in self._stems})

    def find(self, text: Sequence[str]) -> Iterator[Match]:
        """Yield every entry in the text, in order of position."""
        for start in range(len(text)):
            yield from self.at(text, start)

    def at(self, text: Sequence[str], start: int) -> Iterator[Match]:
        """Yield every entry that begins at word number `start`."""
        word = text[start]
        for pattern in self._exact.get(word, ()):
            yield from _follow(pattern, text, start)
        for length in self._lengths:
            if length > len(word):
                break
            for pattern in self._stems.get(word[:length], ()):
                yield from _follow(pattern, text, start)

    def _add(self, entry: Entry) -> None:
        pieces = _pieces(entry.text)
        open_end = len(pieces) > 1 and pieces[-1] is None
        kept = pieces[:-1] if open_end else pieces
        if not kept or kept[0] is None:
            return
        first, rest = kept[0], tuple(kept[1:])
        if first.stem:
            pattern = _Pattern(entry, "base", rest, open_end)
            self._stems.setdefault(first.text, []).append(pattern)
            return
        for form, spelt in _forms(first.text, entry.language):
            pattern = _Pattern(entry, form, rest, open_end)
            self._exact.setdefault(spelt, []).append(pattern)


def _pieces(text: str) -> list[_Piece | None]:
    """Split an entry into words; None is a gap."""
    found: list[_Piece | None] = []
    for part in text.split():
        if part == _ANY:
            found.append(None)
            continue
        split = words(normalise(part))
        found.extend(_Piece(word) for word in split[:-1])
        found.extend(_Piece(word, part.endswith("*")) for word in split[-1:])
    return found


def _forms(word: str, language: str) -> list[tuple[Form, str]]:
    """Return the forms of an English verb: log, logging, logs. Non-words do no harm."""
    if language != "en":
        return [("base", word)]
    found: list[tuple[Form, str]] = [("base", word), ("ing", f"{word}ing"), ("s", f"{word}s")]
    if word.endswith("e"):
        found.append(("ing", f"{word[:-1]}ing"))
    elif word[-1:] in "bdgklmnprt":
        found.append(("ing", f"{word}{word[-1]}ing"))
    if word.endswith(("s", "h", "x")):
        found.append(("s", f"{word}es"))
    if word.endswith("y"):
        found.append(("s", f"{word[:-1]}ies"))
    return found


def _follow(pattern: _Pattern, text: Sequence[str], start: int) -> Iterator[Match]:
    at = start + 1
    gap = 0
    for piece in pattern.rest:
        if piece is None:
            gap = _GAP
            continue
        last = min(at + gap, len(text) - 1)
        while at <= last and not piece.fits(text[at]):
            at += 1
        if at > last:
            return
        at += 1
        gap = 0
    yield Match(start, at, pattern.entry, pattern.form, pattern.open_end)
