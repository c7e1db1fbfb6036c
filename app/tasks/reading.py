"""What is known of tasks: of those that run from memory, of all others from the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import IO

from app.agent.dialects.base import Dialect
from app.errors import TaskNotFound
from app.events import Event, Topic
from app.tasks.export import write_export
from app.tasks.models import Step, Task
from app.tasks.store import Store
from app.tasks.trajectory import Trajectory

KEPT_TOPICS = 50
"""Ended tasks whose events are still in memory; older ones are told from the store."""
EACH_RUN = 10**9
TOLD_AGAIN = 10**12
"""Events of each run of the service, and those told from the store, have numbers above all that a
reader can have got before: whoever resumes with such a number misses nothing, least of all the end.
"""


class Records:
    """Filled by the runner, read by everybody. Every call raises TaskNotFound."""

    def __init__(self, store: Store, dialect: Dialect) -> None:
        self._store = store
        self._dialect = dialect
        self.live: dict[str, Task] = {}
        self.topics: dict[str, Topic] = {}
        self.trajectories: dict[str, Trajectory] = {}

    async def get(self, task_id: str) -> Task:
        return self.live.get(task_id) or await self._store.get_task(task_id)

    async def steps(self, task_id: str) -> list[Step]:
        return await self._store.list_steps(task_id)

    async def screenshot(self, task_id: str, number: int) -> bytes:
        """A step's screenshot as JPEG."""
        await self._written(task_id)
        path = self._store.screenshot_path((await self.get(task_id)).id, number)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise TaskNotFound(f"there is no screenshot of step {number}") from None

    async def export(self, task_id: str, target: IO[bytes]) -> Task:
        """Write the task as a zip file."""
        await self._written(task_id)
        task, steps = await self.get(task_id), await self.steps(task_id)
        paths = {step.number: self._store.screenshot_path(task.id, step.number) for step in steps}
        kept = {number: path for number, path in paths.items() if path.is_file()}
        await asyncio.to_thread(write_export, target, task, steps, kept, self._dialect)
        return task

    async def _written(self, task_id: str) -> None:
        if trajectory := self.trajectories.get(task_id):
            await trajectory.saved()

    async def events(self, task_id: str, after: int = 0) -> AsyncIterator[Event]:
        """The task's events above number `after`, until its end."""
        topic = self.topics.get(task_id)
        if topic is not None:
            async for event in topic.read(after):
                yield event
            return
        for event in await self._told_from_store(task_id):
            if event.seq > after:
                yield event

    async def _told_from_store(self, task_id: str) -> list[Event]:
        task, steps = await self._store.get_task(task_id), await self._store.list_steps(task_id)
        told = [("step", step.model_dump(mode="json")) for step in steps]
        told.append(("end", task.model_dump(mode="json")))
        return [Event(TOLD_AGAIN + i, kind, data) for i, (kind, data) in enumerate(told, 1)]

    def ended(self, task_id: str) -> None:
        """The task runs no more; the events of the oldest such ones are dropped."""
        self.live.pop(task_id, None)
        ended = [key for key, kept in self.topics.items() if kept.closed]
        for key in ended[: max(0, len(ended) - KEPT_TOPICS)]:
            del self.topics[key]
