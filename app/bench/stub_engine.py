"""An engine with prepared answers, to measure a step without the model's time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s"
_PIECE = 40
"""Characters of a reply per event, so that a reply arrives like a stream."""


@dataclass
class StubEngine:
    """Answers every chat request under `url` with the next reply; `worked_s` is the sum of its own
    time, `asked` the body of the last request."""

    url: str
    reply: Callable[[], str]
    worked_s: float = 0.0
    asked: bytes = b""

    async def base_url(self) -> str:
        return self.url

    def answer(self, body: bytes) -> bytes:
        """Return the event stream for one request; a request without a body is a health check."""
        if not body:
            return _HEAD % (0, b"")
        self.asked = body
        begun = time.perf_counter()
        empty = json.loads(body).get("max_tokens") == 0
        text = "" if empty else self.reply()
        pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
        events = [_event({"content": piece}) for piece in pieces]
        events.append(_event({}, finish_reason="stop"))
        stream = "".join([*events, "data: [DONE]\n\n"]).encode()
        self.worked_s += time.perf_counter() - begun
        return _HEAD % (len(stream), stream)


def _event(delta: dict[str, str], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    counts = {"cache_n": 900, "prompt_n": 3400, "predicted_n": 60}
    chunk = {"object": "chat.completion.chunk", "choices": [choice], "timings": counts}
    return f"data: {json.dumps(chunk)}\n\n"


@asynccontextmanager
async def stub_engine(reply: Callable[[], str]) -> AsyncIterator[StubEngine]:
    """Run a stub engine on a loopback port during the block."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = dict(
                    line.lower().split(": ", 1)
                    for line in head.decode("latin-1").splitlines()[1:]
                    if ": " in line
                )
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                writer.write(engine.answer(body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has closed the connection
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0, limit=1 << 24)
    engine = StubEngine(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", reply)
    async with server:
        yield engine
