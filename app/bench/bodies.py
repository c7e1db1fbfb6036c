"""Measures the cost of a large request to `/v1`: how long others wait meanwhile, and memory.

The engine is the embedded one, so that bodies are checked for URLs as usual; it rejects each of
them at once because of an invalid picture.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.bench.service_process import service_process

_LOOK_S = 0.002
_MEMORY = re.compile(r"^process_resident_memory_bytes (\S+)", re.MULTILINE)
_ENGINE = {
    "PHONEPILOT_ENGINE__KIND": "embedded",
    "PHONEPILOT_ENGINE__MODEL": "package:demo/demo-q4_k_s.gguf",
    "PHONEPILOT_ENGINE__MMPROJ": "package:demo/demo-mmproj-f16.gguf",
    "PHONEPILOT_ENGINE__CONTEXT": "2048",
    "PHONEPILOT_ENGINE__CACHE_RAM": "16",
}


@dataclass(frozen=True, slots=True)
class BodyCost:
    """`waited_ms` is the longest that `GET /metrics` took meanwhile, `mib` is the growth of the
    service's memory, `times` is that growth relative to the size of the body."""

    kind: str
    size_mib: float
    status: int
    seconds: float
    waited_ms: float
    mib: float
    times: float


def _picture(size: int) -> bytes:
    head = b'{"messages":[{"role":"user","content":[{"image_url":{"url":"data:image/png;base64,'
    tail = b'"}}]}]}'
    return head + b"A" * (size - len(head) - len(tail)) + tail


def _filled(head: bytes, part: bytes, tail: bytes, size: int) -> bytes:
    return head + part * ((size - len(head) - len(tail)) // len(part)) + tail


KINDS: dict[str, Callable[[int], bytes]] = {
    "one picture": _picture,
    "a text of escapes": lambda size: _filled(b'{"prompt":"', b'\\"', b'"}', size),
    "numbers": lambda size: _filled(b'{"prompt":[', b"1,", b"1]}", size),
    "keys": lambda size: _filled(b"{", b'"url":"data:",', b'"a":1}', size),
    "short texts": lambda size: _filled(b'{"input":[', b'"a",', b"1]}", size),
}


async def measure(mib: int) -> list[BodyCost]:
    """Send one body of each kind after another, of slightly less than `mib` MiB."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="phonepilot-v1-")))
        url = await stack.enter_async_context(service_process(folder, _ENGINE))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False))
        # The first one waits for the engine and loads what is loaded lazily.
        await asyncio.to_thread(_post, url, _picture(2**17))
        return [await _cost(http, url, kind, KINDS[kind](mib * 2**20 - 64)) for kind in KINDS]


async def _cost(http: httpx.AsyncClient, url: str, kind: str, body: bytes) -> BodyCost:
    before, begun, waited, most = await _memory_mib(http), time.perf_counter(), 0.0, 0.0
    asked = asyncio.create_task(asyncio.to_thread(_post, url, body))
    while not asked.done():
        asked_at = time.perf_counter()
        most = max(most, await _memory_mib(http) - before)
        waited = max(waited, time.perf_counter() - asked_at)
        await asyncio.sleep(_LOOK_S)
    size = len(body) / 2**20
    return BodyCost(
        kind,
        round(size, 1),
        asked.result(),
        round(time.perf_counter() - begun, 2),
        round(waited * 1000, 1),
        round(most, 1),
        round(most / size, 2),
    )


def _post(url: str, body: bytes) -> int:
    """Run outside the event loop, so that sending does not delay the looks."""
    answer = httpx.post(f"{url}/v1/chat/completions", content=body, timeout=120, trust_env=False)
    return answer.status_code


async def _memory_mib(http: httpx.AsyncClient) -> float:
    """Return the service's memory according to its own metrics."""
    found = _MEMORY.search((await http.get("/metrics")).text)
    return float(found.group(1)) / 2**20 if found else 0.0
