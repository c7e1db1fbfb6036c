"""Tasks from the queue to their end: one at a time on each phone.

The runner owns every running task as an asyncio task. What a reader sees (store and events) is
written by the recorder of that task alone, so it is always in order.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal, Protocol

from app.agent.history import History
from app.agent.loop import Limits, Outcome, run_loop
from app.agent.policy import VisionPolicy
from app.agent.ports import Chat
from app.agent.prompt import load_prompt
from app.errors import AppError, TaskNotFound, TaskNotRunning
from app.events import Event, Topic
from app.tasks.models import NewTask, Status, Step, Task, TaskError
from app.tasks.ports import Fleet, Lease
from app.tasks.store import Store
from app.tasks.trajectory import Trajectory

log = logging.getLogger(__name__)
KEPT_TOPICS = 50
"""Ended tasks whose events are still in memory; older ones are told from the store."""

_STATUS: dict[str, Status] = {"finished": "succeeded", "cancelled": "cancelled"}


class Defaults(Protocol):
    """The part of the configuration that tasks depend on."""

    @property
    def lang(self) -> Literal["en", "zh"]: ...

    @property
    def max_steps(self) -> int: ...

    @property
    def timeout_s(self) -> float: ...

    @property
    def profile(self) -> str: ...


class Profile(Protocol):
    """How one model is asked."""

    @property
    def prompt(self) -> str: ...

    @property
    def image_width(self) -> int: ...

    @property
    def image_height(self) -> int: ...

    @property
    def feedback(self) -> bool: ...


class Runner:
    """Accepts, queues, runs and cancels tasks."""

    def __init__(
        self,
        fleet: Fleet,
        chat: Chat,
        store: Store,
        defaults: Defaults,
        profile: Profile,
        *,
        keep_screenshots: bool = True,
        return_s: float = 45.0,
    ) -> None:
        self._fleet = fleet
        self._chat = chat
        self._store = store
        self._defaults = defaults
        self._profile = profile
        self._keep_screenshots = keep_screenshots
        self._return_s = return_s
        self._queues: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._live: dict[str, Task] = {}
        self._topics: dict[str, Topic] = {}
        self._trajectories: dict[str, Trajectory] = {}
        # Jobs that write down their end: a cancel that comes now is too late and must not
        # interrupt them.
        self._ending: set[str] = set()

    async def recover(self) -> None:
        """Mark what an earlier run left unfinished; nothing is repeated on a phone unasked."""
        for task in await self._store.unfinished():
            task.status, task.ended_at = "interrupted", datetime.now(UTC)
            task.message = "The service ended while this task was open."
            await self._store.save_task(task)

    async def submit(self, new: NewTask) -> Task:
        """Queue a task for its phone. Raises DeviceError when no phone fits, ConfigError."""
        lang = new.lang or self._defaults.lang
        load_prompt(self._profile.prompt, lang, _today())
        device = await self._fleet.choose(new.device)
        task = Task(
            id=secrets.token_hex(8),
            goal=new.goal,
            device=device.serial,
            status="queued",
            max_steps=new.max_steps or self._defaults.max_steps,
            timeout_s=new.timeout_s or self._defaults.timeout_s,
            lang=lang,
            profile=self._defaults.profile,
            created_at=datetime.now(UTC),
        )
        topic = Topic()
        await self._store.save_task(task)
        self._live[task.id], self._topics[task.id] = task, topic
        topic.publish("task", task.model_dump(mode="json"))
        self._jobs[task.id] = asyncio.create_task(self._job(task, topic), name=f"task {task.id}")
        return task

    async def _job(self, task: Task, topic: Topic) -> None:
        try:
            outcome = await self._outcome(task, topic)
        except asyncio.CancelledError:
            outcome = Outcome("cancelled", "Cancelled.")
        self._ending.add(task.id)
        await self._end(task, topic, outcome)

    async def _outcome(self, task: Task, topic: Topic) -> Outcome:
        try:
            async with self._queues[task.device], self._fleet.hold(task.device) as lease:
                task.status, task.started_at = "running", datetime.now(UTC)
                await self._store.save_task(task)
                topic.publish("task", task.model_dump(mode="json"))
                return await self._work(task, topic, lease)
        except AppError as exc:
            return Outcome("device_lost", exc.message, exc)
        except Exception as exc:
            log.exception("task %s crashed", task.id)
            return Outcome("crashed", f"A fault in phonepilot: {exc!r}")

    async def _work(self, task: Task, topic: Topic, lease: Lease) -> Outcome:
        device = await lease.device()
        profile = self._profile
        history = History(load_prompt(profile.prompt, task.lang, _today()), task.goal)
        size = (profile.image_width, profile.image_height) if profile.image_width else None
        policy = VisionPolicy(self._chat, history, size, feedback=profile.feedback)
        trajectory = Trajectory(task, topic, self._store, keep_screenshots=self._keep_screenshots)
        self._trajectories[task.id] = trajectory
        try:
            return await run_loop(
                device, policy, trajectory, Limits(task.max_steps, task.timeout_s, self._return_s)
            )
        finally:
            await trajectory.close()
            del self._trajectories[task.id]

    async def _end(self, task: Task, topic: Topic, outcome: Outcome) -> None:
        task.status = _STATUS.get(outcome.reason, "failed")
        task.stop_reason, task.message = outcome.reason, outcome.message
        if outcome.error is not None:
            error = outcome.error
            task.error = TaskError(code=error.code, message=error.message, hint=error.hint)
        task.ended_at = datetime.now(UTC)
        await self._store.save_task(task)
        topic.publish("end", task.model_dump(mode="json"))
        topic.close()
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

    def running_on(self, serial: str) -> str | None:
        """The id of the task that uses the phone now."""
        on_phone = (t for t in self._live.values() if t.device == serial and t.status == "running")
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


def _today() -> date:
    return datetime.now().astimezone().date()
