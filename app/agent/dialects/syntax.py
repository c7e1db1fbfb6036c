"""Parses the calls in a model's answer: `do(action="Tap", element=[1,2])`, or its JSON form.

This is a small tokeniser instead of Python's parser: models write almost Python (raw newlines in
strings, full-width brackets and quotes, box tags in the middle), and none of it may ever be
evaluated. Characters are structure only in structural positions; the contents of strings stay as
they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

MAX_NESTING = 8
MAX_BROKEN = 100
MAX_LINE = 2_000
"""Characters after a call that are searched for a part of its text."""
_HEAD = re.compile(
    r"""(?<![\w.])(?:
        (?P<call>do|finish)(?P<space>\s*)[(（]
        |(?P<stray>text|message)\s*[=＝]\s*(?=["'“‘])
    )|(?P<json>\{)(?=\s*["'“‘])""",
    re.VERBOSE,
)
_MEANT_AS_CALL = re.compile(r"""\s*(?:\w+\s*(?:=(?!=)|＝)|["'“‘*{\[［]|[)）])""")
_PROSE = re.compile(r"""[^()（）"'“‘=＝]*[)）]""")
_SPACED_PROSE = re.compile(r"""[^()（）"“=＝]*[)）]""")
_NAME = re.compile(r"[A-Za-z_]\w*")
_CHAINED = re.compile(r"\.\w|\(|\[(?!EOS\])")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_SPACE = re.compile(r"(?:\s|<\|(?:begin|end)_of_box\|>)*")
_WORDS: dict[str, Value] = {
    "True": True,
    "False": False,
    "None": None,
    "true": True,
    "false": False,
    "null": None,
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\n": "", "\\": "\\", "/": "/", '"': '"', "'": "'"}
_CLOSING_QUOTE = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_PLAIN = {closing: re.compile(rf"[^{closing}\\]*") for closing in _CLOSING_QUOTE.values()}
"""The contents of a string up to its end or its next backslash, by the closing quote."""
_CLOSES_TEXT = re.compile(r"\s*(?:[)）]|[,，]\s*(?:[)）]|[A-Za-z_]\w*\s*[=＝])|\Z)")
"""What may follow the closing quote of a text: the end of the call, or the next argument."""
_CLOSES_ITEM = re.compile(r"\s*(?:[,，\]］)）}:]|\Z)")
_ANYWHERE = re.compile("")
"""The name of an action contains no quotes."""
_STRUCTURE = re.compile(r"</?[A-Za-z_]+>|<\||[A-Za-z_]\w*[(（]|[{}]")
"""Not accepted as part of a text whose quotes are ambiguous."""
_ADDED = re.compile(r"""\s*\+\s*["'“‘]""")
_POINT = re.compile(r"<(point|bbox)>([\d\s.,+-]{1,200})</\1>")
_CLOSING_BRACKET = {"[": "]", "(": ")", "［": "]", "（": ")"}
_FULL_WIDTH = {",": "，", ")": "）", "]": "］", "=": "＝"}
_UTF16 = re.compile(r"u([0-9a-fA-F]{4})(?:\\u([0-9a-fA-F]{4}))?")


class CallError(ValueError):
    """Text that was meant as a call but is not one."""


@dataclass(frozen=True)
class Call:
    """A call: `name` is "do" or "finish"; `start` and `end` are its place in the text."""

    name: str
    positional: tuple[Value, ...]
    keywords: dict[str, Value] = field(hash=False)
    start: int = 0
    end: int = 0


def find_calls(text: str) -> list[Call]:
    """Return all calls in `text`, in order, none inside another's strings.

    Raises:
        CallError: something was meant as a call but is unreadable. The text after it is
            not examined, because it may be inside a string of the broken call.
    """
    calls = []
    for found in _read_all(text):
        if isinstance(found, CallError):
            raise found
        calls.append(found)
    return calls


def readable_calls(text: str) -> list[Call]:
    """Return the readable calls in `text`, ignoring the broken ones. Never to be executed.

    Raises CallError if too much is unreadable.
    """
    calls, broken = [], 0
    for found in _read_all(text):
        if isinstance(found, Call):
            calls.append(found)
        elif (broken := broken + 1) > MAX_BROKEN:
            raise found
    return calls


def call_at(text: str, position: int) -> Call | None:
    """Return the call at `position`, or None; raises CallError for a broken one."""
    head = _HEAD.match(text, position)
    return _read_at(text, head)[0] if head else None


def _read_all(text: str) -> Iterator[Call | CallError]:
    position = 0
    while head := _HEAD.search(text, position):
        try:
            call, position = _read_at(text, head)
        except CallError as exc:
            yield exc
            position = head.end()
        else:
            if call is not None:
                yield call


def _read_at(text: str, head: re.Match[str]) -> tuple[Call | None, int]:
    """Return (the call that begins at `head`, or None if it is prose; where to continue)."""
    if head["json"]:
        return _read_json(text, head.start())
    if head["stray"]:
        raise CallError(f"{head['stray']} is outside a call")
    if _MEANT_AS_CALL.match(text, head.end()):
        call = Literals(text, head.end()).read_call(head["call"], head.start())
        return call, call.end
    # Prose such as "do (what is needed) first". With a quote or an = before the closing bracket it
    # is a call with something missing, like do(Type, text="...").
    prose = (_SPACED_PROSE if head["space"] else _PROSE).match(text, head.end())
    if prose is None:
        raise CallError(f"cannot read what follows {head.group().strip()}")
    return None, prose.end()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise CallError("a key is given twice")
    return found


_JSON = json.JSONDecoder(object_pairs_hook=_unique, strict=False)


def _read_json(text: str, start: int) -> tuple[Call | None, int]:
    try:
        found, end = _JSON.raw_decode(text, start)
    except (ValueError, RecursionError) as exc:
        raise CallError(f"not a JSON object: {exc}") from exc
    action = found.get("action")
    if not isinstance(action, str):
        return None, end
    if action.casefold() != "finish":
        return Call("do", (), found, start, end), end
    arguments = {key: value for key, value in found.items() if key != "action"}
    return Call("finish", (), arguments, start, end), end


def named_call_at(text: str, name: str, start: int, position: int) -> Call:
    """Parse the call `name(...)` whose arguments begin at `position`. Raises CallError."""
    return Literals(text, position).read_call(name, start)


class Literals:
    """Parses values from a position on. Raises CallError."""

    def __init__(self, text: str, position: int) -> None:
        self._text = text
        self._at = position
        self._mended = False
        """Whether a text contained its own quote character."""

    def read_object(self) -> tuple[dict[str, Value], int]:
        """Parse a Python dictionary with string keys; return it and its end."""
        found = self._value(0)
        if not isinstance(found, dict):
            raise CallError("it is no object")
        self._end_is_sure()
        return found, self._at

    def read_call(self, name: str, start: int) -> Call:
        positional: list[Value] = []
        keywords: dict[str, Value] = {}
        while True:
            self._skip_space()
            if self._take(")"):
                break
            key = self._keyword()
            names_it = key == "action" or (key is None and name == "do")
            value = self._value(0, ends=_ANYWHERE if names_it else _CLOSES_TEXT)
            if key is None:
                positional.append(value)
            elif key in keywords:
                raise CallError(f"{key} is given twice")
            else:
                keywords[key] = value
            self._skip_space()
            if not self._take(",") and not self._peek(")"):
                raise CallError(f"expected , or ) after {key or 'an argument'}")
        if _CHAINED.match(self._text, self._at):
            raise CallError("a call must stand alone")
        self._end_is_sure()
        return Call(name, tuple(positional), keywords, start, self._at)

    def _end_is_sure(self) -> None:
        """Raise CallError if a text with its own quote inside may continue after its end."""
        if self._mended:
            rest = self._text[self._at : self._at + MAX_LINE].partition("\n")[0]
            if any(quote in rest for quote in _PLAIN):
                raise CallError("a quote in a text hides where the text ends")

    def _keyword(self) -> str | None:
        begin = self._at
        if name := _NAME.match(self._text, self._at):
            self._at = name.end()
            self._skip_space()
            if self._take("="):
                return name.group()
        self._at = begin
        return None

    def _value(self, depth: int, ends: re.Pattern[str] = _CLOSES_ITEM) -> Value:
        self._skip_space()
        if depth > MAX_NESTING:
            raise CallError("too deeply nested")
        character = self._text[self._at : self._at + 1]
        if character in _CLOSING_QUOTE:
            return self._string(_CLOSING_QUOTE[character], ends)
        if character == "{":
            return self._dictionary(depth)
        if point := _POINT.match(self._text, self._at):
            self._at = point.end()
            return point[2]
        if character in _CLOSING_BRACKET:
            return self._list(_CLOSING_BRACKET[character], depth)
        if number := _NUMBER.match(self._text, self._at):
            self._at = number.end()
            digits = number.group()
            whole = digits.lstrip("+-").isdigit() and len(digits) < 20
            return int(digits) if whole else float(digits)
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

    def _dictionary(self, depth: int) -> dict[str, Value]:
        self._at += 1
        found: dict[str, Value] = {}
        while True:
            self._skip_space()
            if self._literal("}"):
                return found
            key = self._value(depth + 1)
            self._skip_space()
            if not isinstance(key, str) or key in found or not self._literal(":"):
                raise CallError("expected a key that stands once, and :")
            found[key] = self._value(depth + 1)
            self._skip_space()
            if not self._literal(",") and self._text[self._at : self._at + 1] != "}":
                raise CallError("expected , or }")

    def _string(self, closing: str, ends: re.Pattern[str]) -> str:
        """Parse a string up to its closing quote; raw newlines are part of it.

        A quote closes the string only before something that can follow it, given by `ends`; any
        other quote is part of it, as in text="the "best" of them".
        """
        self._at += 1
        plain = _PLAIN[closing]
        parts: list[str] = []
        mended = False
        while run := plain.match(self._text, self._at):
            parts.append(run.group())
            self._at = run.end()
            character = self._text[self._at : self._at + 1]
            self._at += 1
            if character == closing:
                if ends.match(self._text, self._at):
                    text = "".join(parts)
                    if mended and _STRUCTURE.search(text):
                        raise CallError("a text holds quotes and what may be an action")
                    return text
                if _ADDED.match(self._text, self._at):
                    raise CallError("texts cannot be added up")
                self._mended = mended = True
                parts.append(character)
                continue
            if character != "\\" or self._at >= len(self._text):
                break
            parts.append(self._escape())
        raise CallError("a string is not closed")

    def _escape(self) -> str:
        """Return the meaning of a backslash and the characters after it; an unknown one is kept."""
        if code := _UTF16.match(self._text, self._at):
            high, low = int(code[1], 16), int(code[2] or "0", 16)
            if 0xD800 <= high < 0xDC00 <= low < 0xE000:
                self._at = code.end()
                return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
            self._at = code.end(1)
            return chr(high)
        character = self._text[self._at]
        self._at += 1
        return _ESCAPES.get(character, "\\" + character)

    def _skip_space(self) -> None:
        if space := _SPACE.match(self._text, self._at):
            self._at = space.end()

    def _literal(self, character: str) -> bool:
        found = self._text.startswith(character, self._at)
        self._at += found
        return found

    def _peek(self, character: str) -> bool:
        found = self._text[self._at : self._at + 1]
        return bool(found) and found in (character, _FULL_WIDTH[character])

    def _take(self, character: str) -> bool:
        if self._peek(character):
            self._at += 1
            return True
        return False
