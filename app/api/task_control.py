"""Routes that control a task: cancel, pause, resume, reply."""

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
        """Stop; returns once nothing acts on the phone any more."""
        return told(await runner.cancel(task_id), request)

    @router.post("/{task_id}/pause")
    async def pause_task(task_id: TaskId, request: Request) -> Task:
        """Pause a running task; returns once nothing acts on the phone any more."""
        return told(await runner.pause(task_id), request)

    @router.post("/{task_id}/resume")
    async def resume_task(task_id: TaskId, request: Request) -> Task:
        """Resume a paused task; it looks at the screen again first."""
        return told(await runner.resume(task_id), request)

    @router.post("/{task_id}/reply")
    async def reply_to_task(task_id: TaskId, reply: Reply, request: Request) -> Task:
        """Answer the task's question (`question` in the task)."""
        return told(await runner.reply(task_id, reply), request)

    return router
