"""One task from the queue to its end, and everything known about it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from app.agent.control import Control
from app.agent.dialects.base import Exchange
from app.agent.loop import MAY_COME_BACK, run_loop
from app.agent.outcome import Limits, Outcome
from app.agent.retry import Wait
from app.events import Topic
from app.tasks.equipment import Equipment
from app.tasks.gate import Gate
from app.tasks.metrics import TaskMetrics
from app.tasks.models import OPEN, OpenQuestion, Status, TaskError
from app.tasks.person import Person
from app.tasks.ports import Fleet, Phone
from app.tasks.queue import Grant
from app.tasks.recorder import TaskRecorder
from app.tasks.retention import Retention
from app.tasks.secrets import DiscreetDevice, Secrets
from app.tasks.store import Store
from app.tasks.stored import TaskRecord
from app.tasks.webhooks import Webhooks
from app.visible import visible

EACH_RUN = 10**9
"""Offset of the event numbers of each run of the service: above any that a reader can have received
before, so that a reader that resumes misses no event, in particular not the end."""
_STATUS: dict[str, Status] = {
    "finished": "succeeded",
    "cancelled": "cancelled",
    "dry_run": "cancelled",
}
"""The status by the reason of an end; every other reason is a failure."""


@dataclass
class Surroundings:
    """What all runs of one service share.

    `equipment` is replaced with the model, while the `gate` is closed. `reply_s` and `return_s` are
    how long to wait for a person and for a phone, in seconds.
    """

    fleet: Fleet
    equipment: Equipment
    store: Store
    metrics: TaskMetrics
    webhooks: Webhooks
    retention: Retention
    secrets: Secrets = field(default_factory=Secrets)
    gate: Gate = field(default_factory=Gate)
    reply_s: float = 300.0
    return_s: float = 45.0
    keep_screenshots: bool = True


class Run:
    """One task that has not ended. Owned by the runner; used from one event loop.

    `record` is the task's current state, `topic` its events, `control` its pause switch, `person`
    who is asked, `given` the secrets that came with it. `job` is the asyncio task that works on it.
    """

    def __init__(
        self, record: TaskRecord, around: Surroundings, given: Mapping[str, str] | None = None
    ) -> None:
        self.record = record
        self.topic = Topic(record.restarts * EACH_RUN)
        self.control = Control(self._paused)
        self.person = Person(self._asked, around.reply_s, record.asked)
        self.given = dict(given or {})
        self.job: asyncio.Task[None] | None = None
        self.recorder: TaskRecorder | None = None
        self.shown: DiscreetDevice | None = None
        """The phone as others may see it, while this task has secrets on it."""
        self.cancelled = False
        """Whether a person has cancelled the task. Only once: a second cancellation would interrupt
        the release of the phone."""
        self.ending = False
        """Its end is being stored; a cancellation that arrives now is too late."""
        self._around = around

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def works(self) -> bool:
        """Whether it has a phone."""
        return self.record.status in OPEN and self.record.status != "queued"

    async def change(self, **fields: Any) -> None:
        """Set fields of the record, store it, and notify the followers."""
        for name, value in fields.items():
            setattr(self.record, name, value)
        await self._around.store.save_task(self.record)
        self.announce()

    def announce(self) -> None:
        self.topic.publish("task", self.record.event())

    async def work(self, grant: Grant, earlier: Sequence[Exchange]) -> Outcome:
        """Work on the task with the granted phone until it is over.

        `earlier` is the conversation so far. Raises DeviceError if the phone does not appear,
        AppNotFound for an allowed app that it lacks, ConfigError for a missing prompt, DiskFull.
        """
        around, record = self._around, self.record
        equipment = around.equipment
        await self.change(
            status="running",
            device=grant.serial,
            profile=equipment.name,
            started_at=record.started_at or datetime.now(UTC),
        )
        goes_on = record.steps > 0
        device = self._discreet(await self._phone(grant), goes_on=goes_on)
        retry = replace(equipment.retry, on_wait=self._waits_for_the_engine)
        policy = equipment.policy(record, earlier, grant.phone, goes_on=goes_on, retry=retry)
        conduct = await equipment.conduct(
            record, grant.phone, device, self.person, self.control, retry
        )
        if goes_on:
            conduct.opening = "The service was restarted; see what the last action did."
        keep = around.keep_screenshots and not around.retention.is_tight
        self.recorder = TaskRecorder(
            record, self.topic, around.store, around.metrics, keep_screenshots=keep
        )
        self.shown = device if isinstance(device, DiscreetDevice) else None
        limits = Limits(record.max_steps, record.timeout_s, around.return_s, record.steps + 1)
        try:
            return await run_loop(device, policy, self.recorder, limits, conduct)
        finally:
            self.shown = None
            await self.recorder.close()

    async def end(self, outcome: Outcome) -> None:
        """Store the end. Followers are notified even if storing fails; raises the error that
        prevented it, with the record as it is to be stored."""
        self.ending = True
        record, error = self.record, outcome.error
        record.status = _STATUS.get(outcome.reason, "failed")
        record.stop_reason, record.message = outcome.reason, outcome.message
        record.error = TaskError.of(error) if error is not None else None
        record.question, record.ended_at = None, datetime.now(UTC)
        self.given.clear()
        try:
            await self.write_end()
        finally:
            self.topic.publish("end", record.event())
            self.topic.close()

    async def write_end(self) -> None:
        # The webhook first: after a kill in between, the task ends again, and the receiver gets the
        # event twice instead of never.
        await self._around.webhooks.tell("task.ended", self.record)
        await self._around.store.save_task(self.record)
        self._around.metrics.ended(self.record)

    async def _phone(self, grant: Grant) -> Phone:
        """Return the granted phone; it may be away for a moment, as after a restart."""
        while True:
            await self.control.gate()
            try:
                return await grant.lease.device()
            except MAY_COME_BACK:
                away = self._around.fleet.wait_ready(grant.serial, self._around.return_s)
                await self.control.unless_paused(away)
                if not self.control.pausing:
                    return await grant.lease.device()

    def _discreet(self, device: Phone, *, goes_on: bool) -> Phone:
        record = self.record
        anywhere = record.secret_fields == "any"
        secrets = self._around.secrets.of(record.goal, self.given, anywhere=anywhere)
        if not secrets:
            return device
        # An earlier run of the service may have typed any of them.
        return DiscreetDevice(device, secrets, typed=goes_on)

    async def _asked(self, question: OpenQuestion | None, status: Status) -> None:
        asked = question.number if question is not None else self.record.asked
        await self.change(status=status, question=question, asked=asked)
        if question is not None:
            await self._around.webhooks.tell("task.question", self.record, str(question.number))

    def _waits_for_the_engine(self, wait: Wait) -> None:
        self.topic.publish(
            "retry",
            {
                "step": self.record.steps,
                "wait_s": wait.seconds,
                "code": wait.error.code,
                "message": visible(wait.text),
            },
        )

    async def _paused(self, still: bool) -> None:
        await self.change(status="paused" if still else "running", question=None)
