"""Measures the service's cost of each step when many phones work at once.

It uses a real service process, a real adb server, virtual phones in separate processes, and a stub
engine with prepared answers. The service's own time is the processor time of its process, from its
own metrics: wall clock would include the phones, which share the machine with it here.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.bench.service_process import service_process
from app.bench.stub_engine import StubEngine, stub_engine
from app.demo.phone_process import PhoneControl, phone_process
from app.errors import ConfigError

SEED = 7
_TOGETHER = 8
"""Phones that are started at the same time."""
_POLL_S = 0.5
_ROWS = (275, 350, 425, 500, 575, 650, 725, 800)
"""Thousandths of the height: rows of Settings on the phone with that seed."""
_METRICS = ("process_cpu_seconds_total", "process_resident_memory_bytes")


@dataclass(frozen=True, slots=True)
class Load:
    """One run. `cpu_ms` is the service's processor time per step, memory is in MiB."""

    phones: int
    tasks: int
    steps: int
    seconds: float
    succeeded: int
    cpu_ms: float
    memory_begin: float
    memory_half: float
    memory_end: float


def reply_to(body: bytes) -> str:
    """Return the stub's reply: open Settings, touch rows one after the other, and finish.

    It is stateless. It derives the progress of a task from the turns in its request, and the number
    of steps from the goal.
    """
    messages = json.loads(body)["messages"]
    done = sum(message["role"] == "assistant" for message in messages)
    wanted = int(_text_of(messages[1]).partition("in ")[2].partition(" steps")[0])
    if done + 1 >= wanted:
        call = 'finish(message="That was all.")'
    elif done == 0:
        call = 'do(action="Launch", app="Settings")'
    else:
        call = f'do(action="Tap", element=[{300 + done},{_ROWS[done % len(_ROWS)]}])'
    return f"<think>Step {done + 1} of {wanted}.</think><answer>{call}</answer>"


def _text_of(message: Mapping[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return next(str(part["text"]) for part in content if part["type"] == "text")


@asynccontextmanager
async def _phones(count: int) -> AsyncIterator[list[PhoneControl]]:
    async with AsyncExitStack() as stack:
        gate = asyncio.Semaphore(_TOGETHER)

        async def start() -> PhoneControl:
            async with gate:
                return await stack.enter_async_context(phone_process(SEED))

        yield await asyncio.gather(*(start() for _ in range(count)))


async def measure(
    phones: int, tasks: int, steps: int, progress: Callable[[str], None] = lambda line: None
) -> Load:
    """Run `tasks` tasks of `steps` steps each, for whichever phone is free. Raises AppError."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="phonepilot-load-")))
        engine: StubEngine = await stack.enter_async_context(
            stub_engine(lambda: reply_to(engine.asked))
        )
        settings = {
            "PHONEPILOT_ENGINE__KIND": "remote",
            "PHONEPILOT_ENGINE__URL": engine.url,
            "PHONEPILOT_AGENT__CONFIRM": "allow",
        }
        progress(f"starting {phones} virtual phones")
        controls = await stack.enter_async_context(_phones(phones))
        url = await stack.enter_async_context(service_process(folder, settings))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, timeout=60, trust_env=False)
        )
        for control in controls:
            answer = await http.post("/devices/connect", json={"address": control.serial})
            answer.raise_for_status()
        await _run(http, min(phones, tasks), steps)  # to warm up every phone and cache
        return await _measured(http, phones, tasks, steps, progress)


async def _measured(
    http: httpx.AsyncClient, phones: int, tasks: int, steps: int, progress: Callable[[str], None]
) -> Load:
    before, begun = await _metrics(http), time.monotonic()
    ids = await _give(http, tasks, steps)
    half = before
    for look in itertools.count():
        ended = await _ended(http, ids)
        if ended * 2 < tasks:
            half = await _metrics(http)
        if ended == tasks:
            break
        if look % 20 == 0:
            progress(f"{ended} of {tasks} tasks have ended")
        await asyncio.sleep(_POLL_S)
    after, seconds = await _metrics(http), time.monotonic() - begun
    found = [(await http.get(f"/tasks/{task_id}")).json() for task_id in ids]
    cpu, memory = _METRICS
    taken = sum(task["steps"] for task in found)
    return Load(
        phones=phones,
        tasks=tasks,
        steps=taken,
        seconds=round(seconds, 1),
        succeeded=sum(task["status"] == "succeeded" for task in found),
        cpu_ms=round((after[cpu] - before[cpu]) / max(1, taken) * 1000, 2),
        memory_begin=round(before[memory] / 2**20, 1),
        memory_half=round(half[memory] / 2**20, 1),
        memory_end=round(after[memory] / 2**20, 1),
    )


async def _run(http: httpx.AsyncClient, tasks: int, steps: int) -> None:
    ids = await _give(http, tasks, steps)
    for _ in itertools.count():  # the awaited change is in another process
        if await _ended(http, ids) == tasks:
            return
        await asyncio.sleep(_POLL_S)


async def _give(http: httpx.AsyncClient, tasks: int, steps: int) -> set[str]:
    goal = {"goal": f"Touch what there is in {steps} steps", "device": "any", "max_steps": steps}
    answers = [await http.post("/tasks", json=goal) for _ in range(tasks)]
    return {answer.raise_for_status().json()["id"] for answer in answers}


async def _ended(http: httpx.AsyncClient, ids: set[str]) -> int:
    """Return how many of the tasks are no longer open."""
    states = ["queued", "running", "paused", "needs_confirmation", "needs_human"]
    cursor, still = "", set[str]()
    while True:
        query: dict[str, str | list[str]] = {"limit": "200", "status": states}
        if cursor:
            query["cursor"] = cursor
        answer = await http.get("/tasks", params=httpx.QueryParams(query))
        page = answer.raise_for_status().json()
        still |= {task["id"] for task in page["tasks"]} & ids
        cursor = page["next"] or ""
        if not cursor:
            return len(ids) - len(still)


async def _metrics(http: httpx.AsyncClient) -> dict[str, float]:
    text = (await http.get("/metrics")).text
    rows = (line.rpartition(" ") for line in text.splitlines())
    found = {name: float(value) for name, _, value in rows if name in _METRICS}
    if len(found) < len(_METRICS):
        raise ConfigError(
            "the service does not report processor time on this system", "Run this on Linux."
        )
    return found
