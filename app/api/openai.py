"""`/v1/*`: passes requests through to the engine's own OpenAI-compatible API.

In addition, the engine is started when needed, only inference routes are open, and a client that
disconnects ends its own request (app/api/relay.py).
"""

from __future__ import annotations

import asyncio

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from app.api.model_list import model_in_list
from app.api.openai_errors import broken, from_error, openai_error
from app.api.relay import Relay
from app.api.upstream import Upstream
from app.errors import AppError

GET_ROUTES = ("/v1/models",)
MODEL_ROUTE = "/v1/models/{model_id:path}"
POST_ROUTES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
)
MAX_BODY_BYTES = 32 * 2**20
"""Several full-size screenshots as base64 text."""
BODY_S = 120.0

_ANY_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
"""The engine decides what a body may contain."""


def openai_routes(upstream: Upstream) -> APIRouter:
    """Return the routes; everything else under `/v1/` gets an OpenAI-shaped 404."""
    router = APIRouter(tags=["openai"])

    async def one_model(model_id: str) -> Response:
        """One model of the engine's list, by its id or an alias."""
        try:
            base = await upstream.ready()
            found = await model_in_list(upstream.client(), base, upstream.api_key(), model_id)
        except httpx.HTTPError as exc:
            return from_error(broken(exc))
        except AppError as exc:
            return from_error(exc)
        if found is None:
            return openai_error(
                404, "model_not_found", f"the engine has no model {model_id[:200]!r}"
            )
        return JSONResponse(found)

    async def relay(request: Request) -> Response:
        try:
            async with asyncio.timeout(BODY_S):
                body = await _read_body(request)
        except TimeoutError:
            return openai_error(
                408, "request_too_slow", f"the body did not come within {BODY_S:g} s"
            )
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        if body is None:
            return openai_error(
                413, "request_too_large", f"the body exceeds {MAX_BODY_BYTES} bytes"
            )
        return Relay(upstream, request, body)

    for path in GET_ROUTES:
        router.add_api_route(path, relay, methods=["GET"])
    for path in POST_ROUTES:
        router.add_api_route(path, relay, methods=["POST"], openapi_extra=_ANY_BODY)
    router.add_api_route(MODEL_ROUTE, one_model, methods=["GET"])
    router.add_api_route(
        "/v1/{path:path}",
        _not_found,
        methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        include_in_schema=False,
    )
    return router


async def _read_body(request: Request) -> bytearray | None:
    """Read the whole body; None if it is too large."""
    if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


async def _not_found(request: Request) -> Response:
    if request.url.path in POST_ROUTES:
        said = f"{request.url.path} takes POST, not {request.method}"
        return openai_error(405, "method_not_allowed", said)
    routes = ", ".join((*GET_ROUTES, "/v1/models/ID", *POST_ROUTES))
    return openai_error(404, "not_found", f"{request.method} {request.url.path}: open are {routes}")
