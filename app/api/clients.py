"""Work for a client that may leave before it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any


async def while_there(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]], work: Awaitable[None]
) -> None:
    """Do `work`, and cancel it once the client of a request has disconnected. The body of the
    request must have been read. Raises what `work` raises."""
    job = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(until_gone(receive))
    try:
        await asyncio.wait({job, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        job.cancel()  # does nothing to what is done
        gone.cancel()
        await asyncio.wait({job, gone})
    if not job.cancelled():
        job.result()


async def until_gone(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
    """Return once the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass
