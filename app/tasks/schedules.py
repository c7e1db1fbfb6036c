"""Goals that are given again and again, at the times of a cron line.

APScheduler does the timing. What there is stands in the database; a service that was away at the
time of a run does what the schedule says of missed runs when it is back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Protocol
from weakref import WeakValueDictionary

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from sqlalchemy import Connection, Select, Text, delete, select, type_coerce, update

from app.errors import (
    AppError,
    InputError,
    RecordDamaged,
    ScheduleNotFound,
    ScheduleOverlaps,
    TaskNotFound,
)
from app.request_body import RequestBody
from app.tasks.cron import local_zone, trigger
from app.tasks.database import Database, schedules, upsert
from app.tasks.models import OPEN, Shown, Task, TaskError
from app.tasks.new_task import NewTask
from app.tasks.stored import body_of, time_of

log = logging.getLogger(__name__)

LATE_S = 60
"""A run that comes later than this is missed: the computer slept, or the service was away."""
MAX_SCHEDULES = 1_000
Missed = Literal["skip", "run_once"]
_COLUMNS = (
    schedules.c.id,
    schedules.c.created_at,
    # As text: JSON that is damaged must damage one row and not the whole answer.
    type_coerce(schedules.c.body, Text).label("body"),
)
Serial = Annotated[str, Field(min_length=1, max_length=200)]


class NewSchedule(RequestBody):
    """A goal, and when it is to be given to which phones."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "nightly",
                    "cron": "30 22 * * 1-5",
                    "timezone": "Europe/Berlin",
                    "task": {"goal": "Turn on Bluetooth"},
                }
            ]
        },
    )

    name: Annotated[str, Field(min_length=1, max_length=100)]
    cron: Annotated[str, Field(max_length=200)] = Field(
        description="minute, hour, day, month, weekday; 0 and 7 are Sunday. With both a day and a "
        "weekday either is enough, as for cron. `@daily` and its like work too."
    )
    timezone: Annotated[str, Field(max_length=80)] = Field(
        default_factory=local_zone,
        description="An IANA name, as Europe/Berlin; that of the service's computer if left out.",
    )
    task: NewTask
    devices: list[Serial] = Field(
        default=[],
        max_length=100,
        description="Phones that get the task, one each; `any` for whichever is free first. Left "
        "out with only one phone.",
    )
    missed: Missed = Field(
        default="skip",
        description="What becomes of runs that the service was away for: none, or one when it is "
        "back.",
    )
    enabled: bool = True

    @field_validator("task")
    @classmethod
    def _free(cls, task: NewTask) -> NewTask:
        if task.device is not None or task.follows is not None:
            raise ValueError("a schedule names its phones in `devices` and follows no task")
        if task.secrets:
            raise ValueError("a schedule cannot store secrets; set PHONEPILOT_SECRET_NAME instead")
        return task

    @model_validator(mode="after")
    def _comes(self) -> NewSchedule:
        trigger(self.cron, self.timezone)
        return self


