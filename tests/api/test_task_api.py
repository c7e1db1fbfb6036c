"""Lists of tasks that hold still, and requests that may be repeated."""

from __future__ import annotations

import asyncio
import errno
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from app.api.errors import install_error_handlers
from app.api.task_records import record_routes
from app.api.tasks import task_routes
from app.errors import DeviceNotFound
from app.tasks.database import Database
from app.tasks.equipment import Equipment
from app.tasks.metrics import TaskMetrics
from app.tasks.queue import LocalQueue
from app.tasks.retention import Limits, Retention
from app.tasks.run import Surroundings
from app.tasks.runner import Runner
from app.tasks.store import Store
from app.tasks.stored import TaskRecord
from app.tasks.webhooks import Webhooks
from tests.agent.doubles import RememberingDevice, ScriptedChat

BEGIN = datetime(2026, 11, 20, 12, tzinfo=UTC)
PROFILE = SimpleNamespace(
    dialect="autoglm", prompt="", image_width=0, image_height=0, coordinates="auto",
    images_kept=0, answer_ends="auto", feedback=True,
    reads=False, grammar="off", max_thought=0, max_tokens=100,
)  # fmt: skip
DEFAULTS = SimpleNamespace(
    lang="en", max_steps=5, timeout_s=60.0, confirm="deny", reply_timeout_s=1.0,
    resume_within_s=0.0,
)  # fmt: skip


class Phones:
    """A fleet that has the phone `a`, which never becomes free, so that tasks stay queued."""

    async def choose(self, serial: str | None = None) -> RememberingDevice:
        if serial not in (None, "a"):
            raise DeviceNotFound(f"device {serial} is not connected")
        await asyncio.sleep(0)
        return RememberingDevice(serial="a")

    async def phone_of(self, serial: str) -> str:
        await asyncio.Event().wait()
        return serial


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Store]]:
    database = Database(tmp_path)
    store = Store(database)
    phones = Phones()
    around = Surroundings(
        phones,  # type: ignore[arg-type]
        Equipment(lambda phone: ScriptedChat(), PROFILE, name="test"),
        store,
        TaskMetrics(CollectorRegistry()),
        Webhooks(database, "whsec_c2VjcmV0", ()),
        Retention(store, tmp_path, Limits(0, 0, 0)),
    )
    runner = Runner(around, DEFAULTS, LocalQueue(phones))  # type: ignore[arg-type]
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(task_routes(runner))
    app.include_router(record_routes(runner.reading))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        yield http, store
    await runner.close()
    await database.close()


def task(number: int, **fields: Any) -> TaskRecord:
    known = {
        "id": f"{number:016x}",
        "goal": f"goal {number}",
        "device": "ab"[number % 2],
        "status": ("succeeded", "failed", "cancelled")[number % 3],
        "max_steps": 5,
        "timeout_s": 60.0,
        "lang": "en",
        "created_at": BEGIN + timedelta(seconds=number // 4),
    }
    return TaskRecord.model_validate(known | fields)


async def pages(http: httpx.AsyncClient, **query: Any) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: str | None = None
    while True:
        wanted = query | ({"cursor": cursor} if cursor else {})
        answer = (await http.get("/tasks", params=wanted)).raise_for_status().json()
        found.append([task["id"] for task in answer["tasks"]])
        cursor = answer["next"]
        if cursor is None:
            return found


async def test_every_task_is_on_one_page_newest_first(
    api: tuple[httpx.AsyncClient, Store],
) -> None:
    http, store = api
    for number in range(23):
        await store.save_task(task(number))
    expected = [f"{number:016x}" for number in reversed(range(23))]
    for limit in (1, 7, 22, 23, 24, 200):
        found = await pages(http, limit=limit)
        assert [name for page in found for name in page] == expected
        assert all(len(page) == limit for page in found[:-1])


async def test_a_page_holds_still_while_tasks_come(api: tuple[httpx.AsyncClient, Store]) -> None:
    http, store = api
    for number in range(6):
        await store.save_task(task(number))
    first = (await http.get("/tasks", params={"limit": 3})).json()
    await store.save_task(task(9))
    second = (await http.get("/tasks", params={"limit": 3, "cursor": first["next"]})).json()
    assert [task["goal"] for task in second["tasks"]] == ["goal 2", "goal 1", "goal 0"]


async def test_filters_by_state_and_phone(api: tuple[httpx.AsyncClient, Store]) -> None:
    http, store = api
    for number in range(12):
        await store.save_task(task(number))
    query = {"status": ["failed", "cancelled"], "device": "b", "limit": 2}
    found = [name for page in await pages(http, **query) for name in page]
    assert found == [f"{number:016x}" for number in (11, 7, 5, 1)]


@pytest.mark.parametrize(
    "query", [{"cursor": "x"}, {"cursor": "AAAA"}, {"status": "sleeping"}, {"limit": "0"}]
)
async def test_bad_questions_are_refused(
    api: tuple[httpx.AsyncClient, Store], query: dict[str, str]
) -> None:
    http, _ = api
    answer = await http.get("/tasks", params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "input_invalid")


async def test_a_repeated_request_makes_one_task(api: tuple[httpx.AsyncClient, Store]) -> None:
    http, _ = api
    body, headers = {"goal": "Turn on Wi-Fi"}, {"Idempotency-Key": "order 7"}
    answers = await asyncio.gather(
        *(http.post("/tasks", json=body, headers=headers) for _ in range(5))
    )
    later = await http.post("/tasks", json=body, headers=headers)
    assert {answer.status_code for answer in (*answers, later)} == {202}
    assert len({answer.json()["id"] for answer in (*answers, later)}) == 1
    assert len((await http.get("/tasks")).json()["tasks"]) == 1
    other = await http.post("/tasks", json=body, headers={"Idempotency-Key": "order 8"})
    assert other.json()["id"] != later.json()["id"]


async def test_a_key_is_good_for_one_request(api: tuple[httpx.AsyncClient, Store]) -> None:
    http, _ = api
    headers = {"Idempotency-Key": "order 7"}
    await http.post("/tasks", json={"goal": "Turn on Wi-Fi"}, headers=headers)
    answer = await http.post("/tasks", json={"goal": "Turn off Wi-Fi"}, headers=headers)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "idempotency_key_reused"


async def test_a_request_that_failed_may_be_repeated_with_its_key(
    api: tuple[httpx.AsyncClient, Store],
) -> None:
    http, _ = api
    headers = {"Idempotency-Key": "order 7"}
    nowhere = {"goal": "Turn on Wi-Fi", "device": "nowhere"}
    for _ in range(2):
        assert (await http.post("/tasks", json=nowhere, headers=headers)).status_code == 404
    made = await http.post("/tasks", json={"goal": "Turn on Wi-Fi"}, headers=headers)
    assert made.status_code == 202


async def test_an_export_for_which_there_is_no_room_says_so(
    api: tuple[httpx.AsyncClient, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    http, _ = api
    made = (await http.post("/tasks", json={"goal": "Open Notes"})).json()

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    answer = await http.get(f"/tasks/{made['id']}/export")
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")
    assert tempfile.gettempdir() in answer.json()["error"]["hint"]
