"""Tasks from the queue to their end: one at a time on each phone.

The runner owns every running task as an asyncio task. What a reader sees (store and events) is
written by the recorder of that task alone, so it is always in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.agent.control import Control
from app.agent.loop import run_loop
from app.agent.outcome import Limits, Outcome
from app.errors import (
    AppError,
    TaskNotFound,
    TaskNotRunning,
)
from app.events import Event, Topic
from app.tasks.assignment import Assignments
from app.tasks.export import write_export
from app.tasks.intake import Defaults, Intake
from app.tasks.metrics import TaskMetrics
from app.tasks.models import (
    OPEN,
    NewTask,
    OpenQuestion,
    Reply,
    Status,
    Step,
    Task,
    TaskError,
)
from app.tasks.person import Person
from app.tasks.ports import Fleet, Lease
from app.tasks.recovery import left_open
from app.tasks.store import Store
from app.tasks.trajectory import Trajectory
from app.tasks.turns import Turns

log = logging.getLogger(__name__)
KEPT_TOPICS = 50
"""Ended tasks whose events are still in memory; older ones are told from the store."""

_STATUS: dict[str, Status] = {
    "finished": "succeeded",
    "cancelled": "cancelled",
    "dry_run": "cancelled",
}


@dataclass
class _Switches:
    """What can be said to a running task."""

    control: Control
    person: Person


class Runner:
    """Accepts, queues, runs, pauses and cancels tasks."""

    def __init__(
        self,
        fleet: Fleet,
        assignments: Assignments,
        store: Store,
        defaults: Defaults,
        metrics: TaskMetrics,
        *,
        keep_screenshots: bool = True,
        return_s: float = 45.0,
    ) -> None:
        self._assignments = assignments
        self._store = store
        self._defaults = defaults
        self._metrics = metrics
        self._keep_screenshots = keep_screenshots
        self._return_s = return_s
        self._intake = Intake(fleet, store, defaults, self.get)
        self._turns = Turns(fleet)
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._live: dict[str, Task] = {}
        self._topics: dict[str, Topic] = {}
        self._trajectories: dict[str, Trajectory] = {}
        self._switches: dict[str, _Switches] = {}
        # Jobs that write down their end: a cancel that comes now is too late and must not
        # interrupt them.
        self._ending: set[str] = set()

    async def recover(self) -> None:
        """Go on with what an earlier run of the service left open."""
        for task in await left_open(self._store, self._defaults.resume_within_s):
            await self._begin(task)

    async def submit(self, new: NewTask, key: str | None = None) -> Task:
        """Queue a task for its phone; with a `key` that came before, the task it stands for.

        Raises DeviceError when no phone fits, InputError for a task that cannot be followed,
        KeyReused for a key that came with another request, ConfigError.
        """
        async with self._intake.claim(key, new) as (task_id, is_new):
            if not is_new:
                return await self.get(task_id)
            task = await self._intake.make(new, task_id)
            self._assignments.policy(task)  # a prompt that is not there is told now
            await self._begin(task)
            return task

    async def _begin(self, task: Task) -> None:
        topic = Topic()
        await self._store.save_task(task)
        self._live[task.id], self._topics[task.id] = task, topic
        topic.publish("task", task.model_dump(mode="json"))
        self._jobs[task.id] = asyncio.create_task(self._job(task, topic), name=f"task {task.id}")

    async def _job(self, task: Task, topic: Topic) -> None:
        try:
            outcome = await self._outcome(task, topic)
        except asyncio.CancelledError:
            outcome = Outcome("cancelled", "Cancelled.")
        self._ending.add(task.id)
        await self._end(task, topic, outcome)

    async def _outcome(self, task: Task, topic: Topic) -> Outcome:
        try:
            async with self._turns.take(task.device) as (phone, lease):
                task.status = "running"
                task.started_at = task.started_at or datetime.now(UTC)
                await self._store.save_task(task)
                topic.publish("task", task.model_dump(mode="json"))
                with self._assignments.slots.hold(phone) as slot:
                    return await self._work(task, topic, lease, slot)
        except AppError as exc:
            return Outcome("device_lost", exc.message, exc)
        except Exception as exc:
            log.exception("task %s crashed", task.id)
            return Outcome("crashed", f"A fault in phonepilot: {exc!r}")

    async def _work(self, task: Task, topic: Topic, lease: Lease, slot: int | None) -> Outcome:
        device = await lease.device()
        goes_on = task.steps > 0
        earlier = await self._intake.conversation(task)
        policy = self._assignments.policy(task, earlier, slot, goes_on=goes_on)
        switches = self._switches_of(task, topic)
        conduct = await self._assignments.conduct(task, device, switches.person, switches.control)
        trajectory = Trajectory(
            task, topic, self._store, self._metrics, keep_screenshots=self._keep_screenshots
        )
        self._trajectories[task.id], self._switches[task.id] = trajectory, switches
        if goes_on:
            conduct.opening = "The service was restarted; see what the last action did."
        limits = Limits(task.max_steps, task.timeout_s, self._return_s, task.steps + 1)
        try:
            return await run_loop(device, policy, trajectory, limits, conduct)
        finally:
            await trajectory.close()
            del self._trajectories[task.id], self._switches[task.id]

    def _switches_of(self, task: Task, topic: Topic) -> _Switches:
        async def told(question: OpenQuestion | None, status: Status) -> None:
            task.status, task.question = status, question
            await self._store.save_task(task)
            topic.publish("task", task.model_dump(mode="json"))

        async def paused(still: bool) -> None:
            await told(None, "paused" if still else "running")

        # Numbers that an earlier run of the service can have used are not used again: an answer to
        # a question of that time must not count for one of now.
        asked = 2 * task.steps
        return _Switches(Control(paused), Person(told, self._defaults.reply_timeout_s, asked))

    async def _end(self, task: Task, topic: Topic, outcome: Outcome) -> None:
        task.status = _STATUS.get(outcome.reason, "failed")
        task.stop_reason, task.message = outcome.reason, outcome.message
        if outcome.error is not None:
            error = outcome.error
            task.error = TaskError(code=error.code, message=error.message, hint=error.hint)
        task.question, task.ended_at = None, datetime.now(UTC)
        await self._store.save_task(task)
        topic.publish("end", task.model_dump(mode="json"))
        topic.close()
        self._metrics.ended(task)
        self._live.pop(task.id, None)
        self._jobs.pop(task.id, None)
        self._ending.discard(task.id)
        ended = [key for key, kept in self._topics.items() if kept.closed]
        for key in ended[: max(0, len(ended) - KEPT_TOPICS)]:
            del self._topics[key]

    async def cancel(self, task_id: str) -> Task:
        """End a queued or running task; returns when nothing acts on the phone any more.

        Raises TaskNotFound and TaskNotRunning.
        """
        job, task = self._jobs.get(task_id), self._live.get(task_id)
        if job is None or task is None:
            ended = await self._store.get_task(task_id)
            raise TaskNotRunning(f"the task has already {ended.status}")
        await self._cancel([task_id])
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

    async def _running(self, task_id: str) -> tuple[_Switches, Task]:
        task = await self.get(task_id)
        switches = self._switches.get(task_id)
        if switches is None:
            raise TaskNotRunning(f"the task is {task.status}")
        return switches, task

    async def get(self, task_id: str) -> Task:
        """Raises TaskNotFound."""
        return self._live.get(task_id) or await self._store.get_task(task_id)

    async def steps(self, task_id: str) -> list[Step]:
        """Raises TaskNotFound."""
        return await self._store.list_steps(task_id)

    async def screenshot(self, task_id: str, number: int) -> Path:
        """The file of a step's screenshot; raises TaskNotFound when there is none."""
        if trajectory := self._trajectories.get(task_id):
            await trajectory.saved()
        path = self._store.screenshot_path((await self.get(task_id)).id, number)
        if not path.is_file():
            raise TaskNotFound(f"there is no screenshot of step {number}")
        return path

    async def export(self, task_id: str, target: Path) -> Task:
        """Write the task as a zip file; raises TaskNotFound."""
        if trajectory := self._trajectories.get(task_id):
            await trajectory.saved()
        task, steps = await self.get(task_id), await self.steps(task_id)
        paths = {step.number: self._store.screenshot_path(task.id, step.number) for step in steps}
        kept = {number: path for number, path in paths.items() if path.is_file()}
        await asyncio.to_thread(write_export, target, task, steps, kept)
        return task

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

    async def events(self, task_id: str, after: int = 0) -> AsyncIterator[Event]:
        """The task's events above number `after`, until its end. Raises TaskNotFound."""
        topic = self._topics.get(task_id)
        if topic is not None:
            async for event in topic.read(after):
                yield event
            return
        for event in await self._told_from_store(task_id):
            if event.seq > after:
                yield event

    async def _told_from_store(self, task_id: str) -> list[Event]:
        task, steps = await self._store.get_task(task_id), await self._store.list_steps(task_id)
        told = [Event(i, "step", step.model_dump(mode="json")) for i, step in enumerate(steps, 1)]
        return [*told, Event(len(told) + 1, "end", task.model_dump(mode="json"))]

    async def wait(self, task_id: str, seconds: float) -> Task:
        """The task once it has ended, or as it is after `seconds`. Raises TaskNotFound."""
        if job := self._jobs.get(task_id):
            await asyncio.wait([job], timeout=seconds)
        return await self.get(task_id)

    async def close(self) -> None:
        """Cancel everything; the phones are idle afterwards."""
        await self._cancel(list(self._jobs))

    async def _cancel(self, task_ids: list[str]) -> None:
        jobs = {key: self._jobs[key] for key in task_ids}
        for key, job in jobs.items():
            if key not in self._ending:
                job.cancel()
        if jobs:
            await asyncio.wait(jobs.values())
        for key in jobs:
            # A job that was cancelled before its first line never came to write down its end.
            if task := self._live.get(key):
                await self._end(task, self._topics[key], Outcome("cancelled", "Cancelled."))
