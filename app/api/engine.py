"""Routes of the engine: its state, its log, a restart, another model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from app.api.clients import while_there
from app.api.ports import Engine
from app.settings import ModelName


class Choice(BaseModel):
    """The model to use."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[ModelName, Field(description="As in `phonepilot models list`.")]


def engine_routes(
    engine: Engine,
    alternatives: Callable[[], list[dict[str, Any]]],
    use: Callable[[str], Awaitable[None]],
) -> APIRouter:
    """`alternatives` returns the state of every engine that tasks may use; `use` exchanges the
    model."""

    def shown() -> dict[str, Any]:
        return asdict(engine.status()) | {"alternatives": alternatives()}

    router = APIRouter(prefix="/engine", tags=["engine"])

    @router.get("")
    async def engine_status() -> dict[str, Any]:
        """State, kind, model, context, devices and layers and, after a failure, the reason with its
        hint. `alternatives` are the engines that tasks may use: this one, and those of
        engine.fallback."""
        return shown()

    @router.post("/restart")
    async def restart_engine() -> dict[str, Any]:
        """Stop and start again; returns when it is ready."""
        await engine.restart()
        return shown()

    @router.post("/model")
    async def use_model(choice: Choice, request: Request) -> dict[str, Any]:
        """Exchange the model for another one that is installed; returns when it is ready. Running
        tasks end with the model that they began with, and a client that leaves before that gives
        the exchange up. After a start of the service it is the configured one again."""
        await while_there(request.receive, use(choice.name))
        return shown()

    @router.get("/log")
    async def engine_log(
        lines: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> dict[str, list[str]]:
        return {"lines": list(engine.log_lines(lines))}

    return router
