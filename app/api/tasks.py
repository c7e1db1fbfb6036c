"""Routes of tasks: create, list, read, delete."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel

from app.api.access import caller_of, may_know
from app.errors import InputError
from app.tasks.models import Status, Task
from app.tasks.new_task import NewTask
from app.tasks.runner import Runner
from app.tasks.store import TaskFilter
from app.tasks.stored import TaskRecord

MAX_WAIT_S = 3600
TaskId = Annotated[str, PathParameter(description="The id from the response of POST /tasks.")]


class TaskPage(BaseModel):
    """`next` is the cursor of the page after this one, null on the last."""

    tasks: list[Task]
    next: str | None


def task_routes(runner: Runner) -> APIRouter:
    router = APIRouter(prefix="/tasks", tags=["tasks"])

    @router.post("", status_code=202)
    async def create_task(
        new: NewTask,
        request: Request,
        response: Response,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = 0,
        idempotency_key: Annotated[str | None, Header(max_length=200, min_length=1)] = None,
    ) -> Task:
        """Start working on a goal; `?wait=60` delays the response until the end, for at most 60 s.

        A request repeated with the same `Idempotency-Key` returns the task that the first one
        created.
        """
        record = await runner.submit(new, idempotency_key, caller_of(request.scope))
        response.headers["Location"] = f"/tasks/{record.id}"
        return told(await runner.wait(record.id, wait) if wait else record, request)

    @router.get("")
    async def list_tasks(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        status: Annotated[list[Status] | None, Query()] = None,
        device: Annotated[str | None, Query(max_length=200)] = None,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> TaskPage:
        """Newest first; `next` of one page is the `cursor` of the following one.

        Pages are stable: tasks created meanwhile do not shift them. `status` may be given several
        times.
        """
        wanted = TaskFilter(tuple(status or ()), device, _place(cursor))
        found = await runner.reading.page(wanted, limit + 1)
        page = found[:limit]
        more = len(found) > limit
        return TaskPage(
            tasks=[told(record, request) for record in page],
            next=_cursor(page[-1]) if more else None,
        )

    @router.get("/{task_id}")
    async def get_task(task_id: TaskId, request: Request) -> Task:
        return told(await runner.find(task_id), request)

    @router.delete("/{task_id}", status_code=204)
    async def delete_task(task_id: TaskId) -> None:
        """Remove an ended task with its steps and screenshots permanently."""
        await runner.delete(task_id)

    return router


def told(record: TaskRecord, request: Request) -> Task:
    """Return a task as the caller of a request may see it."""
    return record.told(private=may_know(request.scope, record.owner))


def _cursor(task: Task) -> str:
    """Encode a task's place in the list, for a request for the tasks after it."""
    place = f"{task.created_at.isoformat()} {task.id}"
    return base64.urlsafe_b64encode(place.encode()).decode()


def _place(cursor: str | None) -> tuple[str, str] | None:
    if not cursor:
        return None
    try:
        created_at, _, task_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        datetime.fromisoformat(created_at)
    except ValueError as exc:
        raise InputError("invalid cursor", "Start again without one.") from exc
    return created_at, task_id
