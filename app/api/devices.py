"""Routes of phones: which there are, connecting one, its screen now."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from app.tasks.ports import Fleet
from app.tasks.runner import Runner


class Address(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"address": "192.168.1.20:5555"}]}
    )

    address: str


class DeviceView(BaseModel):
    """A phone; `task` is the id of the task that uses it now."""

    serial: str
    state: str
    model: str
    product: str
    task: str | None = None


def device_routes(fleet: Fleet, runner: Runner) -> APIRouter:
    router = APIRouter(prefix="/devices", tags=["devices"])

    @router.get("")
    async def list_devices() -> dict[str, list[DeviceView]]:
        return {
            "devices": [
                DeviceView(
                    serial=row.serial,
                    state=row.state,
                    model=row.model,
                    product=row.product,
                    task=runner.running_on(row.serial),
                )
                for row in await fleet.list()
            ]
        }

    @router.post("/connect")
    async def connect(address: Address) -> dict[str, str]:
        """Connect to a phone over TCP; answers when it is ready."""
        device = await fleet.connect(address.address)
        return {"serial": device.serial}

    @router.post("/{serial}/disconnect", status_code=204)
    async def disconnect(serial: str) -> None:
        await fleet.disconnect(serial)

    @router.get(
        "/{serial}/screen",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}, "image/png": {}}}},
    )
    async def screen(
        serial: str,
        max_side: Annotated[int, Query(ge=64, le=4096)] = 1200,
        png: bool = False,
    ) -> Response:
        """The screen now: JPEG of at most `max_side` pixels, or `?png=true` for every pixel."""
        frame = await (await fleet.get(serial)).screenshot()
        body = await asyncio.to_thread(frame.png if png else lambda: frame.jpeg(max_side))
        headers: dict[str, Any] = {"Cache-Control": "no-store"}
        return Response(body, media_type="image/png" if png else "image/jpeg", headers=headers)

    return router
