"""Server-sent events, with keep-alive comments while nothing happens.

Proxies close a silent connection, and a client cannot tell a silent service from a dead one; a
comment line helps with both.
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
    """Return the response that sends these pieces of an event stream as they arrive."""
    return StreamingResponse(
        with_signs_of_life(pieces), media_type="text/event-stream", headers=_HEADERS
    )


async def with_signs_of_life(
    pieces: AsyncGenerator[str], every_s: float = EVERY_S
) -> AsyncIterator[str]:
    """Yield the pieces, and SIGN_OF_LIFE after every `every_s` seconds without one."""
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
