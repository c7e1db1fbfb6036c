"""`/v1/*`: passes requests through to the engine's own OpenAI-compatible API.

Bodies are passed in both directions byte for byte, event streams chunk by chunk as they arrive. In
addition, the engine is started when needed, only inference routes are open, and a client that
disconnects ends its own request. Errors made here have OpenAI's form and contain `"src":
"phonepilot"`, so that a client can distinguish them from the engine's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from app.api.access import CALLER
from app.api.media_urls import complaint_about
from app.api.model_list import model_in_list
from app.api.ports import Calls, Engine
from app.api.relayed_headers import from_engine, to_engine
from app.api.silence import Silence
from app.api.unsupported import unsupported
from app.api.usage import UsageReader
from app.errors import (
    AppError,
    EngineBusy,
    EngineHung,
    EngineNotReady,
    EngineTimeout,
    EngineUnreachable,
)
from app.http_client import send as send_kept
from app.proxies import Proxies, ProxyTransport

PREFIX = "/v1"
"""What our own paths begin with; what follows is appended to the base of the engine's API."""
GET_ROUTES = ("/v1/models",)
MODEL_ROUTE = "/v1/models/{model_id:path}"
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
"""A body of this size is checked in less time than it takes to start another thread."""
SLICE_BYTES = 2**18
"""Bodies are sent to the engine in parts of this size, so that the whole is never copied."""

BODY_S = 120.0
CONNECT_TIMEOUT_S = 5.0
TAKE_S = 60.0
"""Seconds that a client may accept no data; it blocks others meanwhile."""

