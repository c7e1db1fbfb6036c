"""Whether an engine that says nothing is still at work."""

from __future__ import annotations

import asyncio

import httpx

from app.http_client import IDENTITY, bearer
from app.llm.address import server_root

ROUTE = "/slots"
"""llama.cpp answers it from the loop that computes, between two batches. `/health` and the pings of
a stream come from other threads, which go on when that loop hangs."""


async def has_pulse(base: str, key: str, timeout_s: float) -> bool:
    """Whether the engine with the API at `base` answers within `timeout_s`, with whatever status."""
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(
                headers=IDENTITY | bearer(key), timeout=timeout_s, trust_env=False
            ) as http,
            http.stream("GET", f"{server_root(base)}{ROUTE}"),
        ):
            return True
    except (httpx.TimeoutException, TimeoutError):
        return False
    except httpx.TransportError:
        return True  # it has ended, or is about to: that is seen by its process
