"""Errors as the API sends them: `{"error": {"code", "message", "hint"}}` with the right status."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.errors import AppError, EngineNotReady, InputError
from app.visible import visible

log = logging.getLogger(__name__)


def error_response(error: AppError) -> JSONResponse:
    headers = {}
    if isinstance(error, EngineNotReady):
        headers["Retry-After"] = str(error.retry_after)
    body = {
        name: visible(value) if isinstance(value, str) else value
        for name, value in error.as_dict().items()
    }
    return JSONResponse({"error": body}, status_code=error.status, headers=headers)


def install_error_handlers(app: FastAPI) -> None:
    """Give the errors of all routes the same form."""

    @app.exception_handler(AppError)
    async def on_app_error(_request: Request, error: AppError) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def on_bad_input(_request: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(InputError(_sentence(error.errors()), "See /docs for the fields."))

    @app.exception_handler(HTTPException)
    async def on_http_error(_request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "route_not_found", 405: "method_not_allowed"}.get(error.status_code, "http")
        body = {"code": code, "message": str(error.detail), "hint": "See /docs for the routes."}
        return JSONResponse({"error": body}, status_code=error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def on_fault(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        body = {
            "code": "internal",
            "message": "A fault in phonepilot.",
            "hint": "The service's log says more.",
        }
        return JSONResponse({"error": body}, status_code=500)


def _sentence(problems: Sequence[Any]) -> str:
    parts = []
    for problem in problems:
        place = ".".join(str(p) for p in problem["loc"] if p != "body") or "body"
        parts.append(f"{place}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(parts)
