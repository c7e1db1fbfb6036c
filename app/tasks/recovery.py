"""What a service that was killed left open, and what of it goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.tasks.models import Step, Task
from app.tasks.secrets import Secrets
from app.tasks.store import Store

MAX_RESTARTS = 3
"""A task that the service ended in so often may be what ends it."""
_UNSURE = "The service ended in this step; whether the phone did it is not known."


async def left_open(store: Store, within_s: float, secrets: Secrets) -> list[Task]:
    """The tasks that were open, oldest first: `queued` again, or `interrupted` and to be ended.

    A task that had begun goes on with a fresh look at the screen, so that nothing is repeated that
    the phone may have done; the step in which the service ended says that this is not known. What
    was left more than `within_s` seconds ago is interrupted instead: nobody expects a phone to
    begin to move after hours.
    """
    left = await store.unfinished()
    for task in left:
        steps = await store.list_steps(task.id)
        task.question, task.steps = None, len(steps)
        why = _too_late(task, steps, within_s) or _lacks(task, secrets)
        if why:
            task.status, task.message, task.ended_at = "interrupted", why, datetime.now(UTC)
            continue
        if steps and steps[-1].action is not None and "act" not in steps[-1].timings_ms:
            steps[-1].remark = f"{steps[-1].remark} {_UNSURE}".strip()
            await store.save_step(task.id, steps[-1])
        task.status, task.restarts = "queued", task.restarts + 1
    return left


def _lacks(task: Task, secrets: Secrets) -> str:
    missing = secrets.missing(task.id, task.goal)
    if not missing:
        return ""
    return f"The service ended while this task was open, and its secrets with it: {missing[0]}."


def _too_late(task: Task, steps: list[Step], within_s: float) -> str:
    last = max([task.created_at, *(step.started_at for step in steps)])
    if datetime.now(UTC) - last > timedelta(seconds=within_s):
        return "The service ended while this task was open, too long ago to go on."
    if task.restarts >= MAX_RESTARTS:
        return f"The service ended {MAX_RESTARTS + 1} times while this task was open."
    return ""
