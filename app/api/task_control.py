"""Routes that say something to a task: stop, hold, go on, answer."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.api.tasks import TaskId, told
from app.tasks.models import Task
from app.tasks.new_task import Reply
from app.tasks.runner import Runner


def control_routes(runner: Runner) -> APIRouter:
    router = APIRouter(prefix="/tasks", tags=["tasks"])

    @router.post("/{task_id}/cancel")
    async def cancel_task(task_id: TaskId, request: Request) -> Task:
        """Stop; when the answer comes, nothing acts on the phone any more."""
        return told(await runner.cancel(task_id), request)

    @router.post("/{task_id}/pause")
    async def pause_task(task_id: TaskId, request: Request) -> Task:
        """Hold a running task; when the answer comes, nothing acts on the phone any more."""
        return told(await runner.pause(task_id), request)

    @router.post("/{task_id}/resume")
    async def resume_task(task_id: TaskId, request: Request) -> Task:
        """Let a paused task go on; it looks at the screen anew first."""
        return told(await runner.resume(task_id), request)

    @router.post("/{task_id}/reply")
    async def reply_to_task(task_id: TaskId, reply: Reply, request: Request) -> Task:
        """Answer what the task asks (`question` in the task)."""
        return told(await runner.reply(task_id, reply), request)

    return router
