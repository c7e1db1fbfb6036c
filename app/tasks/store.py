"""Stores tasks and steps in the database, and screenshots as files next to it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Text,
    case,
    delete,
    func,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from app.errors import TaskNotFound
from app.private import private_folder, write_private
from app.tasks.database import Database, keys, steps, tasks, upsert
from app.tasks.models import OPEN, Step
from app.tasks.stored import TaskRecord, body_of, step_from, task_from, task_row

SCREENSHOTS = "screenshots"
_TASK = (
    tasks.c.id,
    tasks.c.created_at,
    tasks.c.status,
    # As text, so that damaged JSON affects only its own row.
    type_coerce(tasks.c.body, Text).label("body"),
)


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks to list: those in some states, on one phone, older than (created_at, id)."""

    status: tuple[str, ...] = ()
    device: str | None = None
    before: tuple[str, str] | None = None


class Store:
    """One database, and one folder of screenshots next to it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._call = database.call

    async def save_task(self, *records: TaskRecord) -> None:
        """Store the state of some tasks, all or none of them."""
        statements = [upsert(tasks, task_row(record), "id") for record in records]

        def work(connection: Connection) -> None:
            for statement in statements:
                connection.execute(statement)

        await self._call(work)

    async def save_step(self, task_id: str, step: Step) -> None:
        row = {"task_id": task_id, "number": step.number, "body": step.model_dump(mode="json")}
        statement = upsert(steps, row, "task_id", "number")
        await self._call(lambda connection: connection.execute(statement))

    async def get_task(self, task_id: str) -> TaskRecord:
        """Return a task. Raises TaskNotFound."""
        found = await self._tasks(select(*_TASK).where(tasks.c.id == task_id))
        if not found:
            raise TaskNotFound(f"no such task: {task_id[:80]!r}")
        return found[0]

    async def _tasks(self, query: Select[Any]) -> list[TaskRecord]:
        def work(connection: Connection) -> list[TaskRecord]:
            rows = connection.execute(query).mappings().all()
            return [task_from({**row, "body": body_of(row["body"])}) for row in rows]

        return await self._call(work)

    async def list_tasks(self, wanted: TaskFilter, limit: int) -> list[TaskRecord]:
        """List tasks, newest first."""
        query = select(*_TASK).order_by(tasks.c.created_at.desc(), tasks.c.id.desc())
        if wanted.status:
            query = query.where(tasks.c.status.in_(wanted.status))
        if wanted.device is not None:
            # Damaged JSON would make the whole query fail.
            readable = func.json_valid(type_coerce(tasks.c.body, Text)) == 1
            device = case((readable, tasks.c.body["device"].as_string()))
            query = query.where(device == wanted.device)
        if wanted.before is not None:
            here = tuple_(tasks.c.created_at, tasks.c.id)
            query = query.where(here < tuple_(*wanted.before))
        return await self._tasks(query.limit(limit))

    async def claim_key(self, key: str, digest: str, task_id: str) -> tuple[str, str]:
        """Return (task, digest of its request) of a key; the task is `task_id` if the key is new.

        The first caller gets the key, also among concurrent callers. A key whose task was never
        stored, because the service was killed in between, is free.
        """

        def claim(connection: Connection) -> tuple[str, str]:
            row = {"key": key, "digest": digest, "task_id": task_id}
            lost = keys.c.task_id.not_in(select(tasks.c.id))
            connection.execute(delete(keys).where(keys.c.key == key, lost))
            connection.execute(insert(keys).values(row).on_conflict_do_nothing())
            query = select(keys.c.task_id, keys.c.digest).where(keys.c.key == key)
            found = connection.execute(query).one()
            return str(found[0]), str(found[1])

        return await self._call(claim)

    async def free_key(self, key: str) -> None:
        """Delete a key whose task could not be created."""
        statement = delete(keys).where(keys.c.key == key)
        await self._call(lambda connection: connection.execute(statement))

    async def list_steps(self, task_id: str) -> list[Step]:
        """List the steps in order; raises TaskNotFound."""
        await self.get_task(task_id)
        query = (
            select(steps.c.number, type_coerce(steps.c.body, Text))
            .where(steps.c.task_id == task_id)
            .order_by(steps.c.number)
        )

        def work(connection: Connection) -> list[Step]:
            return [step_from(row[0], body_of(row[1])) for row in connection.execute(query)]

        return await self._call(work)

    async def unfinished(self) -> list[TaskRecord]:
        """List the tasks that an earlier run of the service left open, oldest first."""
        query = select(*_TASK).where(tasks.c.status.in_(OPEN))
        return await self._tasks(query.order_by(tasks.c.created_at, tasks.c.id))

    async def mark_damaged(self, task_id: str) -> None:
        """Mark a damaged task as ended; its record stays unchanged."""
        ended = update(tasks).where(tasks.c.id == task_id).values(status="failed")
        await self._call(lambda connection: connection.execute(ended))

    async def save_screenshot(self, task_id: str, number: int, jpeg: bytes) -> None:
        path = self.screenshot_path(task_id, number)

        def write() -> None:
            private_folder(path.parent)
            write_private(path, jpeg)

        await self._database.run(write)

    def screenshot_path(self, task_id: str, number: int) -> Path:
        """Return the path of a screenshot, stored or not; `task_id` must come from the store."""
        return self._screenshots(task_id) / f"{number}.jpg"

    async def forget(self, before: datetime) -> int:
        """Delete ended tasks created before a time, with all their data."""
        old = select(tasks.c.id).where(
            tasks.c.created_at < before.isoformat(), tasks.c.status.not_in(OPEN)
        )
        ids = await self._call(lambda connection: connection.execute(old).scalars().all())
        for task_id in ids:
            await self.delete(task_id)
        return len(ids)

    async def delete(self, task_id: str) -> None:
        """Delete a task with all its data; a missing task is not an error."""

        def work(connection: Connection) -> None:
            connection.execute(delete(steps).where(steps.c.task_id == task_id))
            connection.execute(delete(keys).where(keys.c.task_id == task_id))
            connection.execute(delete(tasks).where(tasks.c.id == task_id))

        await self._call(work)
        # The row first: a folder left behind is harmless, because its id is never used again; but a
        # listed task must not lack its pictures.
        await self._database.run(lambda: shutil.rmtree(self._screenshots(task_id), True))

    async def shrink_screenshots(self, limit: int) -> int:
        """Delete the screenshots of the oldest ended tasks until all take at most `limit` bytes;
        return the number of these tasks."""
        ended = select(tasks.c.id).where(tasks.c.status.not_in(OPEN)).order_by(tasks.c.created_at)
        ids = await self._call(lambda connection: connection.execute(ended).scalars().all())

        def shrink() -> int:
            sizes = {
                folder.name: sum(file.stat().st_size for file in folder.iterdir())
                for folder in (self._database.folder / SCREENSHOTS).glob("*/")
            }
            total, removed = sum(sizes.values()), 0
            for task_id in ids:
                if total <= limit:
                    break
                if size := sizes.get(task_id, 0):
                    shutil.rmtree(self._screenshots(task_id), ignore_errors=True)
                    total, removed = total - size, removed + 1
            return removed

        return await self._database.run(shrink)

    def _screenshots(self, task_id: str) -> Path:
        return self._database.folder / SCREENSHOTS / task_id
