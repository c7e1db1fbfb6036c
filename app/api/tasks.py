"""Routes of tasks: create, read, follow, cancel."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel

from app.errors import InputError
from app.events import Event
from app.tasks.models import NewTask, Reply, Status, Step, Task
from app.tasks.runner import Runner
from app.tasks.store import Store, TaskFilter

MAX_WAIT_S = 3600
TaskId = Annotated[str, Path(description="As in the answer of POST /tasks.")]


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
        page = [await runner.get(task.id) for task in found[:limit]]
        more = len(found) > limit
        return TaskPage(tasks=page, next=_cursor(page[-1]) if more else None)

    @router.get("/{task_id}")
    async def get_task(task_id: TaskId) -> Task:
        return await runner.get(task_id)

    @router.post("/{task_id}/cancel")
    async def cancel_task(task_id: TaskId) -> Task:
        """Stop; when the answer comes, nothing acts on the phone any more."""
        return await runner.cancel(task_id)

    @router.post("/{task_id}/pause")
    async def pause_task(task_id: TaskId) -> Task:
        """Hold a running task; when the answer comes, nothing acts on the phone any more."""
        return await runner.pause(task_id)

    @router.post("/{task_id}/resume")
    async def resume_task(task_id: TaskId) -> Task:
        """Let a paused task go on; it looks at the screen anew first."""
        return await runner.resume(task_id)

    @router.post("/{task_id}/reply")
    async def reply_to_task(task_id: TaskId, reply: Reply) -> Task:
        """Answer what the task asks (`question` in the task)."""
        return await runner.reply(task_id, reply)

    @router.get("/{task_id}/steps")
    async def list_steps(task_id: TaskId) -> dict[str, list[Step]]:
        return {"steps": await runner.steps(task_id)}

    @router.get(
        "/{task_id}/steps/{number}/screenshot",
        response_class=FileResponse,
        responses={200: {"content": {"image/jpeg": {}}}},
    )
    async def get_screenshot(task_id: TaskId, number: int) -> FileResponse:
        """The screen as the model saw it in that step, as JPEG."""
        path = await runner.screenshot(task_id, number)
        return FileResponse(
            path, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"}
        )

    @router.get(
        "/{task_id}/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def follow_task(
        task_id: TaskId, last_event_id: Annotated[str | None, Header()] = None
    ) -> StreamingResponse:
        """Server-sent events until the task ends; resumes after `Last-Event-ID`."""
        after = _event_number(last_event_id)
        await runner.get(task_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            _sse(runner.events(task_id, after)), media_type="text/event-stream", headers=headers
        )

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


def _event_number(text: str | None) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise InputError("Last-Event-ID must be a number that this stream has sent")
    return int(text)


async def _sse(events: AsyncIterator[Event]) -> AsyncIterator[str]:
    async for event in events:
        data = json.dumps(event.data, ensure_ascii=False)
        yield f"id: {event.seq}\nevent: {event.kind}\ndata: {data}\n\n"
