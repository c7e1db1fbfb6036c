"""When an engine may be asked: what it must answer first."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx

from app.errors import (
    EngineError,
    EngineKeyRefused,
    EngineRateLimited,
    EngineRequestFailed,
    EngineStartFailed,
    EngineUnpaid,
    EngineUnreachable,
)
from app.http_client import IDENTITY, bearer, read_start, read_whole
from app.llm.address import server_root
from app.llm.refusal import ERROR_S, MAX_ERROR_BYTES, discreet, refusal, web_page
from app.llm.reply import from_engine
from app.proxies import Proxies, ProxyTransport

POLL_S = 0.1
ANSWER_TIMEOUT_S = 5.0
"""For one answer to a readiness question; a loading engine answers 503 at once."""
MAX_PROPS_BYTES = 4 * 2**20
"""`/props` holds the chat template, which is some thousand characters."""
_WITHOUT_LIST = (200, 403, 404, 405)
"""What a host answers that has no list of models, or shows it to nobody: with 200 it is a page."""


async def until_ready(url: asyncio.Future[str], key: str, *, vision: bool) -> str:
    """Poll until the engine answers as ready, and return the base of its API; whoever waits for
    this sets the time limit."""
    base = await url
    root = server_root(base)
    async with httpx.AsyncClient(
        headers=IDENTITY | bearer(key), timeout=ANSWER_TIMEOUT_S, trust_env=False
    ) as client:
        while True:
            # Not listening yet, or ending just now: the caller watches the process itself.
            with contextlib.suppress(httpx.TransportError, TimeoutError):
                if await _is_ready(client, root, vision=vision):
                    return base
            await asyncio.sleep(POLL_S)


async def _is_ready(client: httpx.AsyncClient, root: str, *, vision: bool) -> bool:
    """`/health` is 503 while the model loads. Without its projector a llama-server is healthy but
    blind, which only `/props` tells."""
    if await _status(client, f"{root}/health") != httpx.codes.OK:
        return False
    if vision:
        props = await _json(client, f"{root}/props")
        modalities = props.get("modalities") if isinstance(props, dict) else None
        if not isinstance(modalities, dict) or not modalities.get("vision"):
            raise EngineStartFailed(
                "the engine is up but takes no images",
                "engine.mmproj was not loaded as a vision projector; look at GET /engine/log.",
            )
    return True


async def check_remote(base: str, api_key: str, model: str = "") -> None:
    """Raise an `EngineError` unless somebody answers at `base` as an inference server does.

    It is asked for its list of models. Some hosts have none, or show it to nobody; they are used
    all the same if a `model` is named. Raises ConfigError for a bad proxy in the environment.
    """
    url = f"{base}/models"
    try:
        async with httpx.AsyncClient(
            timeout=ANSWER_TIMEOUT_S,
            headers=IDENTITY | bearer(api_key),
            transport=ProxyTransport(Proxies.from_environment()),
            trust_env=False,
        ) as client:
            status, error = await _list_models(client, url)
    except (httpx.TransportError, TimeoutError) as exc:
        raise EngineUnreachable(
            f"no engine answers at {base}: {exc!r}", "Check engine.url and that it runs."
        ) from exc
    if error is None or isinstance(error, EngineRateLimited):
        return
    if status not in _WITHOUT_LIST or isinstance(error, EngineKeyRefused | EngineUnpaid):
        with discreet(lambda: api_key):
            raise error
    if not model:
        said = status if status != httpx.codes.OK else "with a web page"
        raise EngineRequestFailed(
            f"{url} answers {said}",
            "Check engine.url, which must contain the version of the API, such as /v1. If the host "
            "has no list of models, name one in engine.alias.",
        )


async def _list_models(client: httpx.AsyncClient, url: str) -> tuple[int, EngineError | None]:
    """Ask for the list of models; return the status, and the error if there is none."""
    async with asyncio.timeout(ANSWER_TIMEOUT_S), client.stream("GET", url) as answer:
        if answer.is_success:
            is_page = "text/html" in answer.headers.get("content-type", "").lower()
            return answer.status_code, web_page() if is_page else None
        said = await read_start(answer, MAX_ERROR_BYTES, ERROR_S)
        return answer.status_code, refusal(answer.status_code, said, answer.headers)


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
