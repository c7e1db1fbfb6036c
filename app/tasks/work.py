"""The work on one task, from its turn on a phone to its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.agent.control import Control
from app.agent.dialects.base import Exchange
from app.agent.loop import MAY_COME_BACK, run_loop
from app.agent.outcome import Limits, Outcome
from app.agent.ports import Device
from app.events import Topic
from app.tasks.assignment import Assignments
from app.tasks.metrics import TaskMetrics
from app.tasks.models import OpenQuestion, Status, Task
from app.tasks.person import Person
from app.tasks.ports import Fleet
from app.tasks.queue import Turn
from app.tasks.records import Records
from app.tasks.retention import Retention
from app.tasks.secrets import DiscreetDevice, Secrets
from app.tasks.store import Store
from app.tasks.trajectory import Trajectory
from app.tasks.webhooks import Webhooks


@dataclass
class Switches:
    """What can be said to a running task."""

    control: Control
    person: Person


@dataclass(frozen=True)
class WorkLimits:
    """How long a person and a phone are waited for, in seconds; whether pictures are kept."""

    reply_s: float
    return_s: float
    keep_screenshots: bool


class Work:
    """Brings phone, model and record together for each task; `switches` are those that run."""

    def __init__(
        self,
        fleet: Fleet,
        assignments: Assignments,
        store: Store,
        records: Records,
        secrets: Secrets,
        metrics: TaskMetrics,
        webhooks: Webhooks,
        retention: Retention,
        limits: WorkLimits,
    ) -> None:
        self._fleet = fleet
        self._assignments = assignments
        self._store = store
        self._records = records
        self._secrets = secrets
        self._metrics = metrics
        self._webhooks = webhooks
        self._retention = retention
        self._limits = limits
        self._shown: dict[str, Device] = {}
        self.switches: dict[str, Switches] = {}

    async def do(
        self, task: Task, topic: Topic, turn: Turn, earlier: Sequence[Exchange]
    ) -> Outcome:
        """Work on the task until it is over. `earlier` is the conversation so far.

        Raises DeviceError for a phone that does not come, AppNotFound for an allowed app that it
        does not have, ConfigError for a prompt that is not there.
        """
        goes_on = task.steps > 0
        device = self._discreet(task, await self._phone(turn), goes_on=goes_on)
        policy = self._assignments.policy(task, earlier, turn.phone, goes_on=goes_on)
        switches = self._switches_of(task, topic)
        conduct = await self._assignments.conduct(
            task, turn.phone, device, switches.person, switches.control
        )
        if goes_on:
            conduct.opening = "The service was restarted; see what the last action did."
        keep = self._limits.keep_screenshots and not self._retention.is_tight
        trajectory = Trajectory(task, topic, self._store, self._metrics, keep_screenshots=keep)
        self._records.trajectories[task.id], self.switches[task.id] = trajectory, switches
        if isinstance(device, DiscreetDevice):
            self._shown[turn.serial] = device
        limits = Limits(task.max_steps, task.timeout_s, self._limits.return_s, task.steps + 1)
        try:
            return await run_loop(device, policy, trajectory, limits, conduct)
        finally:
            self._shown.pop(turn.serial, None)
            try:
                await trajectory.close()
            finally:
                del self._records.trajectories[task.id], self.switches[task.id]

    async def shown_device(self, serial: str) -> Device | None:
        """The phone as it may be shown, by whichever route, while a task with secrets has it."""
        if serial in self._shown or not self._shown:
            return self._shown.get(serial)
        phone = await self._fleet.phone_of(serial)
        for used, device in [*self._shown.items()]:
            if await self._fleet.phone_of(used) == phone:
                return device
        return None

    async def _phone(self, turn: Turn) -> Device:
        """The phone whose turn it is; it may be away for a moment, as after a restart."""
        try:
            return await turn.lease.device()
        except MAY_COME_BACK:
            await self._fleet.wait_ready(turn.serial, self._limits.return_s)
            return await turn.lease.device()

    def _discreet(self, task: Task, device: Device, *, goes_on: bool) -> Device:
        values = self._secrets.values(task.id, task.goal)
        if not values:
            return device
        anywhere = task.secret_fields == "any"
        # An earlier run of the service may have typed any of them.
        return DiscreetDevice(device, values, anywhere=anywhere, typed=goes_on)

    def _switches_of(self, task: Task, topic: Topic) -> Switches:
        async def told(question: OpenQuestion | None, status: Status) -> None:
            task.status, task.question = status, question
            await self._store.save_task(task)
            topic.publish("task", task.model_dump(mode="json"))
            if question is not None:
                await self._webhooks.tell("task.question", task, str(question.number))

        async def paused(still: bool) -> None:
            await told(None, "paused" if still else "running")

        # Numbers that an earlier run of the service can have used are not used again: an answer to
        # a question of that time must not count for one of now.
        asked = 2 * task.steps
        return Switches(Control(paused), Person(told, self._limits.reply_s, asked))
