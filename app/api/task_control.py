"""Routes that say something to a task: stop, hold, go on, answer."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.tasks import TaskId
from app.tasks.models import Reply, Task
from app.tasks.runner import Runner


def control_routes(runner: Runner) -> APIRouter:
    router = APIRouter(prefix="/tasks", tags=["tasks"])

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

    return router
