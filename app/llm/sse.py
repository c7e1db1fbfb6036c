"""Server-sent events as inference servers write them: bytes in, `data` payloads out."""

from __future__ import annotations

LONGEST_EVENT = 2**20
"""Bytes; a stream with a longer line or event is no event stream."""


class SseParser:
    """Incremental: takes chunks cut at any byte and gives each event's data once it is complete.

    Comments (`: ping`), which llama-server sends in long silence, and fields other than `data`
    are dropped. https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6,
    with LF and CRLF line ends, the only ones that are seen in practice.
    """

    def __init__(self) -> None:
        self._partial = bytearray()
        self._data: list[str] = []
        self._size = 0
        """Bytes of the event so far."""

    def feed(self, chunk: bytes) -> list[str]:
        """The data of the events that `chunk` completes. Raises `ValueError` on a line or an event
        without end."""
        events: list[str] = []
        if b"\n" not in chunk:
            self._partial += chunk
        else:
            head, *lines = chunk.split(b"\n")
            self._partial += head
            first, rest = bytes(self._partial), lines.pop()
            self._partial = bytearray(rest)
            for line in (first, *lines):
                self._take(line.removesuffix(b"\r"), events)
        if self._size + len(self._partial) > LONGEST_EVENT:
            raise ValueError("the event stream has an endless line")
        return events

    def _take(self, line: bytes, events: list[str]) -> None:
        if not line:
            if self._data:
                events.append("\n".join(self._data))
            self._data, self._size = [], 0
        elif line.startswith(b"data:"):
            value = line.removeprefix(b"data:").removeprefix(b" ")
            self._data.append(value.decode("utf-8", "replace"))
            self._size += len(line)
