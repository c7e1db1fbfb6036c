"""Events of a task: nobody misses one without being told, however late or slow they read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from app.agent.dialects.autoglm import AUTOGLM
from app.events import KEPT_EVENTS, Event, Topic
from app.tasks.database import Database
from app.tasks.models import Step
from app.tasks.reading import Reading
from app.tasks.run import EACH_RUN
from app.tasks.store import Store
from app.tasks.stored import TaskRecord

NOW = datetime.now(UTC)


async def told(topic: Topic, after: int = 0) -> list[Event]:
    async with asyncio.timeout(10):
        return [event async for event in topic.read(after)]


def published(count: int, begin: int = 0) -> Topic:
    topic = Topic(begin)
    for _ in range(count):
        topic.publish("thought", {})
    return topic


async def test_a_late_reader_gets_all_that_is_kept() -> None:
    topic = published(KEPT_EVENTS - 1)
    topic.publish("end", {})
    topic.close()
    events = await told(topic)
    assert [event.seq for event in events] == list(range(1, KEPT_EVENTS + 1))
    assert events[-1].kind == "end"


async def test_a_slow_reader_is_told_how_many_it_lost() -> None:
    topic = published(2)
    reader = topic.read()
    assert [(await anext(reader)).seq for _ in range(2)] == [1, 2]
    for _ in range(KEPT_EVENTS + 3):
        topic.publish("thought", {})
    lost = await anext(reader)
    assert (lost.kind, lost.data) == ("lost", {"count": 3})
    assert (await anext(reader)).seq == lost.seq + 1 == 6


async def test_new_events_wake_every_reader_and_the_end_ends_them() -> None:
    topic = published(1)
    readers = [asyncio.create_task(told(topic, after)) for after in (0, 1)]
    await asyncio.sleep(0)
    topic.publish("end", {})
    topic.close()
    assert [[event.seq for event in await reader] for reader in readers] == [[1, 2], [2]]


async def test_who_resumes_after_a_restart_gets_all_of_the_new_run() -> None:
    topic = published(3, EACH_RUN)
    topic.close()
    new = [EACH_RUN + 1, EACH_RUN + 2, EACH_RUN + 3]
    for after, expected in ((0, new), (500, new), (EACH_RUN + 2, new[2:]), (10**15, new)):
        assert [event.seq for event in await told(topic, after)] == expected


async def test_who_resumes_when_all_is_in_the_store_gets_the_end(tmp_path: Path) -> None:
    database = Database(tmp_path)
    store = Store(database)
    task = TaskRecord(
        id="07", goal="Open Notes", device="a", status="succeeded", max_steps=5, timeout_s=60,
        lang="en", created_at=NOW, steps=2,
    )  # fmt: skip
    await store.save_task(task)
    for number in (1, 2):
        await store.save_step("07", Step(number=number, app="", width=1, height=1, started_at=NOW))
    reading = Reading(store, {}, lambda: AUTOGLM)
    events = [event async for event in reading.events("07", after=300)]
    assert [event.kind for event in events] == ["step", "step", "end"]
    again = [event async for event in reading.events("07", after=events[0].seq)]
    assert again == events[1:]
    await database.close()
