"""When an engine may be asked: what it must answer first."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx

from app.errors import EngineStartFailed, EngineUnreachable
from app.http_client import IDENTITY, bearer, read_whole
from app.llm.reply import from_engine

POLL_S = 0.1
ANSWER_TIMEOUT_S = 5.0
"""For one answer to a readiness question; a loading engine answers 503 at once."""


MAX_PROPS_BYTES = 4 * 2**20
"""`/props` holds the chat template, which is some thousand characters."""


async def until_ready(url: asyncio.Future[str], key: str, *, vision: bool) -> str:
    """Poll until the engine answers as ready; whoever waits for this sets the time limit."""
    base = await url
    async with httpx.AsyncClient(
        headers=IDENTITY | bearer(key), timeout=ANSWER_TIMEOUT_S, trust_env=False
    ) as client:
        while True:
            # Not listening yet, or ending just now: the caller watches the process itself.
            with contextlib.suppress(httpx.TransportError, TimeoutError):
                if await _is_ready(client, base, vision=vision):
                    return base
            await asyncio.sleep(POLL_S)


async def _is_ready(client: httpx.AsyncClient, base: str, *, vision: bool) -> bool:
    """`/health` is 503 while the model loads. Without its projector a llama-server is healthy but
    blind, which only `/props` tells."""
    if await _status(client, f"{base}/health") != httpx.codes.OK:
        return False
    if vision:
        props = await _json(client, f"{base}/props")
        modalities = props.get("modalities") if isinstance(props, dict) else None
        if not isinstance(modalities, dict) or not modalities.get("vision"):
            raise EngineStartFailed(
                "the engine is up but takes no images",
                "engine.mmproj was not loaded as a vision projector; look at GET /engine/log.",
            )
    return True


async def check_remote(url: str, api_key: str) -> None:
    """Raise an `EngineError` unless somebody at `url` answers as an inference server does."""
    headers = IDENTITY | bearer(api_key)
    async with httpx.AsyncClient(timeout=ANSWER_TIMEOUT_S, headers=headers) as client:
        try:
            if await _status(client, f"{url}/health") == httpx.codes.OK:
                return
            models = await _status(client, f"{url}/v1/models")
        except (httpx.TransportError, TimeoutError) as exc:
            raise EngineUnreachable(
                f"no engine answers at {url}: {exc!r}", "Check engine.url and that it runs."
            ) from exc
    if models in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise EngineUnreachable(
            f"the engine at {url} refuses the API key",
            "Set engine.api_key_env to the name of the variable that holds the key.",
        )
    if not httpx.codes.is_success(models):
        raise EngineUnreachable(
            f"{url}/v1/models answers {models}", "Check engine.url; leave out /v1."
        )


async def _status(client: httpx.AsyncClient, url: str) -> int:
    """The status of an answer, of which nothing else is read."""
    async with asyncio.timeout(ANSWER_TIMEOUT_S), client.stream("GET", url) as answer:
        return answer.status_code


async def _json(client: httpx.AsyncClient, url: str) -> Any:
    """The value that an answer holds, None for one that is not JSON."""
    async with asyncio.timeout(ANSWER_TIMEOUT_S), client.stream("GET", url) as answer:
        try:
            return from_engine(await read_whole(answer, MAX_PROPS_BYTES))
        except ValueError:
            return None
