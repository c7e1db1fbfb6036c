"""A stream of events that breaks off is taken up again, and tells nothing twice or never."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app import client
from app.api.event_stream import SIGN_OF_LIFE, with_signs_of_life
from app.client import ServiceClient
from app.errors import ServiceRefused, ServiceUnreachable

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
Told = tuple[str, dict[str, Any]]


def event(place: int, kind: str, **data: Any) -> bytes:
    return f"id: {place}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


@asynccontextmanager
async def service(answer: Callable[[int, str], bytes]) -> AsyncIterator[ServiceClient]:
    """Answers each connection with what `answer` gives for its number and its Last-Event-ID,
    and ends it there."""
    connections = 0

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        rows = (line.partition(": ") for line in head.splitlines())
        place = next((value for name, _, value in rows if name.lower() == "last-event-id"), "")
        writer.write(answer(connections, place))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, ServiceClient(url) as found:
        yield found


def chunked(*pieces: bytes) -> bytes:
    return HEAD + b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)


async def told_by(found: ServiceClient) -> list[Told]:
    async with asyncio.timeout(20):
        return [each async for each in found.events("99c1")]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSES_S", (0.01,))


async def test_a_stream_that_is_cut_goes_on_where_it_was() -> None:
    every = [event(number, "step", number=number) for number in range(1, 6)]
    every.append(event(6, "end", status="succeeded"))

    def answer(connection: int, place: str) -> bytes:
        after = int(place or 0)
        rest = b"".join(every[after:])
        # Each connection brings a bit more than one event, cut in the middle of the next.
        return chunked(rest[: len(every[0]) + 9] if after < 4 else rest)

    async with service(answer) as found:
        told = await told_by(found)
    assert [data.get("number", kind) for kind, data in told] == [1, 2, 3, 4, 5, "end"]


async def test_steps_that_are_told_again_after_a_restart_are_not_repeated() -> None:
    def answer(connection: int, place: str) -> bytes:
        steps = [event(n + 1, "step", number=n + 1) for n in range(2)]
        if connection == 1:
            return chunked(*steps) + b"0\r\n\r\n"  # the service was stopped
        if connection == 2:
            return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
        assert place == "2"
        later = [event(10**12 + n, "step", number=n) for n in (1, 2, 3)]
        return chunked(b": still here\n\n", *later, event(10**12 + 4, "end")) + b"0\r\n\r\n"

    async with service(answer) as found:
        told = await told_by(found)
    assert [data.get("number", kind) for kind, data in told] == [1, 2, 3, "end"]


async def test_a_service_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RESUME_S", 0.2)
    async with service(lambda number, place: b"") as found:
        with pytest.raises(ServiceUnreachable):
            await told_by(found)


async def test_a_task_that_is_not_there_is_not_asked_for_again() -> None:
    body = b'{"error": {"code": "task_not_found", "message": "no such task"}}'
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body)
    asked: list[int] = []

    def answer(connection: int, place: str) -> bytes:
        asked.append(connection)
        return head + body

    async with service(answer) as found:
        with pytest.raises(ServiceRefused):
            await told_by(found)
    assert asked == [1]


async def test_a_silent_stream_shows_signs_of_life_and_loses_nothing() -> None:
    let, ended = asyncio.Event(), asyncio.Event()

    async def pieces() -> AsyncGenerator[str]:
        try:
            yield "first"
            await let.wait()
            yield "second"
        finally:
            ended.set()

    stream = with_signs_of_life(pieces(), every_s=0.05)
    async with asyncio.timeout(10):
        assert [await anext(stream) for _ in range(4)] == ["first", *[SIGN_OF_LIFE] * 3]
        let.set()
        while (piece := await anext(stream)) == SIGN_OF_LIFE:
            pass
        assert piece == "second"
        assert [piece async for piece in stream] == []
    assert ended.is_set()


async def test_a_reader_that_goes_ends_what_it_read_from() -> None:
    ended = asyncio.Event()

    async def pieces() -> AsyncGenerator[str]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def read() -> None:
        async for _ in with_signs_of_life(pieces(), every_s=60):
            begun.set()

    begun = asyncio.Event()
    reader = asyncio.create_task(read())
    async with asyncio.timeout(10):
        await begun.wait()
        reader.cancel()
        await asyncio.wait({reader})
        await ended.wait()