class Change(RequestBody):
    """What is to be another way; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False}]})

    name: str | None = None
    cron: str | None = None
    timezone: str | None = None
    task: NewTask | None = None
    devices: list[Serial] | None = None
    missed: Missed | None = None
    enabled: bool | None = None


class Schedule(BaseModel):
    """A schedule as it is told. `next_run_at` is null while it is off. `last_error` says what kept
    a task from being made, or why the schedule is off."""

    name: Shown
    cron: str
    timezone: str
    task: dict[str, Any]
    """The fields of POST /tasks that were given."""
    devices: list[str] = []
    missed: Missed = "skip"
    enabled: bool = True
    id: str
    created_at: AwareDatetime
    last_run_at: AwareDatetime | None = None
    last_tasks: dict[str, str] = {}
    """The last task of each entry of `devices`; of "" when there is none."""
    last_error: TaskError | None = None
    next_run_at: AwareDatetime | None = None


class ScheduleRecord(Schedule):
    """A schedule as it is stored: what another version wrote is read as far as it can be."""

    armed_at: AwareDatetime
    """Runs up to this time were seen to, or were before the schedule was changed."""
    owner: str = ""
    """The name of the access token that added it."""

    def told(self, *, private: bool = False) -> Schedule:
        """As others are told it; `private` adds what only its owner may know."""
        task = self.task if private else {**self.task, "callback_url": None}
        shown = Schedule.model_construct(
            **{name: getattr(self, name) for name in Schedule.model_fields}
        )
        return shown.model_copy(update={"task": task})

    def wanted(self) -> NewSchedule:
        """What was asked for, checked anew. Raises ValidationError."""
        fields = {name: getattr(self, name) for name in NewSchedule.model_fields}
        return NewSchedule.model_validate(fields)


class Tasks(Protocol):
    async def submit(self, new: NewTask, key: str | None = None, owner: str = "") -> Task: ...

    async def find(self, task_id: str) -> Task: ...


class Schedules:
    """Keeps them, and gives their tasks in time, from `start` to `close`."""

    def __init__(self, database: Database, tasks: Tasks) -> None:
        self._database = database
        self._tasks = tasks
        self._clock = AsyncIOScheduler(timezone=UTC)
        self._runs: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self) -> None:
        """Begin, in the background with what came due while the service was away."""
        self._clock.start()
        for schedule in await self.list():
            if not schedule.enabled:
                continue
            now = datetime.now(UTC)
            due = _next(schedule, schedule.armed_at)
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
        """The oldest first."""
        return await self._read(select(*_COLUMNS))

    async def get(self, schedule_id: str) -> ScheduleRecord:
        """Raises ScheduleNotFound."""
        found = await self._read(select(*_COLUMNS).where(schedules.c.id == schedule_id))
        if not found:
            raise ScheduleNotFound(f"no such schedule: {schedule_id[:80]!r}")
        return found[0]

    async def _read(self, query: Select[Any]) -> Sequence[ScheduleRecord]:
        ordered = query.order_by(schedules.c.created_at, schedules.c.id)
        rows = await self._database.call(lambda c: c.execute(ordered).mappings().all())
        return [schedule_from({**row}) for row in rows]

    async def add(self, new: NewSchedule, owner: str = "") -> ScheduleRecord:
        """Raises InputError when there are too many."""
        if len(await self.list()) >= MAX_SCHEDULES:
            raise InputError(f"there are {MAX_SCHEDULES} schedules already", "Remove some.")
        now = datetime.now(UTC)
        record = ScheduleRecord(
            **_fields(new), id=secrets.token_hex(6), created_at=now, armed_at=now, owner=owner
        )
        await self._save(record)
        self._arm(record)
        return _with_next(record)

    async def change(self, schedule_id: str, change: Change) -> ScheduleRecord:
        """Raises ScheduleNotFound, and InputError for what does not fit together."""
        given = _fields(change) | {"armed_at": datetime.now(UTC), "last_error": None}
        try:
            changed = await self._update(schedule_id, given, check=True)
        except ValidationError as exc:
            raise InputError(exc.errors()[0]["msg"].removeprefix("Value error, ")) from exc
        self._arm(changed)
        return _with_next(changed)

    async def remove(self, schedule_id: str) -> None:
        """Tasks that it has given go on. Raises ScheduleNotFound."""
        await self.get(schedule_id)
        gone = delete(schedules).where(schedules.c.id == schedule_id)
        await self._database.call(lambda c: c.execute(gone))
        if self._clock.get_job(schedule_id):
            self._clock.remove_job(schedule_id)

    async def run_now(self, schedule_id: str) -> ScheduleRecord:
        """Give its tasks at once, besides its times. Raises ScheduleNotFound."""
        async with self._run_of(schedule_id):
            return await self._run(await self.get(schedule_id), datetime.now(UTC))

    async def _save(self, record: ScheduleRecord) -> None:
        row = {
            "id": record.id,
            "created_at": record.created_at.isoformat(),
            "body": _body(record),
        }
        await self._database.call(lambda c: c.execute(upsert(schedules, row, "id")))

    async def _update(
        self, schedule_id: str, fields: Mapping[str, Any], *, check: bool = False
    ) -> ScheduleRecord:
        """Change some fields of what a schedule is by now; `check` demands that it can be run.

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
            connection.execute(update(schedules).where(here).values(body=_body(changed)))
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
        with suppress(ScheduleNotFound):  # removed while its job was on its way
            async with self._run_of(schedule_id):
                schedule = await self.get(schedule_id)
                due = _next(schedule, schedule.armed_at)
                now = datetime.now(UTC)
                if schedule.enabled and due is not None and due <= now:
                    await self._run(schedule, due, {"armed_at": now})

    def _run_of(self, schedule_id: str) -> asyncio.Lock:
        """One run of a schedule at a time, so that each sees the tasks of the one before."""
        return self._runs.setdefault(schedule_id, asyncio.Lock())

    async def _run(
        self, schedule: ScheduleRecord, due: datetime, seen_to: Mapping[str, Any] | None = None
    ) -> ScheduleRecord:
        """Give the tasks of one run. What goes wrong is kept for the next look at the schedule,
        with the fields in `seen_to`."""
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
        return _with_next(await self._update(schedule.id, {**told, **(seen_to or {})}))

    async def _give(self, schedule: ScheduleRecord, device: str, due: datetime) -> None:
        if last := schedule.last_tasks.get(device):
            with suppress(TaskNotFound):
                if (await self._tasks.find(last)).status in OPEN:
                    raise ScheduleOverlaps(f"its last task, {last}, has not ended yet")
        # The same run given twice, as around a restart, makes one task.
        key = f"schedule {schedule.id} {due.isoformat()} {device}"
        task = schedule.wanted().task.model_copy(update={"device": device or None})
        schedule.last_tasks[device] = (await self._tasks.submit(task, key, schedule.owner)).id


