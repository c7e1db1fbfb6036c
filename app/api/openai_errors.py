"""Errors of `/v1`, in the form of OpenAI's. `"src": "phonepilot"` tells them from the engine's."""

from __future__ import annotations

import httpx
from fastapi.responses import JSONResponse, Response

from app.errors import AppError, EngineNotReady, EngineUnreachable


def broken(exc: httpx.HTTPError) -> AppError:
    """A connection to the engine that broke."""
    return EngineUnreachable(f"the connection to the engine broke: {exc!r}")


def from_error(error: AppError) -> Response:
    """An error of ours."""
    message = f"{error.message}. {error.hint}" if error.hint else error.message
    response = openai_error(error.status, error.code, message)
    if isinstance(error, EngineNotReady):
        response.headers["retry-after"] = str(error.retry_after)
    return response


def openai_error(status: int, code: str, message: str) -> Response:
    """Any error."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = {"message": message, "type": kind, "code": code, "src": "phonepilot"}
    return JSONResponse({"error": body}, status_code=status)
