"""Reads tasks: open ones from memory, all others from the store."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import IO

from app.agent.dialects.base import Dialect
from app.errors import TaskNotFound
from app.events import Event, Topic
from app.tasks.export import write_export
from app.tasks.models import Step
from app.tasks.run import Run
from app.tasks.store import Store, TaskFilter
from app.tasks.stored import TaskRecord

KEPT_TOPICS = 50
"""Ended tasks whose events stay in memory; older ones are rebuilt from the store."""
TOLD_AGAIN = 10**12
"""Offset of the numbers of rebuilt events: above any that a reader can have received before."""


class Reading:
    """`runs` are the open tasks, owned by the runner; `dialect` returns the one in use. Every call
    raises TaskNotFound."""

    def __init__(
        self, store: Store, runs: Mapping[str, Run], dialect: Callable[[], Dialect]
    ) -> None:
        self._store = store
        self._runs = runs
        self._dialect = dialect
        self._ended: OrderedDict[str, Topic] = OrderedDict()

    async def get(self, task_id: str) -> TaskRecord:
        if run := self._runs.get(task_id):
            return run.record
        return await self._store.get_task(task_id)

    async def page(self, wanted: TaskFilter, limit: int) -> list[TaskRecord]:
        """List tasks, newest first."""
        found = await self._store.list_tasks(wanted, limit)
        return [self._runs[each.id].record if each.id in self._runs else each for each in found]

    async def steps(self, task_id: str) -> list[Step]:
        return await self._store.list_steps(task_id)

    async def screenshot(self, task_id: str, number: int) -> bytes:
        """Return a step's screenshot as JPEG."""
        await self._written(task_id)
        path = self._store.screenshot_path((await self.get(task_id)).id, number)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise TaskNotFound(f"step {number} has no screenshot") from None

    async def export(self, task_id: str, target: IO[bytes]) -> TaskRecord:
        """Write the task as a zip file."""
        await self._written(task_id)
        record, steps = await self.get(task_id), await self.steps(task_id)
        paths = {step.number: self._store.screenshot_path(record.id, step.number) for step in steps}
        kept = {number: path for number, path in paths.items() if path.is_file()}
        task = record.told()
        await asyncio.to_thread(write_export, target, task, steps, kept, self._dialect())
        return record

    async def _written(self, task_id: str) -> None:
        run = self._runs.get(task_id)
        if run is not None and run.recorder is not None:
            await run.recorder.saved()

    async def events(self, task_id: str, after: int = 0) -> AsyncIterator[Event]:
        """Yield the task's events with numbers above `after`, until it ends."""
        run = self._runs.get(task_id)
        topic = run.topic if run is not None else self._ended.get(task_id)
        if topic is not None:
            async for event in topic.read(after):
                yield event
            return
        for event in await self._told_from_store(task_id):
            if event.seq > after:
                yield event

    async def _told_from_store(self, task_id: str) -> list[Event]:
        record, steps = await self._store.get_task(task_id), await self._store.list_steps(task_id)
        told = [("step", step.model_dump(mode="json")) for step in steps]
        told.append(("end", record.event()))
        return [Event(TOLD_AGAIN + i, kind, data) for i, (kind, data) in enumerate(told, 1)]

    def ended(self, run: Run) -> None:
        """Keep an ended task's events for a while; the oldest are dropped."""
        self._ended[run.id] = run.topic
        while len(self._ended) > KEPT_TOPICS:
            self._ended.popitem(last=False)

    def forget(self, task_id: str) -> None:
        self._ended.pop(task_id, None)
