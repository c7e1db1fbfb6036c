"""Runs tasks from the queue to their end, one at a time on each phone.

The runner owns the map of open tasks; tasks are started, cancelled and released here. Everything
known about one open task is in its `Run`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from app.agent.dialects.base import Exchange
from app.agent.outcome import Outcome
from app.background import Background
from app.errors import AppError, DeviceBusy, TaskNotEnded, TaskNotFound, TaskNotRunning
from app.log import about_task
from app.tasks.equipment import exchanges_of
from app.tasks.idempotency import Keys
from app.tasks.models import OPEN
from app.tasks.new_task import Defaults, NewTask, Reply, TaskMaker
from app.tasks.ports import Phone
from app.tasks.queue import Queue, Ticket
from app.tasks.reading import Reading
from app.tasks.recovery import left_open
from app.tasks.run import Run, Surroundings
from app.tasks.stored import TaskRecord

log = logging.getLogger(__name__)

_WRITE_AGAIN_S = 2.0
"""Seconds between attempts to store an end while the disk is full."""


class Runner:
    """Accepts, queues, runs, pauses, cancels and deletes tasks."""

    def __init__(self, around: Surroundings, defaults: Defaults, queue: Queue) -> None:
        self._around = around
        self._store = around.store
        self.defaults = defaults
        """Replaced with the model, whose configuration has some of them."""
        self._queue = queue
        self._runs: dict[str, Run] = {}
        self.reading = Reading(around.store, self._runs, lambda: around.equipment.dialect)
        self._maker = TaskMaker(around.fleet, lambda: self.defaults, self.find)
        self._keys = Keys(around.store)
        self._closing = False
        self._unwritten: list[Run] = []
        self._writing = Background("writing down the ends of tasks", self._write_ends)

    async def recover(self, alive_at: datetime | None) -> None:
        """Resume what an earlier run of the service left open when it was last alive."""
        around, within_s = self._around, self.defaults.resume_within_s
        left = await left_open(self._store, around.secrets, within_s, alive_at)
        for record in left.interrupted:
            await around.webhooks.tell("task.ended", record)
        await self._store.save_task(*left.interrupted, *left.changed)
        for record in left.interrupted:
            around.metrics.ended(record)
        for record in left.open:
            self._begin(Run(record, around))

    async def submit(self, new: NewTask, key: str | None = None, owner: str = "") -> TaskRecord:
        """Queue a task for its phone; a `key` that was used before returns its task.

        A cancelled call leaves nothing behind. Raises DeviceError if no phone fits, InputError for
        a task that cannot be followed or has no prompt in its language, KeyReused for a key that
        came with another request, ModelBlind, DiskFull.
        """
        async with self._keys.claim(key, new) as (task_id, is_new):
            if not is_new:
                return await self.find(task_id)
            self._around.retention.check()
            if new.callback_url is not None:
                self._around.webhooks.check(new.callback_url)
            given = {name: value.get_secret_value() for name, value in new.secrets.items()}
            self._around.secrets.check(new.goal, given)
            record = await self._maker.make(new, task_id, owner, self._around.equipment.name)
            self._around.equipment.check(record)
            writing = asyncio.ensure_future(self._store.save_task(record))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await asyncio.wait({writing})
                await self._store.delete(record.id)
                raise
            self._begin(Run(record, self._around, given))
            return record

    def _begin(self, run: Run) -> None:
        self._runs[run.id] = run
        run.announce()
        if self._closing:
            run.topic.close()  # it starts when the service starts again
            return
        run.job = asyncio.create_task(self._work(run), name=f"task {run.id}")

    async def _work(self, run: Run) -> None:
        with about_task(run.id):
            try:
                outcome = await self._outcome(run)
            except asyncio.CancelledError:
                if self._closing and not run.cancelled:
                    return
                outcome = Outcome("cancelled", "Cancelled.")
            await self._end(run, outcome)

    async def _outcome(self, run: Run) -> Outcome:
        record, around = run.record, self._around
        if unknown := around.equipment.unknown(record.goal):
            return unknown
        try:
            ticket = Ticket(record.id, record.device, record.priority)
            async with self._queue.take(ticket) as grant, around.gate.passing():
                # The model may be another one than when the task began to wait.
                around.equipment.check(record)
                if unknown := around.equipment.unknown(record.goal):
                    return unknown
                return await run.work(grant, await self._conversation(record))
        except AppError as exc:
            return Outcome.of(exc)
        except Exception as exc:
            log.exception("task %s crashed", run.id)
            return Outcome("crashed", f"A fault in phonepilot: {exc!r}")

    async def _end(self, run: Run, outcome: Outcome) -> None:
        try:
            await run.end(outcome)
        except Exception as exc:  # the phone is free again, and readers must not wait forever
            log.error("the end of task %s is not written down yet: %s", run.id, exc)
            self._unwritten.append(run)
            self._writing.start()
        else:
            self._over(run)

    def _over(self, run: Run) -> None:
        self._runs.pop(run.id, None)
        self.reading.ended(run)

    async def _write_ends(self) -> float:
        """Store the ends that could not be stored; raises the error of the first that fails."""
        while self._unwritten:
            run = self._unwritten[0]
            await run.write_end()
            self._unwritten.pop(0)
            self._over(run)
        return _WRITE_AGAIN_S

    async def _conversation(self, task: TaskRecord) -> list[Exchange]:
        """Return the exchanges so far, oldest first: of the tasks that this one follows, and its
        own if it resumes after a restart."""
        earlier: list[Exchange] = []
        if task.follows is not None:
            with suppress(TaskNotFound):  # already deleted; the rest works without it
                earlier = await self._conversation(await self._store.get_task(task.follows))
        if task.steps:
            dialect = self._around.equipment.dialect
            earlier += exchanges_of(dialect, task, await self._store.list_steps(task.id))
        return earlier

    async def cancel(self, task_id: str) -> TaskRecord:
        """End a queued or running task; returns once nothing acts on the phone any more.

        Raises TaskNotFound and TaskNotRunning.
        """
        run = self._runs.get(task_id)
        if run is None or run.job is None:
            ended = await self._store.get_task(task_id)
            raise TaskNotRunning(f"the task has already {ended.status}")
        if not run.cancelled and not run.ending:
            run.cancelled = True
            run.job.cancel()
        await asyncio.wait({run.job})
        if not run.ending:
            # It was cancelled before its first line ran, and so did not store its end.
            await self._end(run, Outcome("cancelled", "Cancelled."))
        return run.record

    async def delete(self, task_id: str) -> None:
        """Remove an ended task with its steps and pictures.

        Raises TaskNotFound and TaskNotEnded.
        """
        record = await self.find(task_id)
        if task_id in self._runs:
            raise TaskNotEnded(f"task {record.id} is {record.status}")
        self.reading.forget(task_id)
        await self._store.delete(task_id)

    async def pause(self, task_id: str) -> TaskRecord:
        """Pause a running task; returns once nothing acts on the phone any more.

        Raises TaskNotFound and TaskNotRunning.
        """
        run = await self._running(task_id)
        idle = asyncio.ensure_future(run.control.pause())
        try:
            jobs: set[asyncio.Future[Any]] = {idle}
            if run.job is not None:
                jobs.add(run.job)
            await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            idle.cancel()
        return run.record

    async def resume(self, task_id: str) -> TaskRecord:
        """Resume a paused task with a fresh look. Raises TaskNotFound and TaskNotRunning."""
        run = await self._running(task_id)
        run.control.resume()
        return run.record

    async def reply(self, task_id: str, reply: Reply) -> TaskRecord:
        """Answer a task's question. Raises TaskNotFound, TaskNotRunning and NoOpenQuestion."""
        run = await self._running(task_id)
        run.person.reply(reply)
        return run.record

    async def _running(self, task_id: str) -> Run:
        run = self._runs.get(task_id)
        if run is None or not run.works:
            task = await self.find(task_id)
            raise TaskNotRunning(f"the task is {task.status}")
        return run

    async def find(self, task_id: str) -> TaskRecord:
        """Return the task. Raises TaskNotFound."""
        return await self.reading.get(task_id)

    def open_tasks(self) -> Mapping[str, int]:
        """Count the tasks in each open state."""
        statuses = (run.record.status for run in self._runs.values())
        return Counter(status for status in statuses if status in OPEN)

    def running_on(self, serial: str) -> str | None:
        """Return the id of the task that is using the phone."""
        run = self._run_on(serial)
        return run.id if run is not None else None

    def _run_on(self, serial: str) -> Run | None:
        on_phone = (run for run in self._runs.values() if run.record.device == serial)
        return next((run for run in on_phone if run.works), None)

    @asynccontextmanager
    async def by_hand(self, serial: str) -> AsyncIterator[None]:
        """A person's touch of a phone. A task on that phone must be stopped: paused, or waiting for
        the person. It resumes only after the block.

        Raises DeviceBusy.
        """
        run = self._run_on(serial)
        if run is None:
            async with self._around.fleet.hold(serial):
                yield
        elif not run.control.stands:
            raise DeviceBusy(f"device {serial} is in use by task {run.id}")
        else:
            with run.control.by_hand():
                yield

    async def shown_device(self, serial: str) -> Phone | None:
        """Return the phone as it may be shown, by any route, while a task with secrets uses it."""
        shown = {run.record.device: run.shown for run in self._runs.values() if run.shown}
        if serial in shown or not shown:
            return shown.get(serial)
        phone = await self._around.fleet.phone_of(serial)
        for used, device in shown.items():
            if await self._around.fleet.phone_of(used) == phone:
                return device
        return None

    async def wait(self, task_id: str, seconds: float) -> TaskRecord:
        """Return the task once it has ended, or its state after `seconds`. Raises TaskNotFound."""
        run = self._runs.get(task_id)
        if run is not None and run.job is not None:
            await asyncio.wait([run.job], timeout=seconds)
            return run.record
        return await self.find(task_id)

    async def close(self) -> None:
        """Release every phone. Open tasks stay open in the store, for `recover`."""
        if self._runs and not self._closing:
            log.warning("tasks that go on after the next start: %d", len(self._runs))
        self._closing = True
        jobs = [run.job for run in self._runs.values() if run.job is not None]
        for run in [*self._runs.values()]:
            if run.job is not None and not run.cancelled and not run.ending:
                run.job.cancel()
        if jobs:
            await asyncio.wait(jobs)
        for run in [*self._runs.values()]:
            run.topic.close()
        await self._writing.close()
