"""A screenshot of real size, asked about before the engine counts as ready.

llama-server's own warm-up uses a smaller picture, so that a card which is too small runs out of
memory at the first real task instead of at the start, where a cheaper plan can still be taken.
"""

from __future__ import annotations

import asyncio
import base64
import struct
import zlib

import httpx

from app.errors import EngineStartFailed
from app.http_client import IDENTITY, bearer, read_start
from app.llm.refusal import ERROR_S, MAX_ERROR_BYTES, refusal
from app.settings import EngineSettings

SIZE = (1080, 2400)
"""Pixels of the usual phone."""


def wanted(settings: EngineSettings, *, on_gpu: bool) -> bool:
    """Whether to test: as configured, or if there is a projector and the engine uses a GPU."""
    if settings.mmproj is None or settings.self_test == "off":
        return False
    return settings.self_test == "on" or on_gpu


async def self_test(base: str, key: str, timeout_s: float) -> None:
    """Raises EngineStartFailed when the engine does not take the picture; the end of its process
    is the supervisor's to see."""
    url = "data:image/png;base64," + base64.b64encode(grey_png(*SIZE)).decode()
    body = {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": url}},
                    {"type": "text", "text": "?"},
                ],
            }
        ],
        "max_tokens": 1,
        "cache_prompt": False,
    }
    async with httpx.AsyncClient(
        headers=IDENTITY | bearer(key), timeout=timeout_s, trust_env=False
    ) as http:
        try:
            async with (
                asyncio.timeout(timeout_s),
                http.stream("POST", f"{base}/chat/completions", json=body) as answer,
            ):
                status = answer.status_code
                said = await read_start(answer, MAX_ERROR_BYTES, ERROR_S)
        except (httpx.TimeoutException, TimeoutError) as exc:
            raise EngineStartFailed(
                f"the engine did not take a screenshot within {timeout_s:g} s",
                "Set engine.self_test = 'off' for a slow engine, or image_max_tokens = 1024.",
                reason="self_test_failed",
            ) from exc
        except httpx.TransportError as exc:
            raise EngineStartFailed(
                f"the engine broke off at its first screenshot: {exc!r}", reason="self_test_failed"
            ) from exc
    if not httpx.codes.is_success(status):
        raise EngineStartFailed(
            f"the engine refuses a screenshot: {refusal(status, said).message}",
            "Look at GET /engine/log; engine.mmproj must belong to engine.model.",
            reason="self_test_failed",
        )


def grey_png(width: int, height: int) -> bytes:
    """A grey picture of that size as PNG."""
    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)  # 8 bits, greyscale
    rows = (b"\0" + b"\x80" * width) * height
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)
        for name, data in chunks
    )
