"""The control port: the phone's whole state, for tests and benches to check.

It speaks HTTP on loopback, requires a bearer token, and cannot be reached from the ADB side. `GET
/state`, `POST /reset {"seed": n, "scatter": false}`, `GET /screen.png` (what a person sees), `GET
/quirks`, `POST /quirks {"name": value}` (null clears a quirk, true means the name alone; all or
none), and `GET /events`: server-sent events whose id is the event's `seq`, starting after
`Last-Event-ID` (or `?after=`); `?follow=0` ends the stream after the events so far.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import uvicorn
from pydantic import (
    BaseModel,
    ConfigDict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import ConfigError

if TYPE_CHECKING:
    from app.virtual_phone.phone import Phone


class BearerToken:
    """Middleware: responds with 401 to every request without the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not secrets.compare_digest(given, self._expected):
                answer = JSONResponse({"error": "a bearer token is needed"}, 401)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


class ResetWish(BaseModel):
    """Which phone to become, and whether its owner left it on a random screen."""

    model_config = ConfigDict(extra="forbid", strict=True)

    seed: int
    scatter: bool = False


_QuirkWishes = TypeAdapter(dict[str, StrictBool | StrictInt | StrictFloat | StrictStr | None])


def _invalid(exc: ValidationError) -> Response:
    return JSONResponse({"error": exc.errors(include_url=False, include_input=False)}, 422)


def _event(event: Mapping[str, Any]) -> str:
    return f"id: {event['seq']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"


class Control:
    """The routes for one phone. `reset` restores phone and files to the state of a seed."""

    def __init__(self, phone: Phone, reset: Callable[[int, bool], None], token: str) -> None:
        self._phone = phone
        self._reset = reset
        self.stopping = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/state", self._get_state),
                Route("/reset", self._post_reset, methods=["POST"]),
                Route("/events", self._get_events),
                Route("/quirks", self._get_quirks),
                Route("/quirks", self._post_quirks, methods=["POST"]),
                Route("/screen.png", self._get_screen),
            ],
            middleware=[Middleware(BearerToken, token=token)],
        )

    async def _get_state(self, _: Request) -> Response:
        return JSONResponse(self._phone.state.model_dump(mode="json"))

    async def _post_reset(self, request: Request) -> Response:
        try:
            wish = ResetWish.model_validate_json(await request.body())
        except ValidationError as exc:
            return _invalid(exc)
        self._reset(wish.seed, wish.scatter)
        return JSONResponse(self._phone.state.model_dump(mode="json"))

    async def _get_quirks(self, _: Request) -> Response:
        return JSONResponse(self._phone.quirks.texts())

    async def _post_quirks(self, request: Request) -> Response:
        try:
            wishes = _QuirkWishes.validate_json(await request.body())
        except ValidationError as exc:
            return _invalid(exc)
        texts = {
            name: None if value is None or value is False else "" if value is True else str(value)
            for name, value in wishes.items()
        }
        try:
            self._phone.quirks.change(texts)
        except ConfigError as exc:
            return JSONResponse({"error": exc.message, "hint": exc.hint}, 422)
        return await self._get_quirks(request)

    async def _get_screen(self, _: Request) -> Response:
        buffer = io.BytesIO()
        self._phone.frame().save(buffer, "PNG", compress_level=1)
        return Response(buffer.getvalue(), media_type="image/png")

    async def _get_events(self, request: Request) -> Response:
        after = request.headers.get("last-event-id") or request.query_params.get("after", "0")
        if not (after.isascii() and after.isdecimal()):
            return JSONResponse({"error": "the event id must be a whole number"}, 422)
        follow = request.query_params.get("follow", "1") != "0"
        return StreamingResponse(self._stream(int(after), follow), media_type="text/event-stream")

    async def _stream(self, after: int, follow: bool) -> AsyncIterator[str]:
        # Subscribe before reading the past: events that arrive meanwhile come from the queue.
        queue = self._phone.subscribe()
        try:
            for event in list(self._phone.events):
                if event["seq"] > after:
                    after = event["seq"]
                    yield _event(event)
            while follow and (live := await self._next(queue)) is not None:
                if live["seq"] > after:
                    after = live["seq"]
                    yield _event(live)
        finally:
            self._phone.unsubscribe(queue)

    async def _next(self, queue: asyncio.Queue[dict[str, Any]]) -> dict[str, Any] | None:
        """Return the next live event, or None when the port is closing."""
        getting = asyncio.ensure_future(queue.get())
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({getting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return getting.result() if getting.done() else None
        finally:
            getting.cancel()
            stopping.cancel()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals belong to the program, not to this part of it


@contextlib.asynccontextmanager
async def listening(control: Control, listener: socket.socket) -> AsyncIterator[None]:
    """Serve `control` on an already bound socket, which is closed at the end."""
    config = uvicorn.Config(
        control.app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        control.stopping.set()
        server.should_exit = True
        await task
        listener.close()
