"""The SQLite file: its tables, their migrations, and the one thread that uses it.

SQLAlchemy's synchronous engine runs on a thread of its own: SQLite has only one writer anyway, and
the event loop never waits for the disk.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
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
    event,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from app.errors import ConfigError, DiskFull, StoreDamaged
from app.private import private_folder, touch_private

T = TypeVar("T")

FILE = "phonepilot.db"

metadata = MetaData()
tasks = Table(
    "tasks",
    metadata,
    Column("id", String, primary_key=True),
    Column("created_at", String, nullable=False, index=True),
    Column("status", String, nullable=False, index=True),
    Column("body", JSON, nullable=False),
)
keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("task_id", String, nullable=False),
)
steps = Table(
    "steps",
    metadata,
    Column("task_id", String, ForeignKey("tasks.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("body", JSON, nullable=False),
)
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String, primary_key=True),
    Column("due_at", String, nullable=False, index=True),
    Column("body", JSON, nullable=False),
)
schedules = Table(
    "schedules",
    metadata,
    Column("id", String, primary_key=True),
    Column("created_at", String, nullable=False),
    Column("body", JSON, nullable=False),
)


class Database:
    """The database file in `folder`, migrated to this version's tables.

    Raises ConfigError if the folder is not writable, if the file is not a phonepilot database, or
    if a newer version wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            private_folder(folder)
            # SQLite creates its additional files with the permissions of this one.
            touch_private(folder / FILE)
            self._engine = create_engine(f"sqlite:///{folder / FILE}")
            event.listen(self._engine, "connect", _prepare)
            event.listen(self._engine, "begin", _begin)
            with self._engine.begin() as connection:
                command.upgrade(_migrations(connection), "head")
        except (OSError, SQLAlchemyError, CommandError) as exc:
            self._thread.shutdown()
            damaged = _translated(exc) if isinstance(exc, DatabaseError) else None
            if isinstance(damaged, StoreDamaged):
                raise damaged from exc
            raise ConfigError(
                f"service.data_dir: {folder} cannot hold the task store: {exc}",
                f"Choose a folder that can be written. If a newer version wrote its {FILE}, move "
                "that away.",
            ) from exc

    async def call(self, work: Callable[[Connection], T]) -> T:
        """Return the result of `work`, run in a transaction. Raises DiskFull and StoreDamaged."""

        def transaction() -> T:
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except DatabaseError as exc:
                raise _translated(exc) or exc from exc

        return await self.run(transaction)

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of other disk work, in order with the transactions."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        self._engine.dispose()


def _translated(error: DatabaseError) -> DiskFull | StoreDamaged | None:
    """Translate SQLite's error for the operator; None if the operator cannot fix it."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the primary code, sqlite.org/rescode
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY):
        return DiskFull(f"the database cannot be written: {error.orig}")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreDamaged(f"the database {FILE} is damaged: {error.orig}")
    return None


def upsert(table: Table, row: dict[str, Any], *keys: str) -> Any:
    """The statement that inserts a row, or replaces the one with the same keys."""
    statement = insert(table).values(row)
    changed = {name: statement.excluded[name] for name in row if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


def _migrations(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "app.tasks:migrations")
    config.attributes["connection"] = connection
    return config


def _prepare(connection: Any, _record: object) -> None:
    # Python's own transactions exclude the statements that create tables; a migration must be
    # atomic.
    connection.isolation_level = None
    # WAL: readers never wait for the writer, and a killed process loses no committed step. With
    # synchronous=NORMAL commits are not flushed to the disk: a power cut can lose the last ones, a
    # kill cannot.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
