"""`GET /v1/models/{id}`, answered from the engine's list: llama.cpp has no such route."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx

from app.errors import EngineRequestFailed, EngineTimeout
from app.http_client import IDENTITY, BodyRefused, bearer, read_whole

MAX_BYTES = 4 * 2**20
"""Hosts list some hundred models with a page of text about each."""
ANSWER_S = 10.0


async def model_in_list(
    client: httpx.AsyncClient, base: str, key: str, wanted: str
) -> dict[str, Any] | None:
    """Return the entry of the model of that id or alias, None if the engine has none.

    Raises EngineTimeout, EngineRequestFailed for an answer that is no list, and httpx's errors.
    """
    headers = IDENTITY | bearer(key)
    try:
        async with (
            asyncio.timeout(ANSWER_S),
            client.stream("GET", f"{base}/models", headers=headers, timeout=ANSWER_S) as answer,
        ):
            if not answer.is_success:
                raise EngineRequestFailed(f"the engine's list of models: {answer.status_code}")
            models = json.loads(await read_whole(answer, MAX_BYTES))["data"]
        found = _found(models, wanted)
        # Python reads what no answer may contain: numbers that are none, and half characters.
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
        return found
    except TimeoutError as exc:
        raise EngineTimeout("the engine took too long to list its models") from exc
    except (BodyRefused, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise EngineRequestFailed("the engine's list of models cannot be read") from exc


def _found(models: object, wanted: str) -> dict[str, Any] | None:
    for model in models if isinstance(models, list) else ():
        if isinstance(model, dict) and wanted in _names(model):
            return model
    return None


def _names(model: dict[str, Any]) -> list[object]:
    aliases = model.get("aliases")
    return [model.get("id"), *(aliases if isinstance(aliases, list) else ())]
