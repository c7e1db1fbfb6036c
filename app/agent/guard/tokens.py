"""Normalises text and splits it into words, for matching against lists.

Chinese, Japanese and Korean do not separate words by spaces, so each of their characters is a word.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from app.visible import visible

_UNSPACED = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(f"[{_UNSPACED}]|(?:(?![{_UNSPACED}_])\\w)+")
_QUOTED = re.compile(
    '"[^"\n]{1,80}"|“[^”\n]{1,80}”|„[^“”"\n]{1,80}[“”"]|«[^»\n]{1,80}»|‹[^›\n]{1,80}›'
    "|「[^」\n]{1,80}」|『[^』\n]{1,80}』|【[^】\n]{1,80}】|《[^》\n]{1,80}》"
    r"|(?<!\w)'[^'\n]{1,80}'(?!\w)"
)
_SHORTENED = (
    (re.compile("[\u2018\u2019\u02bc\u00b4`]"), "'"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bcan't\b"), "can not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\blet's\b"), "let us"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'m\b"), " am"),
    (re.compile(r"'(?:re|ve|d)\b"), ""),
)
_END = re.compile(
    r",(?=\D|$)(?!\s*(?:um|damit|afin|pour|para|to)\b)|\.(?=\D|$)|[!?;:\n(){}\[\]。！？；：，、…—–|]"
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word; `quoted` if it is in quotation marks, `opens` if it is the first word there."""

    text: str
    quoted: bool = False
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Clause:
    """A stretch of text without a stop; `question` if it ends with a question mark."""

    words: tuple[Word, ...]
    question: bool = False


def normalise(text: str) -> str:
    """Fold case, unify width and compatibility forms, remove accents and invisible characters.

    Idempotent.
    """
    for _ in range(4):  # folding may compose, and composing may fold: two rounds are usual
        before, text = text, _plain(visible(text).replace("\u200d", ""))
        if text == before:
            break
    return text


def _plain(text: str) -> str:
    if text.isascii():
        return text.casefold()
    # One character may expand to eighteen.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = folded[: 4 * len(text) + 16]
    return "".join(
        _bare(char) if "\xbf" < char < "\u2000" or char > "\u2fff" else char
        for char in folded
        if not "\u0300" <= char <= "\u036f"
    )


def _bare(char: str) -> str:
    """Strip the accent of a Latin or Greek letter; kana and Hangul keep their parts."""
    if char < "\u0250" or "\u1e00" <= char < "\u2000" or "\u0370" <= char < "\u0400":
        return unicodedata.normalize("NFD", char)[0]
    return char


def words(text: str) -> list[str]:
    """Split a normalised text into words."""
    return _WORD.findall(text)


def spelt_out(text: str) -> str:
    """Expand English contractions: don't, I'll."""
    for pattern, plain in _SHORTENED:
        text = pattern.sub(plain, text)
    return text


def clauses(text: str) -> list[Clause]:
    """Split a normalised text into clauses; a stop inside quotation marks does not end one."""
    text = spelt_out(text)
    found: list[Clause] = []
    row: list[Word] = []
    at = 0
    for quote in _QUOTED.finditer(text):
        _cut(text[at : quote.start()], row, found)
        inside = _WORD.findall(quote.group())
        row.extend(Word(word, True, number == 0) for number, word in enumerate(inside))
        at = quote.end()
    _cut(text[at:], row, found)
    if row:
        found.append(Clause(tuple(row)))
    return found


def _cut(text: str, row: list[Word], found: list[Clause]) -> None:
    """Add the words of an unquoted stretch to `row`, and finished clauses to `found`."""
    at = 0
    for stop in _END.finditer(text):
        row.extend(Word(word) for word in _WORD.findall(text[at : stop.start()]))
        at = stop.end()
        if row:
            found.append(Clause(tuple(row), stop.group() in "?？"))
            row.clear()
    row.extend(Word(word) for word in _WORD.findall(text[at:]))
