"""One request to `/v1`, passed on to the engine, and its answer on the way back.

Bodies are passed in both directions byte for byte, event streams chunk by chunk as they arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import httpx
from fastapi import Request
from fastapi.responses import Response

from app.api.access import CALLER
from app.api.clients import while_there
from app.api.openai_errors import broken, from_error, openai_error
from app.api.relayed_headers import from_engine, to_engine
from app.api.silence import Silence
from app.api.unsupported import unsupported
from app.api.upstream import Upstream
from app.api.usage import UsageReader
from app.errors import AppError, EngineBusy, EngineHung, EngineTimeout
from app.http_client import send as send_kept

PREFIX = "/v1"
"""What our own paths begin with; what follows is appended to the base of the engine's API."""
SLICE_BYTES = 2**18
"""Bodies are sent to the engine in parts of this size, so that the whole is never copied."""
TAKE_S = 60.0
"""Seconds that a client may accept no data; it blocks others meanwhile."""

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class Relay(Response):
    """A response that is written by the engine.

    Starlette calls it with the raw channels, so it notices a client that disconnects while the
    engine is still loading or evaluating the prompt.
    """

    def __init__(self, upstream: Upstream, request: Request, body: bytearray) -> None:
        self._upstream = upstream
        self._request = request
        self._sent_body = body
        self._started = False
        self._is_event_stream = False
        self._silence = Silence()
        self._hung = False
        self.background = None

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        # Cancelling the relay closes the connection to the engine, which then stops generating.
        await while_there(receive, self._relay(scope, receive, send))

    async def _relay(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        refusal: Response | AppError | None
        try:
            refusal = await self._exchange(send)
        except httpx.TimeoutException as exc:
            refusal = EngineTimeout(f"the engine sent nothing for too long: {exc!r}")
        except httpx.HTTPError as exc:
            refusal = self._broken(exc)
        except AppError as exc:
            refusal = exc
        except _ClientTooSlow:
            refusal = None
        if refusal is None:
            return
        response = refusal if isinstance(refusal, Response) else from_error(refusal)
        if not self._started:
            await response(scope, receive, send)
        elif self._is_event_stream:
            data = b"data: " + bytes(response.body) + b"\n\n"
            await send({"type": "http.response.body", "body": data, "more_body": False})
        # Otherwise the body is left unterminated, which in HTTP means that it is incomplete.

    def _broken(self, exc: httpx.HTTPError) -> AppError:
        if self._hung:
            silent_s = self._upstream.idle_timeout_s
            return EngineHung(f"the engine made no progress for {silent_s:g} s and was ended")
        return broken(exc)

    async def _exchange(self, send: _Send) -> Response | None:
        """Pass on one request. Return a response if it was rejected before it reached the engine.

        Raises `AppError` and httpx's errors.
        """
        base = await self._upstream.ready()
        local = self._upstream.engine.status().kind != "remote"
        if local and self._sent_body:
            complaint = await self._upstream.complaint_about(self._sent_body)
            if complaint:
                return openai_error(400, "invalid_request", complaint)
        request = self._request
        query = f"?{request.url.query}" if request.url.query else ""
        async with AsyncExitStack() as turn:
            if request.method == "POST":
                await self._take_turn(turn)
            if local:
                await turn.enter_async_context(self._watched())
            path = request.url.path.removeprefix(PREFIX)
            return await self._answer(f"{base}{path}{query}", send, local=local)

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Check the pulse of an engine of ours after each time of silence."""

        async def watch() -> None:
            while True:
                await self._silence.lasts(self._upstream.idle_timeout_s)
                self._hung = not await self._upstream.engine.check_pulse()

        watcher = asyncio.create_task(watch(), name="silence")
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.wait({watcher})

    async def _take_turn(self, turn: AsyncExitStack) -> None:
        limit = self._upstream.start_wait_s
        held = self._upstream.calls.hold(self._caller, pin=False)
        try:
            async with asyncio.timeout(limit):
                await turn.enter_async_context(held)
        except TimeoutError as exc:
            raise EngineBusy(f"the engine was busy with others for {limit:g} s") from exc

    @property
    def _caller(self) -> str:
        return str(self._request.scope.get(CALLER, "local"))

    async def _answer(self, url: str, send: _Send, *, local: bool) -> Response | None:
        """Return a response instead of the engine's, if that says what it was not started for."""
        request, client = self._request, self._upstream.client()
        usage = UsageReader()
        # Built without the client, which would add its own address, headers and cookies.
        passed_on = httpx.Request(
            request.method,
            url,
            content=_Slices(self._sent_body) if self._sent_body else None,
            headers=to_engine(request.headers, self._upstream.api_key())
            | ({"content-length": str(len(self._sent_body))} if self._sent_body else {}),
            extensions={"timeout": self._upstream.timeout(local=local)},
        )
        async with aclosing(await send_kept(client, passed_on)) as answer:
            chunks = aiter(answer.aiter_raw())
            first = await anext(chunks, b"") if local and answer.is_server_error else b""
            if lack := unsupported(answer.status_code, first):
                return openai_error(400, "unsupported", lack)
            self._is_event_stream = "event-stream" in answer.headers.get("content-type", "")
            self._started = True
            await _taken(
                send,
                {
                    "type": "http.response.start",
                    "status": answer.status_code,
                    "headers": from_engine(answer.headers.raw),
                },
            )
            try:
                if first:
                    await _taken(send, _body(first, more=True))
                async for chunk in chunks:
                    self._silence.heard(chunk)
                    usage.feed(chunk)
                    await _taken(send, _body(chunk, more=True))
                await _taken(send, _body(b"", more=False))
            finally:  # also if the client left early
                self._upstream.count(self._caller, usage.tokens())
        return None


def _body(data: bytes, *, more: bool) -> _Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


class _Slices:
    """A body in parts; can be iterated again, because a request may be sent twice."""

    def __init__(self, body: bytearray) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        whole = memoryview(self._body)
        for begin in range(0, len(whole), SLICE_BYTES):
            yield bytes(whole[begin : begin + SLICE_BYTES])


class _ClientTooSlow(Exception):
    pass


async def _taken(send: _Send, message: _Message) -> None:
    """Send a message to a client that accepts it in time. Raises _ClientTooSlow."""
    try:
        async with asyncio.timeout(TAKE_S):
            await send(message)
    except TimeoutError as exc:
        raise _ClientTooSlow from exc
