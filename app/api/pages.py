"""The dashboard's page and files, and the liveness route."""

from __future__ import annotations

from importlib import resources
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from app import __version__

_FOLDER = resources.files("app") / "dashboard"
_FRESH = {"Cache-Control": "no-cache"}
"""Browsers revalidate each time, so that an upgrade never mixes two versions."""


def add_pages(app: FastAPI) -> None:
    app.mount("/dashboard", _Assets(directory=str(_FOLDER)), name="dashboard")

    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return _page("index.html")

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> FileResponse:
        return _page("docs.html")

    @app.get("/healthz", tags=["operations"])
    async def health() -> dict[str, str]:
        """The service answers; does not check phones and engine."""
        return {"status": "ok", "version": __version__}


def login_page() -> FileResponse:
    return _page("login.html")


def _page(name: str) -> FileResponse:
    return FileResponse(str(_FOLDER / name), headers=_FRESH)


class _Assets(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(_FRESH)
        return response
