"""Finds URLs in a request that the engine would fetch.

llama.cpp fetches them itself, from this machine and therefore from inside its network: a client's
image must be in its request.

The body is not parsed into objects, which would take many times its size, and the text of a picture
is skipped. It is read token by token, and no value is left out: of a key that is given twice every
value counts, whichever the engine uses. Characters that JSON does not use are rejected; whether the
rest is valid JSON is left to the engine.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

MAX_DEPTH = 200
MAX_VALUES = 300_000
"""Most strings, lists and objects in a body. A picture is one, a long conversation thousands."""
_WINDOW = 2**20
"""Bytes scanned at once: other threads wait meanwhile."""
_BETWEEN = re.compile(rb"[ \t\r\n0-9+\-.,:eEtrufalsn]*")
_SPACE = re.compile(rb"[ \t\r\n]*")
_IN_TEXT = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_LONGEST_NAME = 600
"""Longest key, or value of `type`, that any engine knows, in bytes: a hundred escaped letters."""
_NOT_JSON = "the body is not valid JSON"
_ADDRESS = "images must be data: URLs; the engine must not fetch addresses for a client"


class _Complaint(Exception):
    pass


@dataclass
class _Object:
    """An open object: whether it is the value of an `..._url`, and what it contains so far."""

    under_url: bool
    type_is_url: bool = False
    url: bool = False
    address: bool = False


def complaint_about(body: bytes | bytearray) -> str:
    """Return why a local engine must not get `body`; empty if it may."""
    try:
        _Scan(body).run()
    except _Complaint as exc:
        return str(exc)
    return ""


class _Scan:
    def __init__(self, body: bytes | bytearray) -> None:
        self._body = body
        self._at = 0
        self._values = 0
        self._open: list[_Object | None] = []
        """The objects around the current position; None for a list."""

    def run(self) -> None:
        """Scan the body; raises _Complaint."""
        body = self._body.removeprefix(b"\xef\xbb\xbf") if self._body[:1] == b"\xef" else self._body
        self._body = body
        begun = False
        while True:
            self._skip(_BETWEEN)
            if self._at == len(body):
                break
            if begun and not self._open:
                raise _Complaint(_NOT_JSON)  # something after the end
            begun = True
            self._token(body[self._at])
        if self._open:
            raise _Complaint(_NOT_JSON)

    def _token(self, character: int) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise _Complaint(f"the body has more than {MAX_VALUES} values")
        match chr(character):
            case '"':
                self._text()
            case "{":
                self._enter(_Object(under_url=False))
            case "[":
                self._enter(None)
            case "}" | "]" if self._open and (self._open[-1] is None) == (character == ord("]")):
                self._at += 1
                self._leave(self._open.pop())
            case _:
                raise _Complaint(_NOT_JSON)

    def _enter(self, opened: _Object | None) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise _Complaint(f"the body is nested more than {MAX_DEPTH} levels deep")
        self._open.append(opened)
        self._at += 1

    def _leave(self, closed: _Object | None) -> None:
        if closed is None:
            return
        if closed.address and (closed.under_url or closed.type_is_url):
            raise _Complaint(_ADDRESS)
        if closed.type_is_url and not closed.url:
            raise _Complaint(_ADDRESS)

    def _text(self) -> None:
        """Skip a string; if it is a relevant key, look at its value."""
        begin, end = self._string()
        self._skip(_SPACE)
        if self._peek() != b":":
            return
        around = self._open[-1] if self._open else None
        name = self._name(begin, end)
        points = name.endswith(b"_url")
        if around is None or not (points or name in (b"url", b"type")):
            return
        self._at += 1
        self._skip(_SPACE)
        value = self._peek()
        if value == b"{" and points:
            self._enter(_Object(under_url=True))
        elif value == b'"':
            begin, end = self._string()
            is_data = self._body[begin : begin + 5] == b"data:"
            if points and not is_data:
                raise _Complaint(_ADDRESS)
            if name == b"url":
                around.url = True
                around.address = around.address or not is_data
            elif name == b"type" and self._name(begin, end) == b"url":
                around.type_is_url = True

    def _string(self) -> tuple[int, int]:
        """Skip the string that begins here; return its start and end, without quotes."""
        begin = self._at + 1
        end = self._body.find(b'"', begin)
        if end < 0:
            raise _Complaint(_NOT_JSON)
        if self._body.find(b"\\", begin, end) >= 0:
            self._at = begin
            self._skip(_IN_TEXT)
            end = self._at
            if self._peek() != b'"':
                raise _Complaint(_NOT_JSON)
        self._at = end + 1
        return begin, end

    def _name(self, begin: int, end: int) -> bytes:
        """Return the unescaped key or short value; b"" for one that no engine can know."""
        written = bytes(self._body[max(begin, end - _LONGEST_NAME) : end])
        if b"\\" not in written:
            return written
        if end - begin > _LONGEST_NAME:
            return b""
        try:
            return str(json.loads(b'"' + written + b'"')).encode("utf-8", "replace")
        except ValueError as exc:
            raise _Complaint(_NOT_JSON) from exc

    def _skip(self, kind: re.Pattern[bytes]) -> None:
        """Skip everything that matches."""
        while found := kind.match(self._body, self._at, self._at + _WINDOW):
            moved = found.end() - self._at
            self._at = found.end()
            if moved < _WINDOW - 1:  # a window may end in the middle of an escape
                return

    def _peek(self) -> bytes:
        return bytes(self._body[self._at : self._at + 1])
