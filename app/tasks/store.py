"""Tasks and steps in the database, screenshots as files beside it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, delete, select, tuple_
from sqlalchemy.dialects.sqlite import insert

from app.errors import TaskNotFound
from app.tasks.database import Database, keys, steps, tasks, upsert
from app.tasks.models import OPEN, Step, Task

SCREENSHOTS = "screenshots"


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks to list: those of some states, of one phone, older than (created_at, id)."""

    status: tuple[str, ...] = ()
    device: str | None = None
    before: tuple[str, str] | None = None


class Store:
    """One database, and one folder of screenshots beside it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._call = database.call

    async def save_task(self, task: Task) -> None:
        row = {
            "id": task.id,
            "created_at": task.created_at.isoformat(),
            "status": task.status,
            "body": task.model_dump(mode="json"),
        }
        await self._call(lambda connection: connection.execute(upsert(tasks, row, "id")))

    async def save_step(self, task_id: str, step: Step) -> None:
        row = {"task_id": task_id, "number": step.number, "body": step.model_dump(mode="json")}
        statement = upsert(steps, row, "task_id", "number")
        await self._call(lambda connection: connection.execute(statement))

    async def get_task(self, task_id: str) -> Task:
        """Raises TaskNotFound."""
        query = select(tasks.c.body).where(tasks.c.id == task_id)
        body = await self._call(lambda connection: connection.execute(query).scalar())
        if body is None:
            raise TaskNotFound(f"there is no task {task_id[:80]!r}")
        return Task.model_validate(body)

    async def list_tasks(self, wanted: TaskFilter, limit: int) -> list[Task]:
        """The newest first."""
        query = select(tasks.c.body).order_by(tasks.c.created_at.desc(), tasks.c.id.desc())
        if wanted.status:
            query = query.where(tasks.c.status.in_(wanted.status))
        if wanted.device is not None:
            query = query.where(tasks.c.body["device"].as_string() == wanted.device)
        if wanted.before is not None:
            here = tuple_(tasks.c.created_at, tasks.c.id)
            query = query.where(here < tuple_(*wanted.before))
        query = query.limit(limit)
        rows = await self._call(lambda connection: connection.execute(query).scalars().all())
        return [Task.model_validate(body) for body in rows]

    async def claim_key(self, key: str, digest: str, task_id: str) -> tuple[str, str]:
        """(task, digest of its request) that a key stands for; it is `task_id` for a new key.

        Whoever comes first has the key, however many come at once; not one whose task was never
        written down, because the service was killed in between.
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
        """Forget a key whose task could not be made."""
        statement = delete(keys).where(keys.c.key == key)
        await self._call(lambda connection: connection.execute(statement))

    async def list_steps(self, task_id: str) -> list[Step]:
        """The steps in order; raises TaskNotFound."""
        await self.get_task(task_id)
        query = select(steps.c.body).where(steps.c.task_id == task_id).order_by(steps.c.number)
        rows = await self._call(lambda connection: connection.execute(query).scalars().all())
        return [Step.model_validate(body) for body in rows]

    async def unfinished(self) -> list[Task]:
        """Tasks that an earlier run of the service left open, oldest first."""
        query = select(tasks.c.body).where(tasks.c.status.in_(OPEN)).order_by(tasks.c.created_at)
        rows = await self._call(lambda connection: connection.execute(query).scalars().all())
        return [Task.model_validate(body) for body in rows]

    async def save_screenshot(self, task_id: str, number: int, jpeg: bytes) -> None:
        path = self.screenshot_path(task_id, number)

        def write() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)

        await self._database.run(write)

    def screenshot_path(self, task_id: str, number: int) -> Path:
        """Where a screenshot lies, if it was kept; `task_id` must come from the store."""
        return self._screenshots(task_id) / f"{number}.jpg"

    async def forget(self, before: datetime) -> int:
        """Remove ended tasks that began before a time, with all that is kept of them."""
        old = select(tasks.c.id).where(
            tasks.c.created_at < before.isoformat(), tasks.c.status.not_in(OPEN)
        )
        ids = await self._call(lambda connection: connection.execute(old).scalars().all())
        for task_id in ids:
            await self._forget(task_id)
        return len(ids)

    async def _forget(self, task_id: str) -> None:
        def work(connection: Connection) -> None:
            connection.execute(delete(steps).where(steps.c.task_id == task_id))
            connection.execute(delete(keys).where(keys.c.task_id == task_id))
            connection.execute(delete(tasks).where(tasks.c.id == task_id))

        await self._call(work)
        await self._database.run(lambda: shutil.rmtree(self._screenshots(task_id), True))

    async def shrink_screenshots(self, limit: int) -> int:
        """Remove the screenshots of the oldest ended tasks until all take `limit` bytes at most;
        of how many tasks that were."""
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
