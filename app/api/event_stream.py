"""Server-sent events, with a sign of life where nothing happens.

Proxies end a connection that is silent, and a client cannot tell a silent service from one that is
gone; a comment line tells both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from fastapi.responses import StreamingResponse

EVERY_S = 15.0
SIGN_OF_LIFE = ": still here\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event_stream(pieces: AsyncGenerator[str]) -> StreamingResponse:
    """The answer that sends these pieces of an event stream as they come."""
    return StreamingResponse(
        with_signs_of_life(pieces), media_type="text/event-stream", headers=_HEADERS
    )


async def with_signs_of_life(
    pieces: AsyncGenerator[str], every_s: float = EVERY_S
) -> AsyncIterator[str]:
    """The pieces, and SIGN_OF_LIFE whenever none came for `every_s` seconds."""
    coming: asyncio.Future[str] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(pieces))
            while not (await asyncio.wait({coming}, timeout=every_s))[0]:
                yield SIGN_OF_LIFE
            try:
                piece = coming.result()
            except StopAsyncIteration:
                return
            yield piece
    finally:
        if coming is not None and not coming.done():
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming
        await pieces.aclose()
