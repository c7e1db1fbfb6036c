"""Routes of the engine: its state, its log, a restart, another model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from app.api.ports import Engine
from app.settings import ModelName


class Choice(BaseModel):
    """The model to use."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[ModelName, Field(description="As in `phonepilot models list`.")]


def engine_routes(engine: Engine, use: Callable[[str], Awaitable[None]]) -> APIRouter:
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

    @router.post("/model")
    async def use_model(choice: Choice) -> dict[str, Any]:
        """Exchange the model for another one that is installed; returns when it is ready. Running
        tasks end with the model that they began with. After a start of the service it is the
        configured one again."""
        await use(choice.name)
        return asdict(engine.status())

    @router.get("/log")
    async def engine_log(
        lines: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> dict[str, list[str]]:
        return {"lines": list(engine.log_lines(lines))}

    return router