_ANY_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
"""The engine decides what a body may contain."""

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class Passthrough:
    """Owns the connections to the engine.

    `count` is called with a caller and its tokens by kind. `api_key` returns the key that replaces
    the client's own in each request. `start_wait_s` is how long a request waits for the engine to
    start, and for its slot, before it is asked to retry; `idle_timeout_s` is how long a remote
    engine may send no byte. An engine of ours that is silent for so long has its pulse checked.
    `proxies` are those on the way to it.
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
        proxies: Proxies | None = None,
    ) -> None:
        self.proxies = proxies or Proxies()
        self.engine = engine
        self.calls = calls
        self.count = count
        self.api_key = api_key
        self.start_wait_s = start_wait_s
        self.idle_timeout_s = idle_timeout_s
        self._http: httpx.AsyncClient | None = None
        self._checking = asyncio.Lock()

    async def complaint_about(self, body: bytearray) -> str:
        """Return why a local engine must not get a body; "" if it may. Large bodies are checked one
        at a time and outside the event loop."""
        if len(body) <= SMALL_BYTES:
            return complaint_about(body)
        async with self._checking:
            return await asyncio.to_thread(complaint_about, body)

    def router(self) -> APIRouter:
        """Return the routes; everything else under `/v1/` gets an OpenAI-shaped 404."""
        router = APIRouter(tags=["openai"])
        for path in GET_ROUTES:
            router.add_api_route(path, self._relay, methods=["GET"])
        for path in POST_ROUTES:
            router.add_api_route(path, self._relay, methods=["POST"], openapi_extra=_ANY_BODY)
        router.add_api_route(MODEL_ROUTE, self._model, methods=["GET"])
        router.add_api_route(
            "/v1/{path:path}",
            _not_found,
            methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            include_in_schema=False,
        )
        return router

    def client(self) -> httpx.AsyncClient:
        """The connection pool; `close_streams` drops it."""
        if self._http is None:
            limits = httpx.Limits(max_connections=None)
            transport = ProxyTransport(self.proxies, limits)
            self._http = httpx.AsyncClient(transport=transport, trust_env=False)
        return self._http

    def timeout(self, *, local: bool) -> dict[str, float | None]:
        """Return the limits of a request, in seconds, as httpx's extension takes them."""
        timeout = httpx.Timeout(self.idle_timeout_s, connect=CONNECT_TIMEOUT_S).as_dict()
        return timeout | {"read": None} if local else timeout

    async def close_streams(self) -> None:
        """Abort all requests to the engine, before it is stopped."""
        client, self._http = self._http, None
        if client is not None:
            await client.aclose()

    aclose = close_streams

    async def _model(self, model_id: str) -> Response:
        """One model of the engine's list, by its id or an alias."""
        try:
            base = await self.ready()
            found = await model_in_list(self.client(), base, self.api_key(), model_id)
        except httpx.HTTPError as exc:
            return _from_error(_broken(exc))
        except AppError as exc:
            return _from_error(exc)
        if found is None:
            return _error(404, "model_not_found", f"the engine has no model {model_id[:200]!r}")
        return JSONResponse(found)

    async def ready(self) -> str:
        """Return the base of the engine's API once it is ready; raises an `AppError`."""
        try:
            async with asyncio.timeout(self.start_wait_s):
                return await self.engine.ensure_ready()
        except TimeoutError as exc:  # the start continues; only this request has waited enough
            limit = self.start_wait_s
            raise EngineNotReady(f"the engine is not ready after {limit:g} s") from exc

    async def _relay(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(BODY_S):
                body = await _read_body(request)
        except TimeoutError:
            return _error(408, "request_too_slow", f"the body did not come within {BODY_S:g} s")
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        if body is None:
            return _error(413, "request_too_large", f"the body exceeds {MAX_BODY_BYTES} bytes")
        return _Relay(self, request, body)


class _Relay(Response):
    """A response that is written by the engine.

    Starlette calls it with the raw channels, so it notices a client that disconnects while the
    engine is still loading or evaluating the prompt.
    """

    def __init__(self, passthrough: Passthrough, request: Request, body: bytearray) -> None:
        self._passthrough = passthrough
        self._request = request
        self._sent_body = body
        self._started = False
        self._is_event_stream = False
        self._silence = Silence()
        self._hung = False
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
            refusal = self._broken(exc)
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
        # Otherwise the body is left unterminated, which in HTTP means that it is incomplete.

    def _broken(self, exc: httpx.HTTPError) -> AppError:
        if self._hung:
            silent_s = self._passthrough.idle_timeout_s
            return EngineHung(f"the engine made no progress for {silent_s:g} s and was ended")
        return _broken(exc)

    async def _exchange(self, send: _Send) -> Response | None:
        """Pass on one request. Return a response if it was rejected before it reached the engine.

        Raises `AppError` and httpx's errors.
        """
        base = await self._passthrough.ready()
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
            if local:
                await turn.enter_async_context(self._watched())
            path = request.url.path.removeprefix(PREFIX)
            return await self._answer(f"{base}{path}{query}", send, local=local)

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Check the pulse of an engine of ours after each time of silence."""

        async def watch() -> None:
            while True:
                await self._silence.lasts(self._passthrough.idle_timeout_s)
                self._hung = not await self._passthrough.engine.check_pulse()

        watcher = asyncio.create_task(watch(), name="silence")
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.wait({watcher})

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

    async def _answer(self, url: str, send: _Send, *, local: bool) -> Response | None:
        """Return a response instead of the engine's, if that says what it was not started for."""
        request, client = self._request, self._passthrough.client()
        usage = UsageReader()
        # Built without the client, which would add its own address, headers and cookies.
        passed_on = httpx.Request(
            request.method,
            url,
            content=_Slices(self._sent_body) if self._sent_body else None,
            headers=to_engine(request.headers, self._passthrough.api_key())
            | ({"content-length": str(len(self._sent_body))} if self._sent_body else {}),
            extensions={"timeout": self._passthrough.timeout(local=local)},
        )
        async with aclosing(await send_kept(client, passed_on)) as answer:
            chunks = aiter(answer.aiter_raw())
            first = await anext(chunks, b"") if local and answer.is_server_error else b""
            if lack := unsupported(answer.status_code, first):
                return _error(400, "unsupported", lack)
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
                self._passthrough.count(self._caller, usage.tokens())
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


async def _read_body(request: Request) -> bytearray | None:
    """Read the whole body; None if it is too large."""
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
    """Send a message to a client that accepts it in time. Raises _ClientTooSlow."""
    try:
        async with asyncio.timeout(TAKE_S):
            await send(message)
    except TimeoutError as exc:
        raise _ClientTooSlow from exc


async def _client_gone(receive: _Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _not_found(request: Request) -> Response:
    routes = ", ".join((*GET_ROUTES, MODEL_ROUTE, *POST_ROUTES))
    return _error(404, "not_found", f"{request.method} {request.url.path}: open are {routes}")


def _broken(exc: httpx.HTTPError) -> AppError:
    return EngineUnreachable(f"the connection to the engine broke: {exc!r}")


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
