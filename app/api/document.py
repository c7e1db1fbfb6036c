"""The OpenAPI document: FastAPI's description of the routes, corrected and completed.

FastAPI describes its own validation error, which this service never sends. Here every route
declares this service's errors instead, with examples of its request and response.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.examples import ANSWERS, REQUESTS

DESCRIPTION = """\
Say what you want; phonepilot does it on your Android phone.

Every error is `{"error": {"code", "message", "hint"}}`; under `/v1` it has OpenAI's shape, with
`"src": "phonepilot"` if it is not the engine's own. If others can reach the service, send
`Authorization: Bearer TOKEN`.
"""
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "Stable; see docs/troubleshooting.md."},
                "message": {"type": "string"},
                "hint": {"type": "string", "description": "What to do next."},
            },
        }
    },
}
_ENGINE_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message"],
            "properties": {
                "message": {"type": "string"},
                "code": {"type": ["string", "integer"]},
                "type": {"type": "string"},
                "src": {"type": "string", "description": "phonepilot, or missing for the engine."},
            },
        }
    },
}


def describe(app: FastAPI) -> None:
    """Serve the corrected document under `/openapi.json` and `/docs`."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Error"], schemas["EngineError"] = _ERROR, _ENGINE_ERROR
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{}, {"token": []}]
    for path, operations in document["paths"].items():
        kind = "EngineError" if path.startswith("/v1/") else "Error"
        for method, operation in operations.items():
            _complete(operation, f"{method.upper()} {path}", kind)
    return document


def _complete(operation: dict[str, Any], name: str, error: str) -> None:
    answers = operation["responses"]
    answers.pop("422", None)
    body = {"application/json": {"schema": {"$ref": f"#/components/schemas/{error}"}}}
    for status, meaning in (("4XX", "The caller must act."), ("5XX", "A part does not answer.")):
        answers[status] = {"description": meaning, "content": body}
    for status, answer in answers.items():
        if status.startswith("2") and name in ANSWERS:
            for content in answer.get("content", {}).values():
                content["example"] = ANSWERS[name]
    if "requestBody" in operation and name in REQUESTS:
        for content in operation["requestBody"]["content"].values():
            content["example"] = REQUESTS[name]
