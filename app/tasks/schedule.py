"""A schedule: its request, its stored form and its public form.

A stored schedule is read as far as possible. One that is no longer valid is switched off and says
why; the others are not affected.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from app.errors import RecordDamaged
from app.request_body import RequestBody
from app.tasks.cron import local_zone, trigger
from app.tasks.models import Shown, TaskError
from app.tasks.new_task import NewTask
from app.tasks.stored import body_of, time_of

log = logging.getLogger(__name__)

Missed = Literal["skip", "run_once"]
Serial = Annotated[str, Field(min_length=1, max_length=200)]


class NewSchedule(RequestBody):
    """A goal, and when it is given to which phones."""

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
        "weekday either is enough, as in cron. Short names such as `@daily` work too."
    )
    timezone: Annotated[str, Field(max_length=80)] = Field(
        default_factory=local_zone,
        description="An IANA name such as Europe/Berlin; default: the service's own time zone.",
    )
    task: NewTask
    devices: list[Serial] = Field(
        default=[],
        max_length=100,
        description="Phones that get the task, one each; `any` for whichever is free first. "
        "Optional if there is only one phone.",
    )
    missed: Missed = Field(
        default="skip",
        description="What happens to runs during which the service was away: nothing, or one run "
        "when it is back.",
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
    """The fields to change; missing ones stay."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False}]})

    name: str | None = None
    cron: str | None = None
    timezone: str | None = None
    task: NewTask | None = None
    devices: list[Serial] | None = None
    missed: Missed | None = None
    enabled: bool | None = None


class Schedule(BaseModel):
    """A schedule as the API returns it. `next_run_at` is null while it is off. `last_error` says
    why a task could not be created, or why the schedule is off."""

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
    """The last task by entry of `devices`; under "" if `devices` is empty."""
    last_error: TaskError | None = None
    next_run_at: AwareDatetime | None = None


class ScheduleRecord(Schedule):
    """A schedule as stored; one written by another version is read as far as possible."""

    armed_at: AwareDatetime
    """Runs up to this time have been handled, or precede the last change of the schedule."""
    owner: str = ""
    """The name of the access token that added it."""

    def told(self, *, private: bool = False) -> Schedule:
        """Return the public form; `private` adds what only its owner may see."""
        task = self.task if private else {**self.task, "callback_url": None}
        shown = Schedule.model_construct(
            **{name: getattr(self, name) for name in Schedule.model_fields}
        )
        return shown.model_copy(update={"task": task})

    def wanted(self) -> NewSchedule:
        """Return the request, validated again. Raises ValidationError."""
        fields = {name: getattr(self, name) for name in NewSchedule.model_fields}
        return NewSchedule.model_validate(fields)


def schedule_from(row: Mapping[str, Any]) -> ScheduleRecord:
    """Read the schedule of a row. One that is unreadable or no longer valid is off and says why."""
    body = body_of(row["body"])
    try:
        record = ScheduleRecord.model_validate(body)
        record.wanted()
        record.id = row["id"]
    except ValidationError as exc:
        why = exc.errors()[0]
        place = ".".join(str(part) for part in why["loc"])
        reason = f"{place}: {why['msg'].removeprefix('Value error, ')}".removeprefix(": ")
        record = _switched_off(row, body if isinstance(body, dict) else {}, reason)
    return with_next(record)


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


def given_fields(body: NewSchedule | Change) -> dict[str, Any]:
    """Return the given fields; of the task, only the fields that were given."""
    fields = body.model_dump(exclude_none=True, exclude={"task"})
    if body.task is not None:
        fields["task"] = body.task.model_dump(mode="json", exclude_unset=True)
    return fields


def stored_body(record: ScheduleRecord) -> dict[str, Any]:
    return record.model_dump(mode="json", exclude={"next_run_at"})


def with_next(record: ScheduleRecord) -> ScheduleRecord:
    record.next_run_at = next_run(record, datetime.now(UTC)) if record.enabled else None
    return record


def next_run(record: ScheduleRecord, after: datetime) -> datetime | None:
    """Return the first run after a time; a future time, from a wrong clock, counts as now."""
    after = min(after, datetime.now(UTC))
    times = trigger(record.cron, record.timezone)
    found: datetime | None = times.get_next_fire_time(None, after)
    return found.astimezone(UTC) if found else None
