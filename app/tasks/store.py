"""Tasks and steps in SQLite, screenshots as files beside it.

SQLAlchemy's synchronous engine on one thread of its own: SQLite has one writer anyway, and the
event loop never waits for the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    select,
    tuple_,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from app.errors import ConfigError, TaskNotFound
from app.tasks.models import OPEN, Step, Task

T = TypeVar("T")

_metadata = MetaData()
_tasks = Table(
    "tasks",
    _metadata,
    Column("id", String, primary_key=True),
    Column("created_at", String, nullable=False, index=True),
    Column("status", String, nullable=False, index=True),
    Column("body", JSON, nullable=False),
)
_keys = Table(
    "idempotency_keys",
    _metadata,
    Column("key", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("task_id", String, nullable=False),
)
_steps = Table(
    "steps",
    _metadata,
    Column("task_id", String, ForeignKey("tasks.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("body", JSON, nullable=False),
)


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks to list: those of some states, of one phone, older than (created_at, id)."""

    status: tuple[str, ...] = ()
    device: str | None = None
    before: tuple[str, str] | None = None


class Store:
    """One SQLite file and one folder of screenshots below `folder`.

    Raises ConfigError when the folder cannot be written or the file is no database of ours.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._engine = create_engine(f"sqlite:///{folder / 'phonepilot.db'}")
            event.listen(self._engine, "connect", _prepare)
            _metadata.create_all(self._engine)
        except (OSError, SQLAlchemyError) as exc:
            self._thread.shutdown()
            raise ConfigError(
                f"service.data_dir: {folder} cannot hold the task store: {exc}",
                "Choose a folder that can be written, or move the broken phonepilot.db away.",
            ) from exc

    async def _call(self, work: Callable[[Connection], T]) -> T:
        def transaction() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)

    async def save_task(self, task: Task) -> None:
        row = {
            "id": task.id,
            "created_at": task.created_at.isoformat(),
            "status": task.status,
            "body": task.model_dump(mode="json"),
        }
        await self._call(lambda connection: connection.execute(_upsert(_tasks, row, "id")))

    async def save_step(self, task_id: str, step: Step) -> None:
        row = {"task_id": task_id, "number": step.number, "body": step.model_dump(mode="json")}
        statement = _upsert(_steps, row, "task_id", "number")
        await self._call(lambda connection: connection.execute(statement))

    async def get_task(self, task_id: str) -> Task:
        """Raises TaskNotFound."""
        query = select(_tasks.c.body).where(_tasks.c.id == task_id)
        body = await self._call(lambda connection: connection.execute(query).scalar())
        if body is None:
            raise TaskNotFound(f"there is no task {task_id[:80]!r}")
        return Task.model_validate(body)

    async def list_tasks(self, wanted: TaskFilter, limit: int) -> list[Task]:
        """The newest first."""
        query = select(_tasks.c.body).order_by(_tasks.c.created_at.desc(), _tasks.c.id.desc())
        if wanted.status:
            query = query.where(_tasks.c.status.in_(wanted.status))
        if wanted.device is not None:
            query = query.where(_tasks.c.body["device"].as_string() == wanted.device)
        if wanted.before is not None:
            here = tuple_(_tasks.c.created_at, _tasks.c.id)
            query = query.where(here < tuple_(*wanted.before))
        query = query.limit(limit)
        rows = await self._call(lambda connection: connection.execute(query).scalars().all())
        return [Task.model_validate(body) for body in rows]

    async def claim_key(self, key: str, digest: str, task_id: str) -> tuple[str, str]:
        """(task, digest of its request) that a key stands for; it is `task_id` for a new key.

        Whoever comes first has the key, however many come at once.
        """

        def claim(connection: Connection) -> tuple[str, str]:
            row = {"key": key, "digest": digest, "task_id": task_id}
            connection.execute(insert(_keys).values(row).on_conflict_do_nothing())
            query = select(_keys.c.task_id, _keys.c.digest).where(_keys.c.key == key)
            found = connection.execute(query).one()
            return str(found[0]), str(found[1])

        return await self._call(claim)

    async def free_key(self, key: str) -> None:
        """Forget a key whose task could not be made."""
        statement = delete(_keys).where(_keys.c.key == key)
        await self._call(lambda connection: connection.execute(statement))

    async def list_steps(self, task_id: str) -> list[Step]:
        """The steps in order; raises TaskNotFound."""
        await self.get_task(task_id)
        query = select(_steps.c.body).where(_steps.c.task_id == task_id).order_by(_steps.c.number)
        rows = await self._call(lambda connection: connection.execute(query).scalars().all())
        return [Step.model_validate(body) for body in rows]

    async def unfinished(self) -> list[Task]:
        """Tasks that an earlier run of the service left open."""
        query = select(_tasks.c.body).where(_tasks.c.status.in_(OPEN))
        rows = await self._call(lambda connection: connection.execute(query).scalars().all())
        return [Task.model_validate(body) for body in rows]

    async def save_screenshot(self, task_id: str, number: int, jpeg: bytes) -> None:
        path = self.screenshot_path(task_id, number)

        def write() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)

        await asyncio.get_running_loop().run_in_executor(self._thread, write)

    def screenshot_path(self, task_id: str, number: int) -> Path:
        """Where a screenshot lies, if it was kept; `task_id` must come from the store."""
        return self._folder / "screenshots" / task_id / f"{number}.jpg"

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        self._engine.dispose()


def _upsert(table: Table, row: dict[str, Any], *keys: str) -> Any:
    statement = insert(table).values(row)
    changed = {name: statement.excluded[name] for name in row if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


def _prepare(connection: Any, _record: object) -> None:
    # WAL: readers never wait for the writer, and a killed process loses no committed step.
    # Without a flush to the disk for each: only a power cut can take the last ones, never a kill.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
