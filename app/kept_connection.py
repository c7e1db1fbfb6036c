"""Requests over a connection that the other side may just have ended.

llama.cpp's server now and then ends a kept connection while the next request is on its way: about
one in fifty of requests that follow at once. It has not read the request then.
"""

from __future__ import annotations

import httpx

_ENDED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


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
