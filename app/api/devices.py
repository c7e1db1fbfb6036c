"""Routes of phones: the list and its changes, connections, the current screen, manual input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from app.api.event_stream import event_stream
from app.api.live_screen import BOUNDARY, MAX_FPS, LiveScreens
from app.api.manual import Hand, Input
from app.api.ports import Phones, RoutedPhone
from app.request_body import RequestBody
from app.tasks.models import Shown
from app.tasks.runner import Runner


class Address(RequestBody):
    model_config = ConfigDict(json_schema_extra={"examples": [{"address": "192.168.1.20:5555"}]})

    address: str


class RouteView(BaseModel):
    """One route to a phone, by its serial at the adb server; `stale` if it is left over from before
    the phone came back by another route."""

    model_config = ConfigDict(from_attributes=True)

    serial: str
    state: str
    kind: Literal["usb", "emulator", "network", "mdns"]
    stale: bool


class DeviceView(BaseModel):
    """A phone; `task` is the id of the task that is using it.

    `serial` is the route that the task uses, otherwise the best of `routes`.
    """

    serial: str
    state: str
    model: Shown
    product: Shown
    task: str | None = None
    routes: list[RouteView]


def device_routes(fleet: Phones, runner: Runner, screens: LiveScreens) -> APIRouter:
    router = APIRouter(prefix="/devices", tags=["devices"])
    hand = Hand(fleet, runner)

    def view(phone: RoutedPhone) -> DeviceView:
        used = next((route for route in phone.routes if runner.running_on(route.serial)), None)
        return DeviceView(
            serial=used.serial if used else phone.serial,
            state=used.state if used else phone.state,
            model=phone.model,
            product=phone.product,
            task=runner.running_on(used.serial) if used else None,
            routes=[RouteView.model_validate(route) for route in phone.routes],
        )

    @router.get("")
    async def list_devices() -> dict[str, list[DeviceView]]:
        """Each phone once, whatever the number of its routes."""
        return {"devices": [view(phone) for phone in await fleet.phones()]}

    @router.get(
        "/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def follow_devices() -> StreamingResponse:
        """A server-sent event `change` at once, and whenever GET /devices may have changed."""
        return event_stream(_sse(fleet.changes()))

    @router.post("/connect")
    async def connect(address: Address) -> dict[str, str]:
        """Connect to a phone over TCP; returns when it is ready."""
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
        """The current screen: JPEG of at most `max_side` pixels, or `?png=true` for every pixel."""
        frame = await screens.frame(serial)
        body = await (asyncio.to_thread(frame.png) if png else screens.jpeg(frame, max_side))
        headers: dict[str, Any] = {"Cache-Control": "no-store"}
        return Response(body, media_type="image/png" if png else "image/jpeg", headers=headers)

    @router.get(
        "/{serial}/stream",
        response_class=StreamingResponse,
        responses={200: {"content": {f"multipart/x-mixed-replace; boundary={BOUNDARY}": {}}}},
    )
    async def stream(
        serial: str,
        max_side: Annotated[int, Query(ge=64, le=4096)] = 800,
        fps: Annotated[float, Query(ge=0.2, le=MAX_FPS)] = 5,
    ) -> StreamingResponse:
        """The screen as MJPEG, for an `<img>`: a new picture whenever it changes.

        All viewers of a phone share its pictures; a task that works with it takes precedence.
        """
        await screens.get(serial)
        return StreamingResponse(
            screens.watch(serial, max_side, fps),
            media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}",
            headers={"Cache-Control": "no-store"},
        )

    @router.post("/{serial}/input", status_code=204)
    async def manual_input(serial: str, wanted: Input) -> None:
        """Tap, swipe, type or press a key by hand; in pixels of the phone's own screen.

        Rejected while a task works with the phone, unless it is paused or waits for an answer.
        """
        await hand.do(serial, wanted)

    return router


async def _sse(changes: AsyncIterator[None]) -> AsyncGenerator[str]:
    async for _ in changes:
        yield "event: change\ndata: {}\n\n"
