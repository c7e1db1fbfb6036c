"""The database of every earlier version goes on; what is no longer wanted is forgotten."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import OperationalError

from app.errors import ConfigError, DiskFull, TaskNotFound
from app.tasks import retention as retention_module
from app.tasks.database import FILE, Database, metadata
from app.tasks.models import Step
from app.tasks.retention import Limits, Retention
from app.tasks.store import Store, TaskFilter
from app.tasks.stored import TaskRecord

NOW = datetime.now(UTC)
FIRST_VERSION = """
CREATE TABLE tasks (id VARCHAR NOT NULL, created_at VARCHAR NOT NULL, status VARCHAR NOT NULL,
    body JSON NOT NULL, PRIMARY KEY (id));
CREATE INDEX ix_tasks_created_at ON tasks (created_at);
CREATE INDEX ix_tasks_status ON tasks (status);
CREATE TABLE idempotency_keys (key VARCHAR NOT NULL, digest VARCHAR NOT NULL,
    task_id VARCHAR NOT NULL, PRIMARY KEY (key));
CREATE TABLE steps (task_id VARCHAR NOT NULL, number INTEGER NOT NULL, body JSON NOT NULL,
    PRIMARY KEY (task_id, number), FOREIGN KEY(task_id) REFERENCES tasks (id));
"""


def task(number: int, age_days: float = 0, **fields: Any) -> TaskRecord:
    known = {
        "id": f"{number:016x}",
        "goal": "Turn on Bluetooth",
        "device": "a",
        "status": "succeeded",
        "max_steps": 5,
        "timeout_s": 60.0,
        "lang": "en",
        "created_at": NOW - timedelta(days=age_days),
    }
    return TaskRecord.model_validate(known | fields)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path)
    yield database
    await database.close()


async def test_the_file_of_a_version_without_migrations_is_taken_over(tmp_path: Path) -> None:
    old = {
        "id": "00", "goal": "Open Notes", "device": "a", "status": "succeeded", "max_steps": 5,
        "timeout_s": 60.0, "lang": "en", "created_at": NOW.isoformat(),
    }  # fmt: skip
    with sqlite3.connect(tmp_path / FILE) as file:
        file.executescript(FIRST_VERSION)
        row = ("00", NOW.isoformat(), "succeeded", json.dumps(old))
        file.execute("INSERT INTO tasks VALUES (?, ?, ?, ?)", row)
    for _ in range(2):
        database = Database(tmp_path)
        found = await Store(database).list_tasks(TaskFilter(), 10)
        assert [(kept.goal, kept.priority) for kept in found] == [("Open Notes", 0)]
        await database.close()


async def test_migrations_and_tables_say_the_same(database: Database) -> None:
    def difference(connection: Any) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    assert await database.call(difference) == []


async def test_the_file_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    await Database(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(ConfigError, match="9999"):
        Database(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


async def test_old_tasks_are_forgotten_with_all_that_was_kept(
    database: Database, tmp_path: Path
) -> None:
    store = Store(database)
    for number, age in enumerate((40, 20, 40)):
        await store.save_task(task(number, age, status="queued" if number == 2 else "succeeded"))
        await store.save_step(
            f"{number:016x}", Step(number=1, app="Notes", width=1, height=1, started_at=NOW)
        )
        await store.save_screenshot(f"{number:016x}", 1, b"jpeg")
        await store.claim_key(f"key {number}", "digest", f"{number:016x}")
    await Retention(store, tmp_path, Limits(30, 0, 0)).tidy()
    with pytest.raises(TaskNotFound):
        await store.list_steps(f"{0:016x}")
    assert not store.screenshot_path(f"{0:016x}", 1).exists()
    assert await store.claim_key("key 0", "other", "new") == ("new", "other")
    for number in (1, 2):  # a younger one, and one that has not ended
        assert len(await store.list_steps(f"{number:016x}")) == 1
        assert store.screenshot_path(f"{number:016x}", 1).exists()


async def test_the_oldest_ended_tasks_lose_their_screenshots_first(
    database: Database, tmp_path: Path
) -> None:
    store = Store(database)
    for number, age in enumerate((1, 4, 3, 2, 5)):
        await store.save_task(task(number, age, status="running" if number == 4 else "failed"))
        await store.save_screenshot(f"{number:016x}", 1, bytes(2**19))
    await Retention(store, tmp_path, Limits(0, 1, 0)).tidy()
    kept = [n for n in range(5) if store.screenshot_path(f"{n:016x}", 1).exists()]
    assert kept == [0, 4]  # the youngest that has ended, and the one that runs


async def test_a_full_disk_takes_no_task(database: Database, tmp_path: Path) -> None:
    retention = Retention(Store(database), tmp_path, Limits(0, 0, 2**40))
    assert retention.is_tight
    with pytest.raises(DiskFull):
        retention.check()
    Retention(Store(database), tmp_path, Limits(0, 0, 0)).check()


async def test_tidying_goes_on_after_a_fault_of_the_database(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "EVERY_S", 0.0)
    store, again = Store(database), asyncio.Event()
    faults = [OperationalError("DELETE", {}, sqlite3.OperationalError("disk full"))]

    async def forget(before: datetime) -> int:
        if faults:
            raise faults.pop()
        again.set()
        return 0

    monkeypatch.setattr(store, "forget", forget)
    retention = Retention(store, tmp_path, Limits(1, 0, 0))
    retention.start()
    async with asyncio.timeout(10):
        await again.wait()
    await retention.close()


async def test_a_migration_that_was_broken_off_is_made_again(tmp_path: Path) -> None:
    await Database(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as file:  # what stands in the way of the second statement
        file.executescript(
            "DROP TABLE schedules; DROP TABLE deliveries; CREATE TABLE deliveries (id);"
            "UPDATE alembic_version SET version_num = '0001';"
        )
    with pytest.raises(ConfigError):
        Database(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as file:
        file.execute("DROP TABLE deliveries")
    await Database(tmp_path).close()


async def test_a_key_whose_task_was_never_written_down_is_free(database: Database) -> None:
    store = Store(database)
    await store.claim_key("key", "digest", "killed before it was saved")
    assert await store.claim_key("key", "digest", "new") == ("new", "digest")
    await store.save_task(task(1))
    await store.claim_key("other", "digest", task(1).id)
    assert await store.claim_key("other", "digest", "new") == (task(1).id, "digest")
