"""Tasks from the queue to their end: one at a time on each phone.

The runner owns every running task as an asyncio task. What a reader sees (store and events) is
written by the recorder of that task alone, so it is always in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from app.agent.outcome import Outcome
from app.errors import (
    AppError,
    TaskNotRunning,
)
from app.events import Topic
from app.log import about_task
from app.tasks.assignment import Assignments
from app.tasks.intake import Defaults, Intake
from app.tasks.metrics import TaskMetrics
from app.tasks.models import (
    OPEN,
    NewTask,
    Reply,
    Status,
    Task,
    TaskError,
)
from app.tasks.ports import Fleet
from app.tasks.queue import Queue, Ticket
from app.tasks.records import EACH_RUN, Records
from app.tasks.recovery import left_open
from app.tasks.retention import Retention
from app.tasks.secrets import Secrets
from app.tasks.store import Store
from app.tasks.webhooks import Webhooks
from app.tasks.work import Switches, Work, WorkLimits

log = logging.getLogger(__name__)

_STATUS: dict[str, Status] = {
    "finished": "succeeded",
    "cancelled": "cancelled",
    "dry_run": "cancelled",
}


class Runner:
    """Accepts, queues, runs, pauses and cancels tasks."""

    def __init__(
        self,
        fleet: Fleet,
        assignments: Assignments,
        store: Store,
        defaults: Defaults,
        metrics: TaskMetrics,
        queue: Queue,
        webhooks: Webhooks,
        retention: Retention,
        *,
        keep_screenshots: bool = True,
        return_s: float = 45.0,
    ) -> None:
        self._assignments = assignments
        self._store = store
        self._defaults = defaults
        self._metrics = metrics
        self._queue = queue
        self._webhooks = webhooks
        self._retention = retention
        self._secrets = Secrets()
        self.records = Records(store, assignments.dialect)
        self._live = self.records.live
        self._topics = self.records.topics
        self._intake = Intake(fleet, store, defaults, self.records.get, assignments.dialect)
        limits = WorkLimits(defaults.reply_timeout_s, return_s, keep_screenshots)
        self._work = Work(
            fleet,
            assignments,
            store,
            self.records,
            self._secrets,
            metrics,
            webhooks,
            retention,
            limits,
        )
        self.shown_device = self._work.shown_device
        self._closing = False
        self._jobs: dict[str, asyncio.Task[None]] = {}
        # Tasks that a person has cancelled: once, since a second time would interrupt what lets go
        # of the phone.
        self._cancelled: set[str] = set()
        # Tasks whose end is being written down: a cancel that comes now is too late and must not
        # interrupt that.
        self._ending: set[str] = set()

    async def recover(self, alive_at: datetime | None) -> None:
        """Go on with what an earlier run of the service left open when it was last alive."""
        within_s = self._defaults.resume_within_s
        for task in await left_open(self._store, self._secrets, within_s, alive_at):
            if task.status == "interrupted":
                await self._write_end(task)
            else:
                await self._begin(task)

    async def submit(self, new: NewTask, key: str | None = None) -> Task:
        """Queue a task for its phone; with a `key` that came before, the task it stands for.

        Raises DeviceError when no phone fits, InputError for a task that cannot be followed,
        KeyReused for a key that came with another request, ConfigError.
        """
        async with self._intake.claim(key, new) as (task_id, is_new):
            if not is_new:
                return await self.find(task_id)
            self._retention.check()
            if new.callback_url is not None:
                self._webhooks.check(new.callback_url)
            given = {name: value.get_secret_value() for name, value in new.secrets.items()}
            task = await self._intake.make(new, task_id)
            self._assignments.policy(task)  # a prompt that is not there is told now
            self._secrets.keep(task_id, new.goal, given)
            await self._begin(task)
            return task

    async def _begin(self, task: Task) -> None:
        topic = Topic(task.restarts * EACH_RUN)
        await self._store.save_task(task)
        self._live[task.id], self._topics[task.id] = task, topic
        topic.publish("task", task.model_dump(mode="json"))
        if self._closing:
            topic.close()  # it begins when the service is started again
            return
        self._jobs[task.id] = asyncio.create_task(self._job(task, topic), name=f"task {task.id}")

    async def _job(self, task: Task, topic: Topic) -> None:
        with about_task(task.id):
            try:
                outcome = await self._outcome(task, topic)
            except asyncio.CancelledError:
                if self._closing and task.id not in self._cancelled:
                    return
                outcome = Outcome("cancelled", "Cancelled.")
            await self._end(task, topic, outcome)

    async def _outcome(self, task: Task, topic: Topic) -> Outcome:
        try:
            ticket = Ticket(task.id, task.device, task.priority)
            async with self._queue.take(ticket) as turn:
                task.status, task.device = "running", turn.serial
                task.started_at = task.started_at or datetime.now(UTC)
                await self._store.save_task(task)
                topic.publish("task", task.model_dump(mode="json"))
                earlier = await self._intake.conversation(task)
                return await self._work.do(task, topic, turn, earlier)
        except AppError as exc:
            return Outcome.of(exc)
        except Exception as exc:
            log.exception("task %s crashed", task.id)
            return Outcome("crashed", f"A fault in phonepilot: {exc!r}")

    async def _end(self, task: Task, topic: Topic, outcome: Outcome) -> None:
        self._ending.add(task.id)
        task.status = _STATUS.get(outcome.reason, "failed")
        task.stop_reason, task.message = outcome.reason, outcome.message
        if outcome.error is not None:
            error = outcome.error
            task.error = TaskError(code=error.code, message=error.message, hint=error.hint)
        task.question, task.ended_at = None, datetime.now(UTC)
        try:
            await self._write_end(task)
        except Exception:  # the phone is free again, and readers must not wait for ever
            log.exception(
                "the end of task %s is not written down; a restart goes on with it", task.id
            )
        else:
            self.records.ended(task.id)
        topic.publish("end", task.model_dump(mode="json"))
        topic.close()
        self._jobs.pop(task.id, None)
        self._ending.discard(task.id)
        self._cancelled.discard(task.id)
        self._secrets.forget(task.id)

    async def _write_end(self, task: Task) -> None:
        # The webhook before the end: a kill in between makes the task end once more, and the
        # receiver hears of it twice, never not at all.
        await self._webhooks.tell("task.ended", task)
        await self._store.save_task(task)
        self._metrics.ended(task)

    async def cancel(self, task_id: str) -> Task:
        """End a queued or running task; returns when nothing acts on the phone any more.

        Raises TaskNotFound and TaskNotRunning.
        """
        job, task = self._jobs.get(task_id), self._live.get(task_id)
        if job is None or task is None:
            ended = await self._store.get_task(task_id)
            raise TaskNotRunning(f"the task has already {ended.status}")
        if task_id not in self._cancelled | self._ending:
            self._cancelled.add(task_id)
            job.cancel()
        await asyncio.wait({job})
        if task_id in self._live and task_id not in self._ending:
            # It was cancelled before its first line, and never came to write down its end.
            await self._end(task, self._topics[task_id], Outcome("cancelled", "Cancelled."))
        return task

    async def pause(self, task_id: str) -> Task:
        """Hold a running task; returns when nothing acts on the phone any more.

        Raises TaskNotFound and TaskNotRunning.
        """
        switches, task = await self._running(task_id)
        idle = asyncio.ensure_future(switches.control.pause())
        try:
            await asyncio.wait({idle, self._jobs[task_id]}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            idle.cancel()
        return task

    async def resume(self, task_id: str) -> Task:
        """Let a paused task go on, from a fresh look. Raises TaskNotFound and TaskNotRunning."""
        switches, task = await self._running(task_id)
        switches.control.resume()
        return task

    async def reply(self, task_id: str, reply: Reply) -> Task:
        """Answer a task's question. Raises TaskNotFound, TaskNotRunning and NoOpenQuestion."""
        switches, task = await self._running(task_id)
        switches.person.reply(reply)
        return task

    async def _running(self, task_id: str) -> tuple[Switches, Task]:
        task = await self.find(task_id)
        switches = self._work.switches.get(task_id)
        if switches is None:
            raise TaskNotRunning(f"the task is {task.status}")
        return switches, task

    async def find(self, task_id: str) -> Task:
        """Raises TaskNotFound."""
        return await self.records.get(task_id)

    def open_tasks(self) -> Mapping[str, int]:
        """How many tasks are in each state that is not an end."""
        return Counter(task.status for task in self._live.values() if task.status in OPEN)

    def running_on(self, serial: str) -> str | None:
        """The id of the task that uses the phone now."""
        on_phone = (
            task
            for task in self._live.values()
            if task.device == serial and task.status in OPEN and task.status != "queued"
        )
        return next((task.id for task in on_phone), None)

    def stands_still_on(self, serial: str) -> bool:
        """Whether the task that has the phone leaves it to the person for now."""
        task = self._live.get(self.running_on(serial) or "")
        if task is None:
            return False
        handed_over = task.question is not None and task.question.kind in ("take_over", "question")
        return task.status == "paused" or handed_over

    async def wait(self, task_id: str, seconds: float) -> Task:
        """The task once it has ended, or as it is after `seconds`. Raises TaskNotFound."""
        if job := self._jobs.get(task_id):
            await asyncio.wait([job], timeout=seconds)
        return await self.find(task_id)

    async def close(self) -> None:
        """Let go of every phone. What is open stays open in the store, for `recover`."""
        if self._live and not self._closing:
            log.warning("tasks that go on after the next start: %d", len(self._live))
        self._closing = True
        for task_id, job in self._jobs.items():
            if task_id not in self._cancelled | self._ending:
                job.cancel()
        if self._jobs:
            await asyncio.wait([*self._jobs.values()])
        for topic in self._topics.values():
            topic.close()
