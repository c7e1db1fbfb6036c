"""Creates tasks repeatedly, at the times of a cron line.

APScheduler does the timing. The schedules are in the database; if the service was away at the time
of a run, it does what the schedule says about missed runs when it is back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from weakref import WeakValueDictionary

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from pydantic import ValidationError
from sqlalchemy import Connection, Select, Text, delete, select, type_coerce, update

from app.errors import (
    AppError,
    InputError,
    ScheduleNotFound,
    ScheduleOverlaps,
    TaskNotFound,
)
from app.tasks.cron import trigger
from app.tasks.database import Database, schedules, upsert
from app.tasks.models import OPEN, Task, TaskError
from app.tasks.new_task import NewTask
from app.tasks.schedule import (
    Change,
    NewSchedule,
    ScheduleRecord,
    given_fields,
    next_run,
    schedule_from,
    stored_body,
    with_next,
)

log = logging.getLogger(__name__)

_COLUMNS = (
    schedules.c.id,
    schedules.c.created_at,
    # As text, so that damaged JSON affects only its own row.
    type_coerce(schedules.c.body, Text).label("body"),
)

LATE_S = 60
"""Seconds after which a late run is missed: the computer slept, or the service was away."""
MAX_SCHEDULES = 1_000


class Tasks(Protocol):
    async def submit(self, new: NewTask, key: str | None = None, owner: str = "") -> Task: ...

    async def find(self, task_id: str) -> Task: ...


class Schedules:
    """Stores schedules and creates their tasks on time, from `start` to `close`."""

    def __init__(self, database: Database, tasks: Tasks) -> None:
        self._database = database
        self._tasks = tasks
        self._clock = AsyncIOScheduler(timezone=UTC)
        self._runs: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self) -> None:
        """Start the clock; runs that became due meanwhile start in the background."""
        self._clock.start()
        for schedule in await self.list():
            if not schedule.enabled:
                continue
            now = datetime.now(UTC)
            due = next_run(schedule, schedule.armed_at)
            if due is not None and due <= now:
                if schedule.missed == "skip" and now - due > timedelta(seconds=LATE_S):
                    log.info("schedule %s missed its run of %s", schedule.id, due)
                    await self._update(schedule.id, {"armed_at": now})
                else:
                    self._clock.add_job(self._due, args=[schedule.id], misfire_grace_time=None)
            self._arm(schedule)

    def close(self) -> None:
        if self._clock.running:
            self._clock.shutdown(wait=False)

    async def list(self) -> Sequence[ScheduleRecord]:
        """List the schedules, oldest first."""
        return await self._read(select(*_COLUMNS))

    async def get(self, schedule_id: str) -> ScheduleRecord:
        """Return a schedule. Raises ScheduleNotFound."""
        found = await self._read(select(*_COLUMNS).where(schedules.c.id == schedule_id))
        if not found:
            raise ScheduleNotFound(f"no such schedule: {schedule_id[:80]!r}")
        return found[0]

    async def _read(self, query: Select[Any]) -> Sequence[ScheduleRecord]:
        ordered = query.order_by(schedules.c.created_at, schedules.c.id)
        rows = await self._database.call(lambda c: c.execute(ordered).mappings().all())
        return [schedule_from({**row}) for row in rows]

    async def add(self, new: NewSchedule, owner: str = "") -> ScheduleRecord:
        """Add a schedule. Raises InputError if there are too many."""
        if len(await self.list()) >= MAX_SCHEDULES:
            raise InputError(f"there are {MAX_SCHEDULES} schedules already", "Remove some.")
        now = datetime.now(UTC)
        record = ScheduleRecord(
            **given_fields(new), id=secrets.token_hex(6), created_at=now, armed_at=now, owner=owner
        )
        await self._save(record)
        self._arm(record)
        return with_next(record)

    async def change(self, schedule_id: str, change: Change) -> ScheduleRecord:
        """Change a schedule. Raises ScheduleNotFound, and InputError if the result is invalid."""
        given = given_fields(change) | {"armed_at": datetime.now(UTC), "last_error": None}
        try:
            changed = await self._update(schedule_id, given, check=True)
        except ValidationError as exc:
            raise InputError(exc.errors()[0]["msg"].removeprefix("Value error, ")) from exc
        self._arm(changed)
        return with_next(changed)

    async def remove(self, schedule_id: str) -> None:
        """Remove a schedule; its running tasks continue. Raises ScheduleNotFound."""
        await self.get(schedule_id)
        gone = delete(schedules).where(schedules.c.id == schedule_id)
        await self._database.call(lambda c: c.execute(gone))
        if self._clock.get_job(schedule_id):
            self._clock.remove_job(schedule_id)

    async def run_now(self, schedule_id: str) -> ScheduleRecord:
        """Create its tasks now, in addition to its times. Raises ScheduleNotFound."""
        async with self._run_of(schedule_id):
            return await self._run(await self.get(schedule_id), datetime.now(UTC))

    async def _save(self, record: ScheduleRecord) -> None:
        row = {
            "id": record.id,
            "created_at": record.created_at.isoformat(),
            "body": stored_body(record),
        }
        await self._database.call(lambda c: c.execute(upsert(schedules, row, "id")))

    async def _update(
        self, schedule_id: str, fields: Mapping[str, Any], *, check: bool = False
    ) -> ScheduleRecord:
        """Change fields of the schedule's current state; `check` requires that it can run.

        Raises ScheduleNotFound and ValidationError.
        """
        here = schedules.c.id == schedule_id

        def work(connection: Connection) -> ScheduleRecord | None:
            row = connection.execute(select(*_COLUMNS).where(here)).mappings().first()
            if row is None:
                return None
            known = schedule_from({**row}).model_dump()
            changed = ScheduleRecord.model_validate({**known, **fields})
            if check:
                changed.wanted()
            connection.execute(update(schedules).where(here).values(body=stored_body(changed)))
            return changed

        changed = await self._database.call(work)
        if changed is None:
            raise ScheduleNotFound(f"no such schedule: {schedule_id[:80]!r}")
        return changed

    def _arm(self, schedule: ScheduleRecord) -> None:
        if self._clock.get_job(schedule.id):
            self._clock.remove_job(schedule.id)
        if schedule.enabled:
            self._clock.add_job(
                self._due,
                trigger(schedule.cron, schedule.timezone),
                [schedule.id],
                id=schedule.id,
                misfire_grace_time=LATE_S if schedule.missed == "skip" else None,
                coalesce=True,
            )

    async def _due(self, schedule_id: str) -> None:
        with suppress(ScheduleNotFound):  # removed while its job was pending
            async with self._run_of(schedule_id):
                schedule = await self.get(schedule_id)
                due = next_run(schedule, schedule.armed_at)
                now = datetime.now(UTC)
                if schedule.enabled and due is not None and due <= now:
                    await self._run(schedule, due, {"armed_at": now})

    def _run_of(self, schedule_id: str) -> asyncio.Lock:
        """Return the lock for one run at a time: each run sees the tasks of the previous one."""
        return self._runs.setdefault(schedule_id, asyncio.Lock())

    async def _run(
        self, schedule: ScheduleRecord, due: datetime, seen_to: Mapping[str, Any] | None = None
    ) -> ScheduleRecord:
        """Create the tasks of one run. Errors are stored in the schedule, together with the fields
        in `seen_to`."""
        error = None
        for device in schedule.devices or [""]:
            try:
                await self._give(schedule, device, due)
            except AppError as exc:
                log.warning("schedule %s: %s", schedule.id, exc.message)
                error = TaskError.of(exc)
        told = {
            "last_error": error,
            "last_tasks": schedule.last_tasks,
            "last_run_at": datetime.now(UTC),
        }
        return with_next(await self._update(schedule.id, {**told, **(seen_to or {})}))

    async def _give(self, schedule: ScheduleRecord, device: str, due: datetime) -> None:
        if last := schedule.last_tasks.get(device):
            with suppress(TaskNotFound):
                if (await self._tasks.find(last)).status in OPEN:
                    raise ScheduleOverlaps(f"its last task, {last}, has not ended yet")
        # The same run submitted twice, as around a restart, creates one task.
        key = f"schedule {schedule.id} {due.isoformat()} {device}"
        task = schedule.wanted().task.model_copy(update={"device": device or None})
        schedule.last_tasks[device] = (await self._tasks.submit(task, key, schedule.owner)).id
