"""`/v1/*`: the engine's own OpenAI-compatible API, passed through.

The bodies go both ways byte for byte, event streams chunk by chunk as they come. What is ours: the
engine is started when needed, only inference routes are open, and a client that goes away ends the
work that it asked for. Errors of ours look like OpenAI's and carry `"src": "phonepilot"`, so that
a client can tell them from the engine's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import AsyncExitStack, aclosing
from typing import Any

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from app.api.access import CALLER
from app.api.media_urls import complaint_about
from app.api.ports import Calls, Engine
from app.api.relayed_headers import from_engine, to_engine
from app.api.usage import UsageReader
from app.errors import AppError, EngineBusy, EngineNotReady, EngineTimeout, EngineUnreachable
from app.http_client import send as send_kept

GET_ROUTES = ("/v1/models",)
POST_ROUTES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
)
MAX_BODY_BYTES = 32 * 2**20
"""Several full-size screenshots as base64 text."""
SMALL_BYTES = 2**16
"""A body that is checked in less time than another thread takes to begin."""
SLICE_BYTES = 2**18
"""A body goes to the engine in such parts, so that no copy of the whole is made on the way."""

BODY_S = 120.0
CONNECT_TIMEOUT_S = 5.0
TAKE_S = 60.0
"""How long a client may take nothing of what is sent; it holds up others meanwhile."""

_ANY_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
"""What may be in it is the engine's to say."""

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class Passthrough:
    """Owns the connections to the engine.

    `count` is told who asked for how many tokens of which kind. `api_key` is called for the key
    that each request carries instead of the client's own. `start_wait_s` is how long a request
    waits for the engine to start, and for its turn, before it is told to come again,
    `idle_timeout_s` how long the engine may send no byte.
    """

    def __init__(
        self,
        engine: Engine,
        calls: Calls,
        *,
        count: Callable[[str, Mapping[str, int]], None] = lambda caller, tokens: None,
        api_key: Callable[[], str] = lambda: "",
        start_wait_s: float = 60.0,
        idle_timeout_s: float = 120.0,
    ) -> None:
        self.engine = engine
        self.calls = calls
        self.count = count
        self.api_key = api_key
        self.start_wait_s = start_wait_s
        self.timeout = httpx.Timeout(idle_timeout_s, connect=CONNECT_TIMEOUT_S).as_dict()
        self._http: httpx.AsyncClient | None = None
        self._checking = asyncio.Lock()

    async def complaint_about(self, body: bytearray) -> str:
        """Why a local engine must not see a body; "" when it may. Large ones are looked at one at a
        time and beside the event loop."""
        if len(body) <= SMALL_BYTES:
            return complaint_about(body)
        async with self._checking:
            return await asyncio.to_thread(complaint_about, body)

    def router(self) -> APIRouter:
        """The routes; whatever else is under `/v1/` is refused as an OpenAI-shaped 404."""
        router = APIRouter(tags=["openai"])
        for path in GET_ROUTES:
            router.add_api_route(path, self._relay, methods=["GET"])
        for path in POST_ROUTES:
            router.add_api_route(path, self._relay, methods=["POST"], openapi_extra=_ANY_BODY)
        router.add_api_route(
            "/v1/{path:path}",
            _not_found,
            methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            include_in_schema=False,
        )
        return router

    def client(self) -> httpx.AsyncClient:
        """The kept connection pool; `close_streams` drops it."""
        if self._http is None:
            limits = httpx.Limits(max_connections=None)
            # A proxy from the environment is for the world outside, not for our own loopback.
            outside = self.engine.status().kind == "remote"
            self._http = httpx.AsyncClient(limits=limits, trust_env=outside)
        return self._http

    async def close_streams(self) -> None:
        """Break off all requests to the engine, before it is stopped."""
        client, self._http = self._http, None
        if client is not None:
            await client.aclose()

    aclose = close_streams

    async def _relay(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(BODY_S):
                body = await _read_body(request)
        except TimeoutError:
            return _error(408, "request_too_slow", f"the body did not come within {BODY_S:g} s")
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody reads
        if body is None:
            return _error(413, "request_too_large", f"the body exceeds {MAX_BODY_BYTES} bytes")
        return _Relay(self, request, body)


class _Relay(Response):
    """A response that is written by the engine.

    Starlette calls it with the raw channels, which is what lets it notice a client that goes away
    while the engine is still loading or evaluating the prompt.
    """

    def __init__(self, passthrough: Passthrough, request: Request, body: bytearray) -> None:
        self._passthrough = passthrough
        self._request = request
        self._sent_body = body
        self._started = False
        self._is_event_stream = False
        self.background = None

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        relay = asyncio.create_task(self._relay(scope, receive, send))
        gone = asyncio.create_task(_client_gone(receive))
        try:
            await asyncio.wait({relay, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Cancelling the relay closes the connection to the engine, which then stops generating.
            relay.cancel()
            gone.cancel()
            await asyncio.wait({relay, gone})
        if not relay.cancelled():
            relay.result()

    async def _relay(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        refusal: Response | AppError | None
        try:
            refusal = await self._exchange(send)
        except httpx.TimeoutException as exc:
            refusal = EngineTimeout(f"the engine sent nothing for too long: {exc!r}")
        except httpx.HTTPError as exc:
            refusal = EngineUnreachable(f"the connection to the engine broke: {exc!r}")
        except AppError as exc:
            refusal = exc
        except _ClientTooSlow:
            refusal = None
        if refusal is None:
            return
        response = refusal if isinstance(refusal, Response) else _from_error(refusal)
        if not self._started:
            await response(scope, receive, send)
        elif self._is_event_stream:
            data = b"data: " + bytes(response.body) + b"\n\n"
            await send({"type": "http.response.body", "body": data, "more_body": False})
        # Else the body stays without its end, which is how HTTP says that it is not whole.

    async def _exchange(self, send: _Send) -> Response | None:
        """Pass one request on; a response means that it was refused before it reached the engine.

        Raises `AppError` and httpx's errors.
        """
        base = await self._ready_engine()
        local = self._passthrough.engine.status().kind != "remote"
        if local and self._sent_body:
            complaint = await self._passthrough.complaint_about(self._sent_body)
            if complaint:
                return _error(400, "invalid_request", complaint)
        request = self._request
        query = f"?{request.url.query}" if request.url.query else ""
        async with AsyncExitStack() as turn:
            if request.method == "POST":
                await self._take_turn(turn)
            await self._answer(f"{base}{request.url.path}{query}", send)
        return None

    async def _take_turn(self, turn: AsyncExitStack) -> None:
        limit = self._passthrough.start_wait_s
        held = self._passthrough.calls.hold(self._caller, pin=False)
        try:
            async with asyncio.timeout(limit):
                await turn.enter_async_context(held)
        except TimeoutError as exc:
            raise EngineBusy(f"the engine was busy with others for {limit:g} s") from exc

    @property
    def _caller(self) -> str:
        return str(self._request.scope.get(CALLER, "local"))

    async def _answer(self, url: str, send: _Send) -> None:
        request, client = self._request, self._passthrough.client()
        usage = UsageReader()
        # Made without the client, which would merge an address, headers and cookies that it lacks.
        passed_on = httpx.Request(
            request.method,
            url,
            content=_Slices(self._sent_body) if self._sent_body else None,
            headers=to_engine(request.headers, self._passthrough.api_key())
            | ({"content-length": str(len(self._sent_body))} if self._sent_body else {}),
            extensions={"timeout": self._passthrough.timeout},
        )
        async with aclosing(await send_kept(client, passed_on)) as answer:
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
                async for chunk in answer.aiter_raw():
                    usage.feed(chunk)
                    await _taken(
                        send, {"type": "http.response.body", "body": chunk, "more_body": True}
                    )
                await _taken(send, {"type": "http.response.body", "body": b"", "more_body": False})
            finally:  # a client that leaves has had what it has had
                self._passthrough.count(self._caller, usage.tokens())

    async def _ready_engine(self) -> str:
        limit = self._passthrough.start_wait_s
        try:
            async with asyncio.timeout(limit):
                return await self._passthrough.engine.ensure_ready()
        except TimeoutError as exc:  # the start goes on; only this request has waited enough
            raise EngineNotReady(f"the engine is not ready after {limit:g} s") from exc


class _Slices:
    """A body in parts, as often as it is asked for: a request may be made twice."""

    def __init__(self, body: bytearray) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        whole = memoryview(self._body)
        for begin in range(0, len(whole), SLICE_BYTES):
            yield bytes(whole[begin : begin + SLICE_BYTES])


async def _read_body(request: Request) -> bytearray | None:
    """The whole body, or None when it is too large."""
    if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


class _ClientTooSlow(Exception):
    pass


async def _taken(send: _Send, message: _Message) -> None:
    """Send, to a client that takes it. Raises _ClientTooSlow."""
    try:
        async with asyncio.timeout(TAKE_S):
            await send(message)
    except TimeoutError as exc:
        raise _ClientTooSlow from exc


async def _client_gone(receive: _Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _not_found(request: Request) -> Response:
    routes = ", ".join(GET_ROUTES + POST_ROUTES)
    return _error(404, "not_found", f"{request.method} {request.url.path}: open are {routes}")


def _from_error(error: AppError) -> Response:
    message = f"{error.message}. {error.hint}" if error.hint else error.message
    response = _error(error.status, error.code, message)
    if isinstance(error, EngineNotReady):
        response.headers["retry-after"] = str(error.retry_after)
    return response


def _error(status: int, code: str, message: str) -> Response:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = {"message": message, "type": kind, "code": code, "src": "phonepilot"}
    return JSONResponse({"error": body}, status_code=status)
