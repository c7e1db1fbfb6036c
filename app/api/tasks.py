"""Routes of tasks: create, list, read."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel

from app.errors import InputError
from app.tasks.models import NewTask, Status, Task
from app.tasks.runner import Runner
from app.tasks.store import Store, TaskFilter

MAX_WAIT_S = 3600
TaskId = Annotated[str, PathParameter(description="As in the answer of POST /tasks.")]


class TaskPage(BaseModel):
    """`next` is the cursor of the page after this one, null on the last."""

    tasks: list[Task]
    next: str | None


def task_routes(runner: Runner, store: Store) -> APIRouter:
    router = APIRouter(prefix="/tasks", tags=["tasks"])

    @router.post("", status_code=202)
    async def create_task(
        new: NewTask,
        response: Response,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = 0,
        idempotency_key: Annotated[str | None, Header(max_length=200, min_length=1)] = None,
    ) -> Task:
        """Start working on a goal; `?wait=60` holds the answer until the end, 60 s at most.

        A request that is repeated with the same `Idempotency-Key` gives the task that it made the
        first time.
        """
        task = await runner.submit(new, idempotency_key)
        response.headers["Location"] = f"/tasks/{task.id}"
        return await runner.wait(task.id, wait) if wait else task

    @router.get("")
    async def list_tasks(
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        status: Annotated[list[Status] | None, Query()] = None,
        device: Annotated[str | None, Query(max_length=200)] = None,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> TaskPage:
        """The newest first; `next` of one answer is the `cursor` of the next.

        A page holds still: tasks that come meanwhile shift nothing. `status` may be given several
        times.
        """
        wanted = TaskFilter(tuple(status or ()), device, _place(cursor))
        found = await store.list_tasks(wanted, limit + 1)
        page = [runner.records.live.get(task.id, task) for task in found[:limit]]
        more = len(found) > limit
        return TaskPage(tasks=page, next=_cursor(page[-1]) if more else None)

    @router.get("/{task_id}")
    async def get_task(task_id: TaskId) -> Task:
        return await runner.find(task_id)

    return router


def _cursor(task: Task) -> str:
    """Where a task stands in the list, for whoever asks for what comes after it."""
    place = f"{task.created_at.isoformat()} {task.id}"
    return base64.urlsafe_b64encode(place.encode()).decode()


def _place(cursor: str | None) -> tuple[str, str] | None:
    if not cursor:
        return None
    try:
        created_at, _, task_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        datetime.fromisoformat(created_at)
    except ValueError as exc:
        raise InputError("this is no cursor of this list", "Begin without one.") from exc
    return created_at, task_id
