"""Requests over kept connections, and bodies as far as they are wanted.

llama.cpp's server now and then ends a kept connection while the next request is on its way: about
one in fifty of requests that follow at once. It has not read the request then.

Whoever answers may be anybody: an answer may have no end, come a byte a minute, or be a few
compressed bytes that stand for gigabytes. So nothing is decompressed, and every body has a limit in
bytes and in time.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx

IDENTITY = {"accept-encoding": "identity"}
"""The header by which a client asks for a body that is not compressed."""


_ENDED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


def bearer(key: str) -> dict[str, str]:
    """The header that shows a key; none for ""."""
    return {"authorization": f"Bearer {key}"} if key else {}


async def send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """The answer up to its headers, the body still to be read; asked for once more, over another
    connection, when the first one ended without an answer.

    Only for requests that do no harm when they are made twice. Raises httpx's errors.
    """
    try:
        return await client.send(request, stream=True)
    except _ENDED:
        if client.is_closed:  # by its owner, who wants no more requests
            raise
        return await client.send(request, stream=True)


class BodyRefused(ValueError):
    """The body is longer than the limit, or compressed although that was not asked for."""


async def read_whole(response: httpx.Response, limit: int) -> bytes:
    """The body of a streamed answer of at most `limit` bytes.

    The time is the caller's to limit. Raises BodyRefused, and httpx's errors.
    """
    if is_compressed(response):
        raise BodyRefused("the answer is compressed, which was not asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise BodyRefused(f"the answer is longer than {limit} bytes")
    return bytes(body)


async def read_start(response: httpx.Response, limit: int, timeout_s: float) -> bytes:
    """What came of a streamed answer's body within `timeout_s` seconds and `limit` bytes, for an
    answer of which a part is enough; b"" for one that is compressed."""
    body = bytearray()
    if not is_compressed(response):
        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(timeout_s):
                async for chunk in response.aiter_raw():
                    body += chunk[: limit - len(body)]
                    if len(body) >= limit:
                        break
    return bytes(body)


def is_compressed(response: httpx.Response) -> bool:
    encoding = str(response.headers.get("content-encoding", ""))
    return encoding.strip().lower() not in ("", "identity")
