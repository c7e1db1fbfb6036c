"""Limits on a request's body size and time, and on the requests per token."""

from __future__ import annotations

import asyncio

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import error_response
from app.errors import AppError, ConfigError, RequestTooLarge, RequestTooSlow, TooManyRequests

MAX_BODY_BYTES = 2**20
"""A task has a few kilobytes. The passthrough takes pictures and has its own limit."""
BODY_S = 30.0
OWN_LIMIT = "/v1/"


class BodyLimit:
    """ASGI middleware: reads the whole body, within time and size limits, before any route runs."""

    def __init__(self, app: ASGIApp, seconds: float = BODY_S) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or str(scope["path"]).startswith(OWN_LIMIT):
            await self._app(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
        except AppError as exc:
            answer = error_response(exc)
            answer.headers["connection"] = "close"  # the rest is not read
            await answer(scope, receive, send)
            return
        if body is None:
            return
        await self._app(scope, _replayed(body, receive), send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Read the body; None if the client has gone. Raises RequestTooLarge and RequestTooSlow."""
        told = Headers(scope=scope).get("content-length", "0")
        if told.isdecimal() and int(told) > MAX_BODY_BYTES:
            raise RequestTooLarge(f"the body exceeds {MAX_BODY_BYTES} bytes")
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    if len(body) > MAX_BODY_BYTES:
                        raise RequestTooLarge(f"the body exceeds {MAX_BODY_BYTES} bytes")
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError as exc:
            raise RequestTooSlow(f"the body did not come within {self._seconds:g} s") from exc


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Replay the body once, then pass on what follows: the client's disconnect."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


class Rate:
    """Limits the requests per token, as in "600/minute"; "" for no limit."""

    def __init__(self, limit: str) -> None:
        """Raises ConfigError for an invalid limit."""
        self._item = _rate(limit) if limit else None
        self._window = MovingWindowRateLimiter(MemoryStorage())

    def check(self, name: str) -> None:
        """Count a request; raises TooManyRequests."""
        if self._item is not None and not self._window.hit(self._item, name):
            raise TooManyRequests(f"the token {name!r} may be used {self._item} at most")


def _rate(limit: str) -> RateLimitItem:
    try:
        return parse(limit)
    except ValueError as exc:
        raise ConfigError(
            f"service.rate_limit: {limit!r} is not a valid limit",
            'Write "600/minute" or "20/second".',
        ) from exc
