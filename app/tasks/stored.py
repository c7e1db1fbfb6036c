"""Converts tasks and steps to rows and back, tolerating rows of other versions.

A row is JSON. Unknown fields are ignored, missing ones get their defaults, and a row that cannot be
read at all appears as one damaged task; the list with that task stays readable, and the row itself
is not changed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from app.errors import RecordDamaged
from app.tasks.models import OPEN, Step, Task, TaskError

log = logging.getLogger(__name__)

VERSION = 2
"""Version 1 had no `version`, no `asked` and no `owner`."""
_PRIVATE = {"version", "asked", "owner"}
DAMAGED = TaskError.of(RecordDamaged("The record of this task cannot be read."))


class TaskRecord(Task):
    """A task with its stored fields that are never shown."""

    version: int = VERSION
    asked: int = 0
    """The number of the last question; no number is used twice, even after a restart."""
    owner: str = ""
    """The name of the access token that created it; "" if no token was required."""

    def told(self, *, private: bool = False) -> Task:
        """Return the public form of the task; `private` adds what only its owner may see."""
        hidden = set() if private else {"callback_url"}
        return Task.model_construct(
            **{name: getattr(self, name) for name in Task.model_fields if name not in hidden}
        )

    def event(self) -> dict[str, Any]:
        """Return the task as its events and its webhook contain it, ready for JSON."""
        return self.model_dump(mode="json", exclude=_PRIVATE | {"callback_url"})


def body_of(text: Any) -> Any:
    """Return the JSON in a row; None if it is damaged. Lone surrogates are replaced, because
    nothing that is sent may contain one."""
    try:
        body = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return _whole(body) if "\\ud" in text.casefold() else body


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value


def task_row(record: TaskRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "created_at": record.created_at.isoformat(),
        "status": record.status,
        "body": record.model_dump(mode="json") | {"version": VERSION},
    }


def task_from(row: Mapping[str, Any]) -> TaskRecord:
    """Read the task of a row with `id`, `created_at`, `status` and `body`, or a damaged one.

    Its id is the row's id, whatever the body says: steps and pictures are found by it.
    """
    try:
        record = TaskRecord.model_validate(row["body"])
        record.id = row["id"]
        if record.question is not None:  # version 1 counted from 1 in each run
            record.asked = max(record.asked, record.question.number)
        return record
    except ValidationError as exc:
        log.warning("the record of task %s is damaged: %s", row["id"], exc.errors()[0]["msg"])
        return _damaged(row)


def _damaged(row: Mapping[str, Any]) -> TaskRecord:
    body = row["body"] if isinstance(row["body"], dict) else {}

    def text(name: str) -> str:
        value = body.get(name)
        return value if isinstance(value, str) else ""

    return TaskRecord.model_construct(
        id=row["id"],
        goal=text("goal")[:2_000] or "(damaged record)",
        device=text("device"),
        status="failed" if row["status"] in OPEN else row["status"],
        stop_reason="crashed",
        message=DAMAGED.message,
        error=DAMAGED,
        max_steps=0,
        timeout_s=0.0,
        lang="en",
        created_at=time_of(row["created_at"]),
        ended_at=time_of(row["created_at"]),
        allowed_apps=[],
    )


def is_damaged(task: Task) -> bool:
    return task.error is not None and task.error.code == DAMAGED.code


def time_of(text: Any) -> datetime:
    """Parse a time in a row, with its zone; an invalid one is 1970."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return datetime.fromtimestamp(0, UTC)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def step_from(number: int, body: Any) -> Step:
    """Read the step of a row; a damaged one has an error."""
    try:
        return Step.model_validate(body)
    except ValidationError as exc:
        log.warning("the record of step %d is damaged: %s", number, exc.errors()[0]["msg"])
        return Step(
            number=number,
            app="",
            width=0,
            height=0,
            error=TaskError.of(RecordDamaged("The record of this step cannot be read.")),
            started_at=datetime.fromtimestamp(0, UTC),
        )
