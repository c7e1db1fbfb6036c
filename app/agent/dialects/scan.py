"""Splits a reply in one pass: into its thought, and the calls after it.

Models put their thought between tags, or leave the opening tag to the chat template. So a closing
tag outside every call turns everything before it into thought, including calls. A call is read
completely before the search continues, so that tags and calls inside its strings do not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.agent.dialects.syntax import CallError
from app.errors import ReplyTruncated, ReplyUnparseable

T = TypeVar("T")
Reader = Callable[[str, re.Match[str]], tuple[T, int]]
"""Parses the call whose beginning was matched; returns it and its end. Raises CallError."""

MAX_REPLY = 50_000
"""Longest reply that is parsed, in characters."""
MAX_CALLS = 20
_OPENS = r"<(?:think|thinking|tink)>"
_CLOSES = r"</(?:think|thinking|tink)>"
_MARKS = r"<\|[a-z_]{2,40}\|>|\[EOS\]"
"""Special tokens that servers pass through as text."""
_TAGS = re.compile(rf"{_OPENS}|{_CLOSES}|{_MARKS}", re.IGNORECASE)
_CLOSE = re.compile(_CLOSES, re.IGNORECASE)
_BEGINS_WITH_THOUGHT = re.compile(rf"(?:\s|{_MARKS})*{_OPENS}", re.IGNORECASE)


@dataclass(frozen=True)
class Found(Generic[T]):
    """A call and its place in the text."""

    call: T
    start: int
    end: int


@dataclass(frozen=True)
class Scan(Generic[T]):
    """`thought` is everything up to the last closing tag; `body` is the rest, with its calls.

    `begin` is the body's index in the text. A reply that only thinks has the body "". `quoted` are
    the calls that turned out to be thought, because a closing tag followed them.
    """

    thought: str
    body: str
    begin: int
    found: list[Found[T]]
    quoted: list[Found[T]]


BEGINS = r"(?:\A|(?<=</think>)|(?<=</thinking>)|(?<=</tink>))"
"""Where an unmarked call may begin: at the start of a reply or of its body."""


def scan(text: str, head: str, read: Reader[T]) -> Scan[T]:
    """Scan `text` for calls, whose beginning is the pattern `head`. Raises CallError."""
    pattern = re.compile(
        rf"(?P<opens>{_OPENS})|(?P<closes>{_CLOSES})|(?P<head>{head})", re.IGNORECASE | re.MULTILINE
    )
    begin = at = 0
    if opened := _BEGINS_WITH_THOUGHT.match(text):
        closed = _CLOSE.search(text, opened.end())
        if closed is None:
            return Scan(text, "", len(text), [], [])
        begin = at = closed.end()
    found: list[Found[T]] = []
    quoted: list[Found[T]] = []
    while match := pattern.search(text, at):
        if match["opens"]:
            closed = _CLOSE.search(text, match.end())
            at = closed.end() if closed else len(text)
        elif match["closes"]:
            begin = at = match.end()
            quoted += found
            found.clear()
        else:
            call, at = read(text, match)
            found.append(Found(call, match.start(), at))
            if len(found) + len(quoted) > MAX_CALLS:
                raise CallError(f"more than {MAX_CALLS} calls")
    return Scan(text[:begin], text[begin:], begin, found, quoted)


def readable(text: str, *, truncated: bool) -> None:
    """Raise ReplyTruncated, or ReplyUnparseable for a reply that is too long."""
    if len(text) > MAX_REPLY:
        raise ReplyUnparseable(f"the reply is longer than {MAX_REPLY} characters")
    if truncated:
        raise ReplyTruncated("the reply was cut before its end")


def plain(text: str) -> str:
    """Remove thought tags and special tokens. Each is replaced by a space, so that the text around
    it cannot form a new one."""
    return _TAGS.sub(" ", text).strip()


def alone_on_its_line(text: str, found: Found[T]) -> bool:
    """Whether the lines of a call have no words before it, or none after it. A call between words
    is mentioned, not made."""
    begin = text.rfind("\n", 0, found.start) + 1
    end = text.find("\n", found.end)
    around = text[begin : found.start], text[found.end : end if end >= 0 else len(text)]
    return not all(re.search(r"\w", plain(words)) for words in around)


def unreadable(error: CallError) -> ReplyUnparseable:
    return ReplyUnparseable(f"the action cannot be read: {error}")
