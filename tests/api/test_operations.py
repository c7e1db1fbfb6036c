"""What whoever runs the service can ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from app.api.operations import Operations, operation_routes
from app.errors import AdbServerUnreachable
from app.llm.slots import Calls
from app.tasks.metrics import TaskMetrics
from app.tasks.models import Step

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass
class State:
    state: str = "ready"


@dataclass
class World:
    """An engine, an adb server and tasks, as a test says they are."""

    engine_state: str = "ready"
    rows: list[State] | None = field(default_factory=lambda: [State("device")])
    open: dict[str, int] = field(default_factory=dict)

    def status(self) -> State:
        return State(self.engine_state)

    async def list(self) -> list[State]:
        if self.rows is None:
            raise AdbServerUnreachable("gone")
        return self.rows

    def open_tasks(self) -> dict[str, int]:
        return self.open


@pytest.fixture
async def scene() -> AsyncIterator[tuple[World, TaskMetrics, httpx.AsyncClient]]:
    world, registry = World(), CollectorRegistry()
    calls = Calls(2)
    parts: Any = world  # no more of each than is asked about
    app = FastAPI()
    app.include_router(operation_routes(Operations(parts, parts, parts, lambda: calls, registry)))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        yield world, TaskMetrics(registry), http


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_ready_means_that_a_task_could_begin(
    scene: tuple[World, TaskMetrics, httpx.AsyncClient],
) -> None:
    world, _, http = scene
    assert (await http.get("/readyz")).json() == {
        "status": "ready", "engine": "ready", "adb_server": "ok", "phones": "1",
    }  # fmt: skip
    world.engine_state = "sleeping"
    assert (await http.get("/readyz")).status_code == 200
    world.engine_state = "failed"
    assert (await http.get("/readyz")).status_code == 503
    world.engine_state, world.rows = "ready", None
    answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()["adb_server"]) == (503, "unreachable")


async def test_what_was_done_is_counted(
    scene: tuple[World, TaskMetrics, httpx.AsyncClient],
) -> None:
    world, metrics, http = scene
    tokens = {"prompt": 100, "cached": 60, "completion": 7}
    step = Step(
        number=1,
        app="Notes\n# HELP injected",
        width=1,
        height=1,
        action={"kind": "tap"},
        started_at=datetime.now(UTC),
        timings_ms={"request": 30.0},
        tokens=tokens,
    )
    metrics.stepped(step)
    metrics.stepped(step.model_copy(update={"action": None}))
    world.open, world.rows = {"running": 2}, [State("device"), State("offline"), State("device")]
    text = (await http.get("/metrics")).text
    assert "Notes" not in text
    found = samples(text)
    assert found["phonepilot_steps_total", (("action", "tap"),)] == 1
    assert found["phonepilot_steps_total", (("action", "none"),)] == 1
    assert found["phonepilot_tokens_total", (("kind", "cached"),)] == 120
    assert found["phonepilot_step_phase_seconds_count", (("phase", "request"),)] == 2
    assert found["phonepilot_tasks_open", (("status", "running"),)] == 2
    assert found["phonepilot_devices", (("state", "device"),)] == 2
    assert found["phonepilot_engine_ready", ()] == 1
    world.open, world.engine_state = {}, "failed"
    later = samples((await http.get("/metrics")).text)
    assert not any(name == "phonepilot_tasks_open" for name, _ in later)
    assert later["phonepilot_engine_ready", ()] == 0
