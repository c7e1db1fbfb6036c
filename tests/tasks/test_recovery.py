"""What an earlier run left open: queued again, or interrupted with the reason."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.tasks.database import FILE, Database
from app.tasks.heartbeat import Heartbeat
from app.tasks.models import Step
from app.tasks.recovery import MAX_RESTARTS, left_open
from app.tasks.secrets import Secrets
from app.tasks.store import Store, TaskFilter
from app.tasks.stored import TaskRecord

WITHIN_S = 600.0
JUST_NOW, HOURS_AGO = timedelta(0), timedelta(hours=3)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    database = Database(tmp_path)
    yield Store(database)
    await database.close()


def before(age: timedelta) -> datetime:
    return datetime.now(UTC) - age


async def recovered(
    store: Store,
    alive: timedelta | None = JUST_NOW,
    age: timedelta = JUST_NOW,
    steps: tuple[Step, ...] = (),
    **fields: Any,
) -> TaskRecord:
    """A task of that age, as it is found by a service that was `alive` so long ago."""
    known = {
        "id": "07", "goal": "Open Notes", "device": "a", "status": "queued", "max_steps": 5,
        "timeout_s": 60.0, "lang": "en", "created_at": before(age),
    }  # fmt: skip
    task = TaskRecord.model_validate(known | fields)
    await store.save_task(task)
    for step in steps:
        await store.save_step(task.id, step)
    alive_at = None if alive is None else before(alive)
    left = await left_open(store, Secrets({}), WITHIN_S, alive_at)
    (found,) = [*left.open, *left.interrupted]
    return found


async def test_who_waited_for_hours_in_a_long_queue_goes_on_waiting(store: Store) -> None:
    task = await recovered(store, age=HOURS_AGO)
    assert (task.status, task.restarts) == ("queued", 0)


@pytest.mark.parametrize("alive", [None, HOURS_AGO])
async def test_after_hours_away_no_phone_begins_to_move(
    store: Store, alive: timedelta | None
) -> None:
    task = await recovered(store, alive, age=HOURS_AGO, status="running")
    assert task.status == "interrupted"
    assert "too long ago" in task.message
    assert task.ended_at is not None


@pytest.mark.parametrize("restarts", range(MAX_RESTARTS + 1))
async def test_a_task_that_may_be_what_ends_the_service_is_not_tried_for_ever(
    store: Store, restarts: int
) -> None:
    task = await recovered(store, status="running", restarts=restarts)
    assert task.status == ("queued" if restarts < MAX_RESTARTS else "interrupted")


async def test_an_act_that_may_have_been_done_is_told(store: Store) -> None:
    seen: dict[str, Any] = {"app": "Notes", "width": 1, "height": 1, "started_at": before(JUST_NOW)}
    done = Step(number=1, action={"kind": "tap"}, timings_ms={"act": 9.0}, **seen)
    begun = Step(number=2, action={"kind": "tap"}, **seen)
    task = await recovered(store, steps=(done, begun), status="running")
    assert (task.status, task.steps, task.restarts) == ("queued", 2, 1)
    remarks = [step.remark for step in await store.list_steps(task.id)]
    assert remarks[0] == ""
    assert "not known" in remarks[1]


async def test_a_task_whose_secrets_are_gone_says_so(store: Store) -> None:
    task = await recovered(store, goal="Sign in with {{secret:bank}}")
    assert task.status == "interrupted"
    assert "bank" in task.message


async def test_a_service_tells_when_it_was_last_alive(tmp_path: Path) -> None:
    assert Heartbeat(tmp_path).last() is None
    heartbeat = Heartbeat(tmp_path)
    heartbeat.start()
    await heartbeat.close()
    last = Heartbeat(tmp_path).last()
    assert last is not None
    assert abs((datetime.now(UTC) - last).total_seconds()) < 60


@pytest.mark.parametrize(
    ("task", "step"),
    [
        ({"created_at": "2026-11-29T00:00:00"}, {}),
        ({"id": "../another"}, {}),
        ({}, {"started_at": "2026-11-29T00:00:00"}),
    ],
)
async def test_an_odd_row_of_an_open_task_does_not_keep_the_service_from_starting(
    store: Store, tmp_path: Path, task: dict[str, Any], step: dict[str, Any]
) -> None:
    now = datetime.now(UTC)
    await recovered(
        store,
        steps=(Step(number=1, app="Notes", width=1, height=1, started_at=now),),
        status="running",
    )
    with sqlite3.connect(tmp_path / FILE) as database:
        for table, wish in (("tasks", task), ("steps", step)):
            ((body,),) = database.execute(f"SELECT body FROM {table}")
            odd = json.dumps(json.loads(body) | wish)
            database.execute(f"UPDATE {table} SET body = ?", [odd])
    (listed,) = await store.list_tasks(TaskFilter(), 10)
    assert listed.id == "07"
    left = await left_open(store, Secrets({}), WITHIN_S, now)
    assert [each.id for each in left.open] == ([] if "created_at" in task else ["07"])


async def test_the_number_of_a_question_that_version_1_left_open_is_not_used_again(
    store: Store,
) -> None:
    question = {
        "number": 3, "kind": "confirmation", "text": "Pay?", "asked_at": before(JUST_NOW),
        "timeout_s": 300,
    }  # fmt: skip
    found = await recovered(store, status="needs_confirmation", question=question)
    assert (found.question, found.asked) == (None, 3)
