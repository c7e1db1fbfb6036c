"""The runner with a phone and a model that do what a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from app.errors import AppError, DeviceDisconnected, DeviceOffline
from app.tasks.assignment import Assignments
from app.tasks.database import Database
from app.tasks.metrics import TaskMetrics
from app.tasks.models import NewTask, Task
from app.tasks.queue import Ticket, Turn
from app.tasks.retention import Limits, Retention
from app.tasks.runner import Runner
from app.tasks.store import Store
from app.tasks.webhooks import Webhooks
from tests.agent.doubles import RememberingDevice, ScriptedChat

TAP = '<think>I tap.</think><answer>do(action="Tap", element=[500,250])</answer>'
DONE = '<think>It is on.</think><answer>finish(message="Bluetooth is on.")</answer>'
PROFILE = SimpleNamespace(
    prompt="autoglm", image_width=0, image_height=0, feedback=True, reads=False, grammar="off",
    max_tokens=100,
)  # fmt: skip
DEFAULTS = SimpleNamespace(
    lang="en", max_steps=5, timeout_s=60.0, profile="test", confirm="deny", reply_timeout_s=1.0,
    resume_within_s=0.0,
)  # fmt: skip


@dataclass
class Phones:
    """One phone, that is away as long as there are `faults`."""

    phone: RememberingDevice = field(default_factory=lambda: RememberingDevice(serial="a"))
    faults: list[AppError] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    async def choose(self, serial: str | None = None) -> RememberingDevice:
        return self.phone

    async def wait_ready(self, serial: str, timeout_s: float) -> None:
        self.waited.append(timeout_s)

    async def device(self) -> RememberingDevice:
        if self.faults:
            raise self.faults.pop(0)
        return self.phone

    @asynccontextmanager
    async def take(self, ticket: Ticket) -> AsyncIterator[Turn]:
        yield Turn("a", "a", self)  # type: ignore[arg-type]


@asynccontextmanager
async def running(folder: Path, phones: Phones, *script: str) -> AsyncIterator[Runner]:
    database = Database(folder)
    store, chat = Store(database), ScriptedChat(*script)
    runner = Runner(
        phones,  # type: ignore[arg-type]
        Assignments(lambda phone: chat, PROFILE),
        store,
        DEFAULTS,
        TaskMetrics(CollectorRegistry()),
        phones,
        Webhooks(database, "whsec_c2VjcmV0", ()),
        Retention(store, folder, Limits(0, 0, 0)),
        return_s=7.0,
    )
    yield runner
    await runner.close()
    await database.close()


async def ran(runner: Runner) -> Task:
    task = await runner.submit(NewTask(goal="Turn on Bluetooth"))
    return await runner.wait(task.id, 20)


@pytest.mark.parametrize("fault", [DeviceOffline("offline"), DeviceDisconnected("gone")])
async def test_a_phone_that_is_away_when_its_task_begins_is_waited_for(
    tmp_path: Path, fault: AppError
) -> None:
    phones = Phones(faults=[fault])
    async with running(tmp_path, phones, TAP, DONE) as runner:
        task = await ran(runner)
    assert (task.status, phones.waited) == ("succeeded", [7.0])


async def test_a_phone_that_stays_away_ends_its_task(tmp_path: Path) -> None:
    phones = Phones(faults=[DeviceOffline("offline"), DeviceOffline("still offline")])
    async with running(tmp_path, phones, DONE) as runner:
        task = await ran(runner)
    assert (task.status, task.stop_reason) == ("failed", "device_lost")
    assert task.error is not None
    assert task.error.code == "device_offline"
