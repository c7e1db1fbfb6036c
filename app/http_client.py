"""Sends requests over kept connections, and reads bodies within limits.

llama.cpp's server sometimes closes a kept connection while the next request is on its way: about
one in fifty of immediately following requests. In this case it has not read the request.

The other side may be anyone: a response may have no end, arrive at a byte a minute, or be a few
compressed bytes that expand to gigabytes. So nothing is decompressed, and every body has a limit in
bytes and in time.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx

IDENTITY = {"accept-encoding": "identity"}
"""The header that asks for an uncompressed body."""


_ENDED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


def bearer(key: str) -> dict[str, str]:
    """The header with a key; none for ""."""
    return {"authorization": f"Bearer {key}"} if key else {}


async def send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send a request and return the response with its body unread. If the connection closes without
    a response, retry once over another connection.

    Only for requests that may safely be sent twice. Raises httpx's errors.
    """
    try:
        return await client.send(request, stream=True)
    except _ENDED:
        if client.is_closed:  # by its owner, who wants no more requests
            raise
        return await client.send(request, stream=True)


class BodyRefused(ValueError):
    """The body is longer than the limit, or compressed without being asked for."""


async def read_whole(response: httpx.Response, limit: int) -> bytes:
    """Read the body of a streamed response of at most `limit` bytes.

    The caller limits the time. Raises BodyRefused, and httpx's errors.
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
    """Read the part of a streamed body that arrives within `timeout_s` seconds and `limit` bytes,
    if a part is enough; b"" for a compressed one."""
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
