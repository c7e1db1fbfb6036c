"""Cuts off a response once the token of its request is no longer valid.

Only streams last long enough for that: a task's events, a phone's video stream, a model's reply. To
the code that writes them it looks as if the client had disconnected, which they all handle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CHECK_S = 1.0
"""Seconds that a stream may outlive its token."""


class RevocableStream:
    """One request; `is_good` returns whether its token is still valid. `refusal` makes the response
    if the token expires before a response has begun."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        is_good: Callable[[], bool],
        refusal: Callable[[], ASGIApp],
    ) -> None:
        self._receive = receive
        self._send = send
        self._is_good = is_good
        self._refusal = refusal
        self._cut = False
        self._begun = False
        self._open_ended = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Run `app`, and end its response if it was cut off."""
        await app(scope, self._receive_while_good, self._noted)
        if self._cut and not self._begun:
            await self._refusal()(scope, self._receive, self._send)
        elif self._cut and self._open_ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _receive_while_good(self) -> Message:
        message = asyncio.ensure_future(self._receive())
        try:
            while not self._cut:
                done, _ = await asyncio.wait({message}, timeout=CHECK_S)
                if done:
                    return message.result()
                self._cut = not self._is_good()
        finally:
            message.cancel()
        return {"type": "http.disconnect"}

    async def _noted(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            # A response with a length cannot be ended early; the server closes its connection
            # instead.
            self._open_ended = "content-length" not in Headers(raw=message.get("headers", []))
        elif not message.get("more_body"):
            self._open_ended = False
        await self._send(message)
