"""The ends of tasks: told to all who wait, written down, and none of them twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.agent.step import Question
from app.errors import DeviceOffline, InputError, KeyReused, NoOpenQuestion
from app.tasks.database import Database, deliveries, keys
from app.tasks.equipment import Equipment
from app.tasks.metrics import TaskMetrics
from app.tasks.models import OpenQuestion, Status
from app.tasks.new_task import NewTask, Reply
from app.tasks.person import Person
from app.tasks.queue import LocalQueue
from app.tasks.retention import Limits, Retention
from app.tasks.run import Surroundings
from app.tasks.runner import Runner
from app.tasks.secrets import DiscreetDevice
from app.tasks.store import Store
from app.tasks.stored import TaskRecord
from app.tasks.webhooks import Webhooks
from tests.agent.doubles import RememberingDevice, ScriptedChat

TAP = '<answer>do(action="Tap", element=[500, 500])</answer>'
FINISH = '<answer>finish(message="Done.")</answer>'
PROFILE = SimpleNamespace(
    dialect="autoglm", prompt="", image_width=0, image_height=0, coordinates="auto",
    images_kept=0, answer_ends="auto", feedback=True,
    reads=False, grammar="off", max_thought=0, max_tokens=100,
)  # fmt: skip
DEFAULTS = SimpleNamespace(
    lang="en", max_steps=5, timeout_s=60.0, confirm="deny", reply_timeout_s=1.0,
    resume_within_s=60.0,
)  # fmt: skip


@dataclass
class Phones:
    """One phone, reached by the serials `usb` and `wifi`. A lease ends when `drained` is set."""

    device: RememberingDevice = field(default_factory=lambda: RememberingDevice(serial="usb"))
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: bool = False
    away: bool = False

    def __post_init__(self) -> None:
        self.drained.set()

    async def choose(self, serial: str | None = None) -> RememberingDevice:
        return self.device

    async def wait_ready(self, serial: str, timeout_s: float) -> None:
        self.away = False

    async def phone_of(self, serial: str) -> str:
        return "the phone"

    @asynccontextmanager
    async def hold(self, serial: str) -> AsyncIterator[SimpleNamespace]:
        async def device() -> RememberingDevice:
            if self.away:
                raise DeviceOffline("device usb is offline")
            return self.device

        try:
            yield SimpleNamespace(device=device)
        finally:
            self.draining.set()
            try:
                await self.drained.wait()
            except asyncio.CancelledError:
                self.given_up = True
                raise


@dataclass
class Scene:
    phones: Phones
    store: Store
    database: Database
    folder: Path
    chat: ScriptedChat
    runner: Runner


def runner_of(scene_parts: tuple[Phones, Store, Database, Path], chat: ScriptedChat) -> Runner:
    phones, store, database, folder = scene_parts
    around = Surroundings(
        phones,  # type: ignore[arg-type]
        Equipment(lambda phone: chat, PROFILE, name="test"),
        store,
        TaskMetrics(CollectorRegistry()),
        Webhooks(database, "whsec_c2VjcmV0", ()),
        Retention(store, folder, Limits(0, 0, 0)),
        reply_s=DEFAULTS.reply_timeout_s,
    )
    return Runner(around, DEFAULTS, LocalQueue(phones))  # type: ignore[arg-type]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    database, phones, chat = Database(tmp_path), Phones(), ScriptedChat()
    store = Store(database)
    runner = runner_of((phones, store, database, tmp_path), chat)
    yield Scene(phones, store, database, tmp_path, chat, runner)
    phones.drained.set()
    await runner.close()
    await database.close()


async def kinds(runner: Runner, task_id: str) -> list[str]:
    async with asyncio.timeout(10):
        return [event.kind async for event in runner.reading.events(task_id)]


async def test_a_second_cancel_does_not_break_off_what_the_first_waits_for(scene: Scene) -> None:
    scene.phones.drained.clear()
    task = await scene.runner.submit(NewTask(goal="Open Notes"))
    await scene.chat.asking.wait()
    cancels = [asyncio.create_task(scene.runner.cancel(task.id)) for _ in range(2)]
    await scene.phones.draining.wait()
    cancels.append(asyncio.create_task(scene.runner.cancel(task.id)))
    for _ in range(20):
        await asyncio.sleep(0)
    scene.phones.drained.set()
    assert [(await cancel).status for cancel in cancels] == ["cancelled"] * 3
    assert not scene.phones.given_up
    assert (await kinds(scene.runner, task.id)).count("end") == 1


async def test_a_cancel_counts_though_the_service_is_stopped_meanwhile(scene: Scene) -> None:
    scene.phones.drained.clear()
    task = await scene.runner.submit(NewTask(goal="Open Notes"))
    await scene.chat.asking.wait()
    cancel = asyncio.create_task(scene.runner.cancel(task.id))
    await scene.phones.draining.wait()
    close = asyncio.create_task(scene.runner.close())
    await asyncio.sleep(0)
    scene.phones.drained.set()
    await asyncio.gather(cancel, close)
    assert (await scene.store.get_task(task.id)).status == "cancelled"


async def test_a_task_that_comes_while_the_service_stops_waits_for_the_next_start(
    scene: Scene,
) -> None:
    await scene.runner.close()
    task = await scene.runner.submit(NewTask(goal="Open Notes"))
    assert (await scene.runner.wait(task.id, 5)).status == "queued"
    assert not scene.phones.draining.is_set()
    again = ScriptedChat(FINISH)
    runner = runner_of((scene.phones, scene.store, scene.database, scene.folder), again)
    await runner.recover(None)
    assert (await runner.wait(task.id, 10)).status == "succeeded"
    await runner.close()


async def test_an_end_that_cannot_be_written_down_is_told_all_the_same(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tell(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(scene.runner._around.webhooks, "tell", tell)
    task = await scene.runner.submit(NewTask(goal="Open Notes"))
    await scene.chat.asking.wait()
    await scene.runner.cancel(task.id)
    assert (await kinds(scene.runner, task.id))[-1] == "end"
    assert (await scene.runner.find(task.id)).status == "cancelled"


async def test_a_task_that_waited_is_refused_by_a_model_without_eyes(scene: Scene) -> None:
    first = await scene.runner.submit(NewTask(goal="Open Notes"))
    await scene.chat.asking.wait()
    second = await scene.runner.submit(NewTask(goal="Open Clock"))
    around = scene.runner._around
    around.equipment = replace(around.equipment, blind=True)
    await scene.runner.cancel(first.id)
    ended = await scene.runner.wait(second.id, 10)
    assert (ended.status, ended.steps, len(scene.chat.requests)) == ("failed", 0, 1)
    assert ended.error is not None and ended.error.code == "model_blind"


async def test_a_screenshot_that_cannot_be_kept_ends_no_task(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def save_screenshot(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(scene.store, "save_screenshot", save_screenshot)
    scene.chat._script += [TAP, FINISH]
    task = await scene.runner.submit(NewTask(goal="Open Notes", confirm="allow"))
    ended = await scene.runner.wait(task.id, 10)
    assert (ended.status, ended.steps) == ("succeeded", 2)


async def test_an_interrupted_task_is_told_to_its_webhook(scene: Scene) -> None:
    left = TaskRecord(
        id="07", goal="Open Notes", device="usb", status="running", max_steps=5, timeout_s=60,
        lang="en", created_at=datetime.now(UTC) - timedelta(hours=9),
        callback_url="http://127.0.0.1:1/",
    )  # fmt: skip
    await scene.store.save_task(left)
    await scene.runner.recover(None)
    assert (await scene.store.get_task("07")).status == "interrupted"
    kept = await scene.database.call(lambda c: c.execute(deliveries.select()).all())
    assert [row.id for row in kept] == ["msg_07_task_ended"]


async def test_a_conversation_goes_on_though_its_beginning_is_forgotten(scene: Scene) -> None:
    first = TaskRecord(
        id="07", goal="Open Notes", device="usb", status="succeeded", max_steps=5, timeout_s=60,
        lang="en", created_at=datetime.now(UTC), follows="forgotten",
    )  # fmt: skip
    await scene.store.save_task(first)
    scene.chat._script.append(FINISH)
    task = await scene.runner.submit(NewTask(goal="Close it", follows="07"))
    assert (await scene.runner.wait(task.id, 10)).status == "succeeded"


async def test_a_phone_that_is_away_when_its_turn_comes_is_waited_for(scene: Scene) -> None:
    scene.phones.away = True
    scene.chat._script.append(FINISH)
    task = await scene.runner.submit(NewTask(goal="Open Notes"))
    assert (await scene.runner.wait(task.id, 10)).status == "succeeded"


async def test_no_route_to_a_phone_shows_a_secret(scene: Scene) -> None:
    new = NewTask.model_validate(
        {"goal": "Sign in with {{secret:bank}}", "secrets": {"bank": "hunter2"}}
    )
    task = await scene.runner.submit(new)
    await scene.chat.asking.wait()
    for route in ("usb", "wifi"):
        assert isinstance(await scene.runner.shown_device(route), DiscreetDevice)
    await scene.runner.cancel(task.id)
    assert await scene.runner.shown_device("usb") is None


async def test_no_secret_stays_of_a_task_that_could_not_be_made(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PROFILE, "prompt", "there is none")
    new = NewTask.model_validate(
        {"goal": "Sign in with {{secret:bank}}", "secrets": {"bank": "hunter2"}}
    )
    with pytest.raises(InputError):
        await scene.runner.submit(new)
    assert scene.runner.open_tasks() == {}


async def test_a_submit_that_is_cancelled_leaves_nothing_behind(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on, save = asyncio.Event(), asyncio.Event(), scene.store.save_task

    async def slow(*records: TaskRecord) -> None:
        writing.set()
        await go_on.wait()
        await save(*records)

    monkeypatch.setattr(scene.store, "save_task", slow)
    submit = asyncio.create_task(scene.runner.submit(NewTask(goal="Open Notes"), "key"))
    await writing.wait()
    submit.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await submit
    monkeypatch.undo()
    assert await scene.store.unfinished() == []
    assert scene.runner.open_tasks() == {}
    scene.chat._script.append(FINISH)
    again = await scene.runner.submit(NewTask(goal="Something else"), "key")  # the key is free
    assert (await scene.runner.wait(again.id, 10)).status == "succeeded"


async def test_the_same_key_with_another_secret_is_another_request(scene: Scene) -> None:
    def wish(secret: str) -> NewTask:
        fields = {"goal": "Sign in with {{secret:bank}}", "secrets": {"bank": secret}}
        return NewTask.model_validate(fields)

    first = await scene.runner.submit(wish("hunter2"), "key")
    assert (await scene.runner.submit(wish("hunter2"), "key")).id == first.id
    with pytest.raises(KeyReused):
        await scene.runner.submit(wish("hunter3"), "key")
    rows = await scene.database.call(lambda c: c.execute(keys.select()).all())
    assert all("hunter" not in str(row) for row in rows)
    await scene.runner.cancel(first.id)


async def test_an_answer_that_was_accepted_is_never_counted_as_none() -> None:
    """At the very moment in which the time runs out."""
    told: list[OpenQuestion | None] = []

    async def announce(question: OpenQuestion | None, status: Status) -> None:
        told.append(question)

    for delay in (0.0, 0.005, 0.0099, 0.01, 0.0101, 0.02):
        person = Person(announce, 0.01)
        asking = asyncio.create_task(person.ask(Question("confirmation", "May I?")))
        await asyncio.sleep(delay)
        try:
            person.reply(Reply(allow=True))
        except NoOpenQuestion:
            assert not (await asking).allowed
        else:
            assert (await asking).allowed
