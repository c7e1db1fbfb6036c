"""Routes of the engine: its state, its log, a restart."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.api.ports import Engine


def engine_routes(engine: Engine) -> APIRouter:
    router = APIRouter(prefix="/engine", tags=["engine"])

    @router.get("")
    async def engine_status() -> dict[str, Any]:
        """State, kind, model, context, devices and layers and, after a failure, the reason with its
        hint."""
        return asdict(engine.status())

    @router.post("/restart")
    async def restart_engine() -> dict[str, Any]:
        """Stop and start again; returns when it is ready."""
        await engine.restart()
        return asdict(engine.status())

    @router.get("/log")
    async def engine_log(
        lines: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> dict[str, list[str]]:
        return {"lines": list(engine.log_lines(lines))}

    return router