def schedule_from(row: Mapping[str, Any]) -> ScheduleRecord:
    """The schedule of a row. One that cannot be read, or that no longer means anything, is off and
    says why."""
    body = body_of(row["body"])
    try:
        record = ScheduleRecord.model_validate(body)
        record.id = row["id"]
        record.wanted()
    except ValidationError as exc:
        why = exc.errors()[0]
        place = ".".join(str(part) for part in why["loc"])
        reason = f"{place}: {why['msg'].removeprefix('Value error, ')}".removeprefix(": ")
        record = _switched_off(row, body if isinstance(body, dict) else {}, reason)
    return _with_next(record)


def _switched_off(row: Mapping[str, Any], body: Mapping[str, Any], why: str) -> ScheduleRecord:
    log.warning("schedule %s cannot be read and is switched off: %s", row["id"], why)
    created_at = time_of(row["created_at"])
    error = RecordDamaged(
        f"The schedule cannot be read: {why}"[:500],
        "Change it with PATCH /schedules/{id}, or remove it.",
    )
    texts: dict[str, Any] = {
        name: body[name] if isinstance(body.get(name), str) else ""
        for name in ("name", "cron", "timezone", "owner")
    }
    return ScheduleRecord(
        **texts,
        task=body["task"] if isinstance(body.get("task"), dict) else {},
        enabled=False,
        id=row["id"],
        created_at=created_at,
        armed_at=created_at,
        last_error=TaskError.of(error),
    )


def _fields(body: NewSchedule | Change) -> dict[str, Any]:
    """What was given, with the task as the fields that were given of it."""
    fields = body.model_dump(exclude_none=True, exclude={"task"})
    if body.task is not None:
        fields["task"] = body.task.model_dump(mode="json", exclude_unset=True)
    return fields


def _body(record: ScheduleRecord) -> dict[str, Any]:
    return record.model_dump(mode="json", exclude={"next_run_at"})


def _with_next(record: ScheduleRecord) -> ScheduleRecord:
    record.next_run_at = _next(record, datetime.now(UTC)) if record.enabled else None
    return record


def _next(record: ScheduleRecord, after: datetime) -> datetime | None:
    times = trigger(record.cron, record.timezone)
    found: datetime | None = times.get_next_fire_time(None, after)
    return found.astimezone(UTC) if found else None
