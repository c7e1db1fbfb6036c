"""An engine that streams at the speed of a large model, in a separate process as engines are.

`python -m app.bench.paced_engine TOKENS` prints its URL and ends when its stdin closes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.demo.child import ended

PACE = 40.0
"""Tokens per second and stream: a 9B model on a consumer card."""
STOP_S = 5.0


@asynccontextmanager
async def paced_engine(tokens: int) -> AsyncIterator[str]:
    """Yield its URL; it replies with `max_tokens` tokens, or `tokens` by default."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.bench.paced_engine", str(tokens),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin and process.stdout
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await ended(process, STOP_S)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tokens: int) -> None:
    clock = asyncio.get_running_loop().time
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            body = json.loads(await reader.readexactly(_length(head)) or b"{}")
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )
            begun = clock()
            for number in range(body.get("max_tokens", tokens)):
                await asyncio.sleep(max(0.0, begun + number / PACE - clock()))
                writer.write(_chunk(_event(number)))
                await writer.drain()
            writer.write(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return  # the client has closed the connection
    finally:
        writer.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _event(number: int) -> bytes:
    delta = {"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}
    chunk = {"object": "chat.completion.chunk", "choices": [delta]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def _serve(tokens: int) -> None:
    server = await asyncio.start_server(lambda r, w: _answer(r, w, tokens), "127.0.0.1", 0)
    async with server:
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
