"""An HTTP server that says what a test wrote, for answers that no engine gives on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Script:
    """What to answer, and what was asked.

    `chunks` are written one by one as HTTP chunks. With `hang` the answer then stays open until
    the client closes, which sets `left`; with `broken` the connection is closed without the end;
    with `silent` nothing at all is answered. The connections of the requests in `vanish`, counted
    from 1, end without an answer. `pause_s` is how long it takes to have each chunk.
    """

    chunks: Iterable[bytes] = ()
    status: str = "200 OK"
    content_type: str = "text/event-stream"
    hang: bool = False
    broken: bool = False
    silent: bool = False
    vanish: Sequence[int] = ()
    pause_s: float = 0.0
    headers: str = ""
    bodies: list[bytes] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def base_url(self) -> str:
        return f"{self.url}/v1"


@asynccontextmanager
async def serve(script: Script) -> AsyncIterator[Script]:
    """Run `script` on a loopback port and set its `url`."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script.connections += 1
        try:
            while await _exchange(script, reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    async with server:
        script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield script


async def _exchange(
    script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    script.heads.append(head)
    fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
    length = int(fields.get("content-length", 0))
    body = await reader.readexactly(length)
    script.bodies.append(body)
    script.requests.append(json.loads(body) if body else {})
    script.asked.set()
    if len(script.heads) in script.vanish:
        return False
    if script.silent:
        await reader.read()
        script.left.set()
        return False
    writer.write(
        f"HTTP/1.1 {script.status}\r\nContent-Type: {script.content_type}\r\n"
        f"Transfer-Encoding: chunked\r\n{script.headers}\r\n".encode()
    )
    for chunk in script.chunks:
        await asyncio.sleep(script.pause_s)
        writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        await writer.drain()
    if script.hang:
        await reader.read()
        script.left.set()
        return False
    if script.broken:
        return False
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True
