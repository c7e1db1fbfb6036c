"""The call syntax of the model's answers: `do(action="Tap", element=[1,2])`.

A small tokeniser of its own instead of Python's parser: what a model writes is nearly Python (raw
newlines in strings, missing quotes at the end, full-width brackets), and nothing of it may ever be
evaluated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Value = str | int | float | bool | None | list["Value"]

MAX_NESTING = 8
_HEAD = re.compile(r"(?<![\w.])(do|finish)\s*\(")
_MEANT_AS_CALL = re.compile(r"\s*(?:\w+\s*=(?!=)|[\"'*{\[]|\))")
_NAME = re.compile(r"[A-Za-z_]\w*")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_SPACE = re.compile(r"\s*")
_WORDS: dict[str, Value] = {
    "True": True,
    "False": False,
    "None": None,
    "true": True,
    "false": False,
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\n": "", "\\": "\\", "/": "/", '"': '"', "'": "'"}


class CallError(ValueError):
    """Text that was meant as a call and is not one."""


@dataclass(frozen=True)
class Call:
    """One call: `name` is "do" or "finish"; `start` and `end` are its place in the text."""

    name: str
    positional: tuple[Value, ...]
    keywords: dict[str, Value] = field(hash=False)
    start: int = 0
    end: int = 0


def find_calls(text: str) -> list[Call]:
    """All complete calls of `text`, in order, none inside another's strings.

    Raises:
        CallError: something was meant as a call but cannot be read. What follows it is not
            looked at, since it may lie inside a string of the broken call.
    """
    calls = []
    position = 0
    while head := _HEAD.search(text, position):
        if not _MEANT_AS_CALL.match(text, head.end()):
            position = head.end()  # prose such as "do (carefully) this"
            continue
        call = _Reader(text, head.end()).read_call(head.group(1), head.start())
        calls.append(call)
        position = call.end
    return calls


class _Reader:
    def __init__(self, text: str, position: int) -> None:
        self._text = text
        self._at = position

    def read_call(self, name: str, start: int) -> Call:
        positional: list[Value] = []
        keywords: dict[str, Value] = {}
        while True:
            self._skip_space()
            if self._take(")"):
                break
            key = self._keyword()
            value = self._value(0)
            if key is None:
                positional.append(value)
            elif key in keywords:
                raise CallError(f"{key} is given twice")
            else:
                keywords[key] = value
            self._skip_space()
            if not self._take(",") and not self._peek(")"):
                raise CallError(f"expected , or ) after {key or 'an argument'}")
        if self._text[self._at : self._at + 1] in tuple(".[("):
            raise CallError("a call must stand alone")
        return Call(name, tuple(positional), keywords, start, self._at)

    def _keyword(self) -> str | None:
        if not (name := _NAME.match(self._text, self._at)):
            return None
        after = _SPACE.match(self._text, name.end())
        end = after.end() if after else name.end()
        if self._text[end : end + 1] != "=":
            return None
        self._at = end + 1
        return name.group()

    def _value(self, depth: int) -> Value:
        self._skip_space()
        if depth > MAX_NESTING:
            raise CallError("too deeply nested")
        character = self._text[self._at : self._at + 1]
        if character in ("'", '"'):
            return self._string(character)
        if character in ("[", "("):
            return self._list("]" if character == "[" else ")", depth)
        if number := _NUMBER.match(self._text, self._at):
            self._at = number.end()
            digits = number.group()
            return (
                int(digits) if digits.lstrip("+-").isdigit() and len(digits) < 20 else float(digits)
            )
        if (word := _NAME.match(self._text, self._at)) and word.group() in _WORDS:
            self._at = word.end()
            return _WORDS[word.group()]
        raise CallError(f"cannot read a value at {self._text[self._at : self._at + 20]!r}")

    def _list(self, closing: str, depth: int) -> list[Value]:
        self._at += 1
        items: list[Value] = []
        while True:
            self._skip_space()
            if self._take(closing):
                return items
            items.append(self._value(depth + 1))
            self._skip_space()
            if not self._take(",") and not self._peek(closing):
                raise CallError(f"expected , or {closing}")

    def _string(self, quote: str) -> str:
        """A string up to its closing quote; raw newlines are part of it."""
        self._at += 1
        parts: list[str] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            self._at += 1
            if character == quote:
                return "".join(parts)
            if character == "\\" and self._at < len(self._text):
                parts.append(self._escape())
            else:
                parts.append(character)
        raise CallError("a string is not closed")

    def _escape(self) -> str:
        character = self._text[self._at]
        self._at += 1
        if character == "u":
            digits = self._text[self._at : self._at + 4]
            if re.fullmatch(r"[0-9a-fA-F]{4}", digits):
                self._at += 4
                return chr(int(digits, 16))
        return _ESCAPES.get(character, "\\" + character)

    def _skip_space(self) -> None:
        if space := _SPACE.match(self._text, self._at):
            self._at = space.end()

    def _peek(self, character: str) -> bool:
        return self._text[self._at : self._at + 1] == character

    def _take(self, character: str) -> bool:
        if self._peek(character):
            self._at += 1
            return True
        return False
