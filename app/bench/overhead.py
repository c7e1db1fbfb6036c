"""Measures phonepilot's own share of each step, without the model and the phone.

Tasks run as in the service, with the store and its screenshots, over a real adb server, on a
virtual phone that reports how long it worked, with a stub engine that does the same. The rest of
the wall clock is phonepilot's: adb server and link, waiting for a still screen, encoding, the
request, parsing, recording.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry

from app.adb.fleet import Fleet
from app.adb.server import AdbServer
from app.agent.conduct import Conduct
from app.agent.dialects import dialect_named
from app.agent.history import History
from app.agent.loop import run_loop
from app.agent.outcome import Limits
from app.agent.policy import VisionPolicy
from app.agent.ports import Message, ReplyStream
from app.agent.prompt import load_prompt
from app.agent.retry import AT_ONCE
from app.agent.step import Answer, Question, StepRecord
from app.bench.device import Latency, PhoneWork
from app.bench.stub_engine import StubEngine, stub_engine
from app.demo.phone_process import phone_process
from app.errors import EngineError
from app.events import Topic
from app.llm.client import ChatClient, Sampling
from app.tasks.database import Database
from app.tasks.metrics import TaskMetrics
from app.tasks.recorder import TaskRecorder
from app.tasks.store import Store
from app.tasks.stored import TaskRecord

Kind = Literal["tap", "type"]
PHASES = ("observe", "encode", "request", "parse", "act", "record", "total")
SEED = 7
_SWITCH = (879, 275)
"""Thousandths: the switch of Bluetooth in the Settings of the phone with that seed."""
_NEW_NOTE = (928, 2176)
"""Pixels of the button in Notes that opens a note with the focus in its title."""
_WARM_UP = 3


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """One phase of a step in milliseconds: phonepilot's part, and the phone's or the engine's."""

    name: str
    ours: Latency
    theirs: Latency


def _replies(kind: Kind) -> Iterator[str]:
    texts = itertools.cycle(("phonepilot bench", "how long it takes"))
    while True:
        call = (
            f'do(action="Tap", element=[{_SWITCH[0]},{_SWITCH[1]}])'
            if kind == "tap"
            else f'do(action="Type", text="{next(texts)}")'
        )
        yield f"<think>The next step is due, as the last one was.</think><answer>{call}</answer>"


class _Willing:
    """A person who always agrees: a bench that repeats itself looks like a stalled task."""

    async def ask(self, question: Question) -> Answer:
        return Answer(True)


class _Chat:
    """The client of the stub, as the service would use it."""

    context = 16384
    pauses = AT_ONCE

    def __init__(self, client: ChatClient) -> None:
        self._client = client

    def switch(self, error: EngineError) -> str:
        return ""

    def ask(
        self, messages: Sequence[Message], *, grammar: str = ""
    ) -> AbstractAsyncContextManager[ReplyStream]:
        return self._client.stream(messages, sampling=Sampling(0.0, 0.85, 0.2, 3000))

    async def count(self, messages: Sequence[Message]) -> int:
        return await self._client.count(messages)

    async def warm(self, messages: Sequence[Message]) -> None:
        await self._client.warm(messages)


@dataclass
class _Clocked:
    """A recorder that forwards everything, and measures the times of each step. Querying the times
    of the phone and the engine is not counted."""

    recorder: TaskRecorder
    phone: PhoneWork
    engine: StubEngine
    begun: float = 0.0
    asking: float = 0.0
    theirs: dict[str, float] = field(default_factory=dict)
    steps: list[dict[str, tuple[float, float]]] = field(default_factory=list)
    """For each step and phase: seconds of wall clock, and the share of the phone or the engine."""

    async def _note(self, phase: str) -> None:
        now = time.perf_counter()
        self.theirs[phase] = await self.phone.seconds()
        self.asking += time.perf_counter() - now

    async def observed(self, step: StepRecord) -> None:
        await self._note("observe")
        await self.recorder.observed(step)

    def thought(self, number: int, text: str) -> None:
        self.recorder.thought(number, text)

    async def decided(self, step: StepRecord) -> None:
        self.theirs["request"], self.engine.worked_s = self.engine.worked_s, 0.0
        await self.recorder.decided(step)

    async def stepped(self, step: StepRecord) -> None:
        await self._note("act")
        await self.recorder.stepped(step)
        total = time.perf_counter() - self.begun - self.asking
        ms = step.timings_ms
        seconds = {
            "observe": (ms["screenshot"] + ms["current_app"]) / 1000,
            **{name: ms[name] / 1000 for name in ("encode", "request", "parse", "act")},
        }
        seconds["record"] = total - sum(seconds.values())
        seconds["total"] = total
        self.theirs["total"] = sum(self.theirs.values())
        self.steps.append({name: (seconds[name], self.theirs.get(name, 0.0)) for name in PHASES})
        self.theirs.clear()
        self.asking, self.begun = 0.0, time.perf_counter()


async def measure(kind: Kind, count: int) -> list[PhaseRow]:
    """Measure `count` steps of one kind, after a few warm-up steps. Raises AppError."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="phonepilot-bench-")))
        control = await stack.enter_async_context(phone_process(SEED))
        phone = await stack.enter_async_context(PhoneWork(control.url, control.token))
        replies = _replies(kind)
        engine = await stack.enter_async_context(stub_engine(lambda: next(replies)))
        client = ChatClient(engine.base_url, local=True)
        stack.push_async_callback(client.aclose)
        adb = AdbServer(private=True)
        stack.push_async_callback(adb.stop)
        fleet = Fleet(await adb.start(), state_dir=folder)
        database = Database(folder)
        stack.push_async_callback(database.close)
        store = Store(database)
        await fleet.connect(control.serial)
        lease = await stack.enter_async_context(fleet.hold(control.serial))
        device = await lease.device()
        await device.launch("com.android.settings" if kind == "tap" else "org.phonepilot.notes")
        if kind == "type":
            await device.tap(*_NEW_NOTE)
        task = _task(control.serial, count + _WARM_UP)
        await store.save_task(task)
        recorder = TaskRecorder(
            task, Topic(), store, TaskMetrics(CollectorRegistry()), keep_screenshots=True
        )
        clocked = _Clocked(recorder, phone, engine, time.perf_counter())
        dialect, today = dialect_named("autoglm"), datetime.now(UTC).date()
        history = History(dialect, load_prompt(dialect.prompt, "en", today), task.goal)
        policy = VisionPolicy(_Chat(client), history, None)
        limits = Limits(task.max_steps, task.timeout_s)
        await run_loop(device, policy, clocked, limits, Conduct(person=_Willing()))
        await recorder.close()
    return _rows(clocked.steps[_WARM_UP:])


def _task(serial: str, steps: int) -> TaskRecord:
    return TaskRecord(
        id="bench",
        goal="Measure how long a step takes",
        device=serial,
        status="running",
        max_steps=steps,
        timeout_s=3600,
        lang="en",
        created_at=datetime.now(UTC),
    )


def _rows(steps: list[dict[str, tuple[float, float]]]) -> list[PhaseRow]:
    return [
        PhaseRow(
            name,
            Latency.of([step[name][0] - step[name][1] for step in steps]),
            Latency.of([step[name][1] for step in steps]),
        )
        for name in PHASES
    ]
