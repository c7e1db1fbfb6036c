"""An engine that refuses requests with certain fields, by name, as hosts do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

_REPLY = (
    b'data: {"choices":[{"index":0,"delta":{"content":"fine"},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)


@dataclass
class Picky:
    """`refuses` are fields that get a 400; `answer` is a status and body for every request."""

    refuses: tuple[str, ...] = ()
    answer: tuple[int, bytes] | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def respond(self, body: dict[str, Any]) -> tuple[int, bytes]:
        self.bodies.append(body)
        if self.answer is not None:
            return self.answer
        for name in self.refuses:
            if name in body:
                message = f"Unsupported parameter: '{name}' is not supported with this model."
                error = {"message": message, "param": name, "code": "unsupported_parameter"}
                return 400, json.dumps({"error": error}).encode()
        return 200, _REPLY


@asynccontextmanager
async def picky_server(picky: Picky) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Run it on a loopback port; yields what returns the base of its API."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
                status, said = picky.respond(json.loads(await reader.readexactly(length)))
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(said)))
                writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]

        async def base() -> str:
            return f"http://127.0.0.1:{port}/v1"

        yield base
