"""Measures the cost of a long queue: starting and stopping with thousands of waiting tasks."""

from __future__ import annotations

import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from app.bench.service_process import service_process
from app.bench.stub_engine import stub_engine
from app.demo.phone_process import phone_process
from app.tasks.database import Database
from app.tasks.store import Store
from app.tasks.stored import TaskRecord

_SETTINGS = {"PHONEPILOT_ENGINE__KIND": "remote", "PHONEPILOT_AGENT__CONFIRM": "allow"}
_WAIT = 'do(action="Wait", duration="1 seconds")'


@dataclass(frozen=True, slots=True)
class BacklogRow:
    """Times in seconds: until the service answers, until a task is accepted, until it has ended."""

    waiting: int
    start_s: float
    submit_s: float
    stop_s: float


async def measure(waiting: int) -> BacklogRow:
    """Measure a service that starts with `waiting` queued tasks for one phone. Raises AppError."""
    async with AsyncExitStack() as stack:
        made = stack.enter_context(tempfile.TemporaryDirectory(prefix="phonepilot-backlog-"))
        folder = Path(made)
        phone = await stack.enter_async_context(phone_process(7))
        engine = await stack.enter_async_context(stub_engine(lambda: _WAIT))
        await _fill(folder, phone.serial, waiting)
        settings = {**_SETTINGS, "PHONEPILOT_ENGINE__URL": engine.url}
        begun = time.perf_counter()
        async with service_process(folder, settings) as url:
            async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
                (await http.get("/healthz")).raise_for_status()
                start_s = time.perf_counter() - begun
                address = {"address": phone.serial}
                (await http.post("/devices/connect", json=address)).raise_for_status()
                begun = time.perf_counter()
                goal = {"goal": "Wait", "device": phone.serial}
                (await http.post("/tasks", json=goal)).raise_for_status()
                submit_s = time.perf_counter() - begun
            begun = time.perf_counter()
        stop_s = time.perf_counter() - begun
    return BacklogRow(waiting, round(start_s, 2), round(submit_s, 3), round(stop_s, 2))


async def _fill(folder: Path, serial: str, count: int) -> None:
    database = Database(folder)
    try:
        now = datetime.now(UTC)
        records = [
            TaskRecord(
                id=f"{number:016x}", goal="Wait", device=serial, status="queued", max_steps=5,
                timeout_s=60, lang="en", created_at=now,
            )
            for number in range(count)
        ]  # fmt: skip
        await Store(database).save_task(*records)
        (folder / "alive").touch()  # otherwise they would be too old to be resumed
    finally:
        await database.close()
