"""Schedules: their times are those of cron, missed runs go by the rule, nothing runs twice."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import DeviceNotFound, InputError, ScheduleNotFound, TaskNotFound
from app.tasks import schedules as schedules_module
from app.tasks.cron import trigger
from app.tasks.database import FILE, Database
from app.tasks.models import Task
from app.tasks.new_task import NewTask
from app.tasks.schedule import Change, NewSchedule, Schedule, ScheduleRecord
from app.tasks.schedules import Schedules

NOW = datetime.now(UTC)


class Tasks:
    """A runner that keeps what it is given; a key that came before gives the same task."""

    def __init__(self) -> None:
        self.given: dict[str, Task] = {}
        self.by_key: dict[str | None, Task] = {}
        self.news = asyncio.Event()

    async def submit(self, new: NewTask, key: str | None = None, owner: str = "") -> Task:
        if new.device == "gone":
            raise DeviceNotFound("device gone is not connected")
        if key not in self.by_key:
            self.by_key[key] = Task(
                id=f"{len(self.given)}", goal=new.goal, device=new.device or "a", status="queued",
                max_steps=5, timeout_s=60, lang="en", created_at=NOW,
            )  # fmt: skip
            self.given[self.by_key[key].id] = self.by_key[key]
        self.news.set()
        return self.by_key[key]

    async def find(self, task_id: str) -> Task:
        if task_id not in self.given:
            raise TaskNotFound(task_id)
        return self.given[task_id]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path)
    yield database
    await database.close()


@pytest.fixture
async def scene(database: Database) -> AsyncIterator[tuple[Schedules, Tasks]]:
    tasks = Tasks()
    schedules = Schedules(database, tasks)
    await schedules.start()
    yield schedules, tasks
    schedules.close()


def new(**fields: Any) -> NewSchedule:
    known = {"name": "x", "cron": "0 3 1 1 *", "timezone": "UTC", "task": {"goal": "Open Notes"}}
    return NewSchedule.model_validate(known | fields)


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        ("0 9 * * 0", "UTC", "2026-11-27T12:00", "2026-11-29T09:00"),  # 0 and 7 are Sunday
        ("0 9 * * 7", "UTC", "2026-11-27T12:00", "2026-11-29T09:00"),
        ("0 9 * * 1-5", "UTC", "2026-11-27T12:00", "2026-11-30T09:00"),  # from Friday to Monday
        ("0 9 * * 5-7", "UTC", "2026-11-29T12:00", "2026-12-04T09:00"),
        ("0 9 * * 0/3", "UTC", "2026-11-29T12:00", "2026-12-02T09:00"),
        ("0 9 * * mon", "UTC", "2026-11-27T12:00", "2026-11-30T09:00"),
        ("*/15 * * * *", "UTC", "2026-11-27T12:01", "2026-11-27T12:15"),
        ("30 22 * * *", "Europe/Berlin", "2026-07-01T12:00", "2026-07-01T20:30"),
        ("30 22 * * *", "Europe/Berlin", "2026-12-01T12:00", "2026-12-01T21:30"),
        ("0 12 29 2 *", "UTC", "2026-11-27T12:00", "2028-02-29T12:00"),
        # Clocks go forward: what is in the hour that is left out comes after it, and once.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:30"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:31", "2026-03-30T00:30"),
        # Clocks go back: what is in the hour that comes twice comes once, but for "every hour".
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T00:30"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:31", "2026-10-26T01:30"),
        ("30 * * * *", "Europe/Berlin", "2026-10-25T00:31", "2026-10-25T01:30"),
    ],
)
def test_the_times_are_those_of_cron(line: str, zone: str, after: str, expected: str) -> None:
    begin = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = trigger(line, zone).get_next_fire_time(None, begin)
    assert found.astimezone(UTC) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "zone"),
    [
        ("", "UTC"), ("* * * *", "UTC"), ("* * * * * *", "UTC"), ("61 * * * *", "UTC"),
        ("0 0 30 2 *", "UTC"), ("0 0 * * 8", "UTC"), ("0 0 * * 5-1", "UTC"), ("@reboot", "UTC"),
        ("* * * * *", "Mars/Olympus"), ("* * * * *", ""), ("* * * * *", "../../etc/passwd"),
        ("* * * * *", "/etc/localtime"),
    ],
)  # fmt: skip
def test_what_never_comes_is_refused(line: str, zone: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        new(cron=line, timezone=zone)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_a_time_or_an_error(line: str, zone: str) -> None:
    try:
        trigger(line, zone)
    except ValueError as exc:
        assert str(exc)


async def test_a_run_gives_each_phone_its_task(scene: tuple[Schedules, Tasks]) -> None:
    schedules, tasks = scene
    added = await schedules.add(new(devices=["a", "gone", "b"]))
    run = await schedules.run_now(added.id)
    assert [tasks.given[i].device for i in run.last_tasks.values()] == ["a", "b"]
    assert run.last_error is not None
    assert run.last_error.code == "device_not_found"
    assert (await schedules.get(added.id)).last_tasks == run.last_tasks


async def test_a_phone_that_is_still_busy_is_left_out(scene: tuple[Schedules, Tasks]) -> None:
    schedules, tasks = scene
    added = await schedules.add(new())
    first = (await schedules.run_now(added.id)).last_tasks[""]
    again = await schedules.run_now(added.id)
    assert again.last_error is not None
    assert (again.last_error.code, again.last_tasks[""]) == ("schedule_overlaps", first)
    tasks.given[first].status = "failed"
    later = await schedules.run_now(added.id)
    assert later.last_error is None
    assert later.last_tasks[""] != first


async def test_it_runs_when_its_time_comes(scene: tuple[Schedules, Tasks]) -> None:
    schedules, tasks = scene
    added = await schedules.add(new(cron="* * * * *"))
    assert added.next_run_at is not None
    await schedules._save(added.model_copy(update={"armed_at": NOW - timedelta(minutes=1)}))
    # The clock is not waited for: the job is told that its time is now.
    schedules._clock.modify_job(added.id, next_run_time=datetime.now(UTC))
    async with asyncio.timeout(10):
        await tasks.news.wait()


async def restarted(database: Database, away: ScheduleRecord) -> int:
    """How many tasks are given by a service that starts when a schedule was last seen to then."""
    tasks = Tasks()
    schedules = Schedules(database, tasks)
    await schedules._save(away)
    await schedules.start()
    async with asyncio.timeout(10):
        for _ in itertools.count():
            if (await schedules.get(away.id)).armed_at != away.armed_at:
                break
            await asyncio.sleep(0.01)
    schedules.close()
    return len(tasks.given)


@pytest.mark.parametrize(("missed", "runs"), [("skip", 0), ("run_once", 1)])
async def test_runs_that_were_missed_go_by_the_rule(
    database: Database, missed: str, runs: int
) -> None:
    added = await Schedules(database, Tasks()).add(new(cron="0 * * * *", missed=missed))
    away = added.model_copy(update={"armed_at": NOW - timedelta(hours=30)})
    assert await restarted(database, away) == runs
    tasks = Tasks()  # only the first start makes up for it
    after = Schedules(database, tasks)
    await after.start()
    assert len(after._clock.get_jobs()) == 1
    after.close()


@pytest.mark.parametrize("missed", ["skip", "run_once"])
async def test_a_run_in_the_seconds_of_a_restart_is_late_and_not_lost(
    database: Database, missed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules_module, "LATE_S", 3600)
    added = await Schedules(database, Tasks()).add(new(cron="* * * * *", missed=missed))
    assert added.next_run_at is not None
    before = added.next_run_at - timedelta(seconds=60.5)  # a little before the run of this minute
    assert await restarted(database, added.model_copy(update={"armed_at": before})) == 1


async def test_what_is_changed_or_removed_during_a_run_stays_so(
    scene: tuple[Schedules, Tasks], monkeypatch: pytest.MonkeyPatch
) -> None:
    schedules, tasks = scene
    submit, go_on = tasks.submit, asyncio.Event()

    async def slow(new: NewTask, key: str | None = None, owner: str = "") -> Task:
        task = await submit(new, key)
        await go_on.wait()
        return task

    monkeypatch.setattr(tasks, "submit", slow)
    kept, gone = await schedules.add(new(name="kept")), await schedules.add(new(name="gone"))
    runs = [asyncio.create_task(schedules.run_now(added.id)) for added in (kept, gone)]
    await tasks.news.wait()
    await schedules.change(kept.id, Change(enabled=False))
    await schedules.remove(gone.id)
    go_on.set()
    results = await asyncio.gather(*runs, return_exceptions=True)
    assert isinstance(results[1], ScheduleNotFound)
    left = await schedules.list()
    assert [(each.name, each.enabled) for each in left] == [("kept", False)]
    assert left[0].last_tasks


async def test_two_runs_at_once_give_a_phone_one_task(scene: tuple[Schedules, Tasks]) -> None:
    schedules, tasks = scene
    added = await schedules.add(new())
    await asyncio.gather(*(schedules.run_now(added.id) for _ in range(3)))
    assert len(tasks.given) == 1


async def test_one_that_is_off_or_removed_does_not_run(scene: tuple[Schedules, Tasks]) -> None:
    schedules, _ = scene
    added = await schedules.add(new())
    off = await schedules.change(added.id, Change(enabled=False))
    assert (off.next_run_at, schedules._clock.get_job(added.id)) == (None, None)
    on = await schedules.change(added.id, Change(enabled=True, cron="0 4 * * *"))
    assert on.next_run_at is not None
    assert on.next_run_at.hour == 4
    await schedules.remove(added.id)
    assert schedules._clock.get_job(added.id) is None
    with pytest.raises(ScheduleNotFound):
        await schedules.get(added.id)


async def test_a_bad_change_changes_nothing(scene: tuple[Schedules, Tasks]) -> None:
    schedules, _ = scene
    added = await schedules.add(new())
    for change in (Change(cron="never"), Change(timezone="Mars"), Change(name="")):
        with pytest.raises(InputError):
            await schedules.change(added.id, change)
    kept: Schedule = await schedules.get(added.id)
    assert kept == added


@pytest.mark.parametrize("task", [{"goal": "x", "device": "a"}, {"goal": "x", "follows": "1"}])
def test_a_schedule_names_its_phones_itself(task: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="devices"):
        new(task=task)


async def test_an_odd_row_is_one_schedule_that_is_off(
    scene: tuple[Schedules, Tasks], tmp_path: Path
) -> None:
    schedules, _ = scene
    odd, damaged, well = [(await schedules.add(new())).id for _ in range(3)]
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute(
            "UPDATE schedules SET body = json_set(body, '$.id', 'x') WHERE id = ?", [odd]
        )
        database.execute(
            "UPDATE schedules SET body = '{', created_at = '?' WHERE id = ?", [damaged]
        )
    found = {each.id: each.enabled for each in await schedules.list()}
    assert found == {odd: True, damaged: False, well: True}


async def test_a_schedule_that_was_armed_in_a_wrong_future_does_not_keep_others_from_starting(
    database: Database,
) -> None:
    first = Schedules(database, Tasks())
    odd, fine = await first.add(new(name="odd")), await first.add(new(name="fine"))
    await first._update(odd.id, {"armed_at": datetime.max.replace(tzinfo=UTC)})
    again = Schedules(database, Tasks())
    await again.start()
    assert [each.next_run_at is not None for each in await again.list()] == [True, True]
    assert again._clock.get_job(fine.id) is not None
    again.close()
