"""Finds the tasks that a killed service left open, and decides which are resumed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.tasks.models import Step
from app.tasks.secrets import Secrets
from app.tasks.store import Store
from app.tasks.stored import TaskRecord, is_damaged

MAX_RESTARTS = 3
"""Most restarts of the service during one task: the task itself may be what ends it."""
_UNSURE = "The service ended in this step; whether the phone did it is not known."


@dataclass
class LeftOpen:
    """Tasks that an earlier run left open, each list oldest first; nothing is stored yet.

    `open` are resumed; those that are also in `changed` differ from what is stored. `interrupted`
    are not resumed; their `message` says why.
    """

    open: list[TaskRecord] = field(default_factory=list)
    changed: list[TaskRecord] = field(default_factory=list)
    interrupted: list[TaskRecord] = field(default_factory=list)


async def left_open(
    store: Store, secrets: Secrets, within_s: float, alive_at: datetime | None
) -> LeftOpen:
    """Return what an earlier run of the service left open.

    A task that had begun resumes with a fresh look at the screen, so that nothing is repeated that
    the phone may have done; the step in which the service ended is marked as unknown. A task that
    was left more than `within_s` seconds ago is interrupted instead: nobody expects a phone to
    start moving hours later. `alive_at` is when the service was last known to be alive. A task with
    a damaged record counts as failed from now on.
    """
    left = LeftOpen()
    for record in await store.unfinished():
        if is_damaged(record):
            await store.mark_damaged(record.id)
            continue
        had_begun = record.status != "queued" or record.started_at is not None
        # A task that is still queued has no steps, and there may be thousands of them.
        steps = await store.list_steps(record.id) if had_begun else []
        why = _too_late(record, steps, within_s, alive_at) or _lacks(record, secrets)
        changed = had_begun or bool(why)
        was_working = record.status != "queued"
        if changed:
            record.question, record.steps = None, len(steps)
        if why:
            record.status, record.message = "interrupted", why
            record.ended_at = datetime.now(UTC)
            left.interrupted.append(record)
            continue
        if steps and steps[-1].action is not None and "act" not in steps[-1].timings_ms:
            steps[-1].remark = f"{steps[-1].remark} {_UNSURE}".strip()
            await store.save_step(record.id, steps[-1])
        record.status, record.restarts = "queued", record.restarts + was_working
        left.open.append(record)
        if changed:
            left.changed.append(record)
    return left


def _lacks(task: TaskRecord, secrets: Secrets) -> str:
    missing = secrets.missing(task.goal, {})
    if not missing:
        return ""
    return f"The service ended while this task was open, and its secrets with it: {missing[0]}."


def _too_late(
    task: TaskRecord, steps: list[Step], within_s: float, alive_at: datetime | None
) -> str:
    last = max([task.created_at, *(step.started_at for step in steps)])
    if alive_at is not None:
        last = max(last, alive_at)
    if datetime.now(UTC) - last > timedelta(seconds=within_s):
        return "The service ended while this task was open, too long ago to go on."
    if task.restarts >= MAX_RESTARTS:
        return f"The service ended {MAX_RESTARTS + 1} times while this task was running."
    return ""
