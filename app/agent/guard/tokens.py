"""Text made comparable and cut into words: what lists are matched against.

Chinese, Japanese and Korean have no spaces to rely on, so each of their characters is a word.
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
    """`quoted` says that it stands in quotation marks, `opens` that it is the first there."""

    text: str
    quoted: bool = False
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Clause:
    """A stretch of text without a stop; `question` says that a question mark ends it."""

    words: tuple[Word, ...]
    question: bool = False


def normalise(text: str) -> str:
    """Case folded, width and compatibility forms unified, accents and invisible characters gone.

    Applied twice it changes nothing more.
    """
    for _ in range(4):  # folding may compose, and composing may fold: two rounds are usual
        before, text = text, _plain(visible(text).replace("\u200d", ""))
        if text == before:
            break
    return text


def _plain(text: str) -> str:
    if text.isascii():
        return text.casefold()
    # One character may stand for eighteen.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = folded[: 4 * len(text) + 16]
    return "".join(
        _bare(char) if "\xbf" < char < "\u2000" or char > "\u2fff" else char
        for char in folded
        if not "\u0300" <= char <= "\u036f"
    )


def _bare(char: str) -> str:
    """A Latin or Greek letter without its accent; kana and Hangul keep what decomposes."""
    if char < "\u0250" or "\u1e00" <= char < "\u2000" or "\u0370" <= char < "\u0400":
        return unicodedata.normalize("NFD", char)[0]
    return char


def words(text: str) -> list[str]:
    """The words of a normalised text."""
    return _WORD.findall(text)


def spelt_out(text: str) -> str:
    """English contractions in full: don't, I'll."""
    for pattern, plain in _SHORTENED:
        text = pattern.sub(plain, text)
    return text


def clauses(text: str) -> list[Clause]:
    """The clauses of a normalised text; a stop inside quotation marks ends none."""
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
