"""Requests that are too large, too slow or too many end with an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from app.api import connection
from app.api.connection import TimedConnection
from app.api.limits import MAX_BODY_BYTES, BodyLimit, Rate
from app.errors import ConfigError, TooManyRequests


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Where a service with short limits listens; POST / answers with the length of the body."""
    monkeypatch.setattr(connection, "HEAD_S", 0.3)
    app = FastAPI()
    app.add_middleware(BodyLimit, seconds=0.3)

    @app.post("/")
    async def length(request: Request) -> int:
        return len(await request.body())

    config = uvicorn.Config(app, port=0, http=TimedConnection, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    started, startup = asyncio.Event(), server.startup

    async def tell_startup(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = tell_startup  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve())
    await started.wait()
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def exchange(port: int, *parts: bytes) -> bytes:
    """Everything that the service says to these bytes until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: localhost\r\nX-"])
async def test_a_head_that_never_ends_is_not_waited_for(port: int, sent: bytes) -> None:
    assert await exchange(port, sent) == b""


async def test_a_second_head_that_never_ends_is_not_waited_for_either(port: int) -> None:
    whole = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab"
    said = await exchange(port, whole + b"POST / HT")
    assert said.count(b"HTTP/1.1 200") == 1


async def test_a_body_that_never_ends_is_not_waited_for(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab"
    said = await exchange(port, head)
    assert b"408" in said.split(b"\r\n", 1)[0]
    assert b"request_too_slow" in said


@pytest.mark.parametrize("told", [True, False])
async def test_a_body_that_is_too_large_is_not_read(port: int, told: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 2**16 + 2):
            yield bytes(2**16)

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        content: Any = bytes(MAX_BODY_BYTES + 1) if told else chunks()
        answer = await http.post("/", content=content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
        whole = await http.post("/", content=bytes(MAX_BODY_BYTES))
        assert (whole.status_code, whole.json()) == (200, MAX_BODY_BYTES)


def test_each_token_has_a_rate_of_its_own() -> None:
    rate = Rate("3/hour")
    for _ in range(3):
        rate.check("a")
    with pytest.raises(TooManyRequests):
        rate.check("a")
    rate.check("b")
    unlimited = Rate("")
    for _ in range(100):
        unlimited.check("a")


@pytest.mark.parametrize("limit", ["often", "-1/minute", "3/fortnight"])
def test_a_rate_that_is_none_is_told(limit: str) -> None:
    with pytest.raises(ConfigError, match="rate_limit"):
        Rate(limit)
