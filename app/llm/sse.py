"""Server-sent events as inference servers write them: bytes in, `data` payloads out."""

from __future__ import annotations

LONGEST_LINE = 8 * 2**20
"""Bytes; a stream with a longer line is no event stream."""


class SseParser:
    """Incremental: takes chunks cut at any byte and gives each event's data once it is complete.

    Comments (`: ping`), which llama-server sends in long silence, and fields other than `data`
    are dropped. https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6,
    with LF and CRLF line ends, the only ones that are seen in practice.
    """

    def __init__(self) -> None:
        self._partial = b""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        """The data of the events that `chunk` completes. Raises `ValueError` on a line without
        end."""
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        if len(self._partial) > LONGEST_LINE:
            raise ValueError("the event stream has a line without end")
        events = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if not line:
                if self._data:
                    events.append("\n".join(self._data))
                    self._data = []
            elif line.startswith(b"data:"):
                value = line.removeprefix(b"data:").removeprefix(b" ")
                self._data.append(value.decode("utf-8", "replace"))
        return events
