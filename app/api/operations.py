"""Routes for operators: liveness, readiness and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from app import __version__
from app.api.ports import Calls, Engine, OpenTasks
from app.errors import DeviceError
from app.tasks.ports import Fleet

WORKS = ("ready", "sleeping")
"""States of an engine that answers the next request without a start."""


class Operations:
    """The sources of `/readyz` and `/metrics`; `calls` returns the slots in use."""

    def __init__(
        self,
        engine: Engine,
        fleet: Fleet,
        tasks: OpenTasks,
        calls: Callable[[], Calls],
        registry: CollectorRegistry,
    ) -> None:
        self._calls = calls
        self._engine = engine
        self._fleet = fleet
        self._tasks = tasks
        self._registry = registry
        self._open = Gauge(
            "phonepilot_tasks_open", "Open tasks by status.", ["status"], registry=registry
        )
        self._devices = Gauge(
            "phonepilot_devices", "Phones by the adb server's state.", ["state"], registry=registry
        )
        self._ready = Gauge(
            "phonepilot_engine_ready", "1 while the engine answers requests.", registry=registry
        )
        self._requests = Gauge(
            "phonepilot_engine_requests", "Requests by state.", ["state"], registry=registry
        )
        info = Gauge("phonepilot_info", "The version.", ["version"], registry=registry)
        info.labels(__version__).set(1)

    async def readiness(self) -> JSONResponse:
        """200 if a task could begin now, otherwise 503 with what is missing."""
        states = await self._device_states()
        parts = {
            "engine": str(self._engine.status().state),
            "adb_server": "ok" if states is not None else "unreachable",
            "phones": str(states["device"]) if states is not None else "0",
        }
        works = parts["engine"] in WORKS and states is not None
        body = {"status": "ready" if works else "not ready", **parts}
        return JSONResponse(body, status_code=200 if works else 503)

    async def metrics(self) -> Response:
        self._open.clear()
        for status, count in self._tasks.open_tasks().items():
            self._open.labels(status).set(count)
        self._devices.clear()
        for state, count in (await self._device_states() or Counter()).items():
            self._devices.labels(state).set(count)
        self._requests.labels("running").set(self._calls().running)
        self._requests.labels("waiting").set(self._calls().waiting)
        self._ready.set(str(self._engine.status().state) in WORKS)
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    async def _device_states(self) -> Counter[str] | None:
        try:
            return Counter(row.state for row in await self._fleet.list())
        except DeviceError:
            return None


def operation_routes(operations: Operations) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/readyz", responses={503: {"description": "Not ready; the body says why."}})
    async def ready() -> JSONResponse:
        """Whether a task could begin now: the engine and the adb server answer."""
        return await operations.readiness()

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """For Prometheus, in its text format."""
        return await operations.metrics()

    return router
