"""Measures what `/v1` adds to a call that goes directly to the engine.

The engine is a stub that streams at the speed of a large model, so that only the way there and back
is measured. Both ways alternate, in the same run.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.bench.paced_engine import paced_engine
from app.bench.service_process import service_process

_BODY = {"messages": [{"role": "user", "content": "Hello"}], "stream": True}
_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Passing:
    """Medians in milliseconds of the time to the first byte, and tokens per second of all streams
    together."""

    first_direct: float
    first_through: float
    added_ms: float
    pace_direct: float
    pace_through: float
    ratio: float


async def measure(streams: int, count: int, tokens: int = 160) -> Passing:
    """Make `count` single calls each way, then `streams` at once, five times alternating."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="phonepilot-v1-")))
        engine = await stack.enter_async_context(paced_engine(tokens))
        remote = {"PHONEPILOT_ENGINE__KIND": "remote", "PHONEPILOT_ENGINE__URL": engine}
        service = await stack.enter_async_context(service_process(folder, remote))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60, trust_env=False))
        first: dict[str, list[float]] = {engine: [], service: []}
        for number in range(count + _WARM_UP):
            for url in (engine, service):
                seconds = await _first_byte(http, url)
                if number >= _WARM_UP:
                    first[url].append(seconds)
        paces: dict[str, list[float]] = {engine: [], service: []}
        for _ in range(5):
            for url in (engine, service):
                paces[url].append(await _pace(http, url, streams, tokens))
    added = [t - d for d, t in zip(first[engine], first[service], strict=True)]
    ratios = [t / d for d, t in zip(paces[engine], paces[service], strict=True)]
    return Passing(
        first_direct=_ms(first[engine]),
        first_through=_ms(first[service]),
        added_ms=_ms(added),
        pace_direct=round(statistics.median(paces[engine]), 1),
        pace_through=round(statistics.median(paces[service]), 1),
        ratio=round(statistics.median(ratios), 4),
    )


def _ms(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1000, 2)


async def _first_byte(http: httpx.AsyncClient, url: str) -> float:
    """Return seconds to the first byte of a short reply, read to its end to keep the connection."""
    begun, first = time.perf_counter(), 0.0
    body = _BODY | {"max_tokens": 1}
    async with http.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
        async for _ in answer.aiter_raw():
            first = first or time.perf_counter() - begun
    return first


async def _pace(http: httpx.AsyncClient, url: str, streams: int, tokens: int) -> float:
    """Return tokens per second of all streams together."""

    async def one() -> None:
        async with http.stream("POST", f"{url}/v1/chat/completions", json=_BODY) as answer:
            async for _ in answer.aiter_raw():
                pass

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(streams)))
    return streams * tokens / (time.perf_counter() - begun)
