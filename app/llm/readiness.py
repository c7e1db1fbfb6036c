"""When an engine may be asked: what it must answer first."""

from __future__ import annotations

import asyncio
import contextlib

import httpx

from app.errors import EngineStartFailed, EngineUnreachable

POLL_S = 0.1
ANSWER_TIMEOUT_S = 5.0
"""For one answer to a readiness question; a loading engine answers 503 at once."""


async def until_ready(url: asyncio.Future[str], *, vision: bool) -> str:
    """Poll until the engine answers as ready; whoever waits for this sets the time limit."""
    base = await url
    async with httpx.AsyncClient(timeout=ANSWER_TIMEOUT_S, trust_env=False) as client:
        while True:
            # Not listening yet, or ending just now: the caller watches the process itself.
            with contextlib.suppress(httpx.TransportError):
                if await _is_ready(client, base, vision=vision):
                    return base
            await asyncio.sleep(POLL_S)


async def _is_ready(client: httpx.AsyncClient, base: str, *, vision: bool) -> bool:
    """`/health` is 503 while the model loads. Without its projector a llama-server is healthy but
    blind, which only `/props` tells."""
    if (await client.get(f"{base}/health")).status_code != httpx.codes.OK:
        return False
    if vision:
        props = (await client.get(f"{base}/props")).json()
        if not props.get("modalities", {}).get("vision"):
            raise EngineStartFailed(
                "the engine is up but takes no images",
                "engine.mmproj was not loaded as a vision projector; look at GET /engine/log.",
            )
    return True


async def check_remote(url: str, api_key: str) -> None:
    """Raise an `EngineError` unless somebody at `url` answers as an inference server does."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with httpx.AsyncClient(timeout=ANSWER_TIMEOUT_S, headers=headers) as client:
        try:
            health = await client.get(f"{url}/health")
            if health.status_code == httpx.codes.OK:
                return
            models = await client.get(f"{url}/v1/models")
        except httpx.TransportError as exc:
            raise EngineUnreachable(
                f"no engine answers at {url}: {exc}", "Check engine.url and that it runs."
            ) from exc
    if models.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise EngineUnreachable(
            f"the engine at {url} refuses the API key",
            "Set engine.api_key_env to the name of the variable that holds the key.",
        )
    if not models.is_success:
        raise EngineUnreachable(
            f"{url}/v1/models answers {models.status_code}", "Check engine.url; leave out /v1."
        )
