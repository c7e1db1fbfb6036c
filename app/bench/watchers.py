"""Measures what many viewers cost a task: the time of its steps with and without them.

It uses a real service process, a virtual phone and a stub engine that answers at once, so that only
the phone and the service take time. A separate process reads the streams of watchers and followers,
`python -m app.bench.watchers URL SERIAL WATCHERS FOLLOWERS`, and ends when its stdin closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from app.bench.load import SEED, reply_to
from app.bench.service_process import service_process
from app.bench.stub_engine import StubEngine, stub_engine
from app.demo.child import ended
from app.demo.phone_process import phone_process
from app.errors import ConfigError

SIDES = (320, 480, 800, 1200)
_FPS = 5
_READ = 2**18
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class WatchedSteps:
    """One run. `step_ms` is the wall time of a step, `shots` the number of screenshots per step,
    `times` the step time relative to that of a run without viewers."""

    watchers: int
    followers: int
    steps: int
    step_ms: float
    shots: float
    times: float


async def measure(
    watchers: int, followers: int, steps: int, progress: Callable[[str], None] = lambda line: None
) -> list[WatchedSteps]:
    """Run a task without viewers, then one with all of them; raises AppError."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="phonepilot-watch-")))
        engine: StubEngine = await stack.enter_async_context(
            stub_engine(lambda: reply_to(engine.asked))
        )
        settings = {
            "PHONEPILOT_ENGINE__KIND": "remote",
            "PHONEPILOT_ENGINE__URL": engine.url,
            "PHONEPILOT_AGENT__CONFIRM": "allow",
        }
        phone = await stack.enter_async_context(phone_process(SEED))
        url = await stack.enter_async_context(service_process(folder, settings))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, timeout=600, trust_env=False)
        )
        answer = await http.post("/devices/connect", json={"address": phone.serial})
        answer.raise_for_status()
        await _step_ms(http, 5)  # to warm up every cache

        async def run() -> tuple[float, float]:
            before = await phone.shots()
            step_ms = await _step_ms(http, steps)
            return step_ms, (await phone.shots() - before) / steps

        progress("nobody watches")
        alone, shots = await run()
        rows = [WatchedSteps(0, 0, steps, round(alone, 1), round(shots, 1), 1.0)]
        progress(f"{watchers} watch, {followers} follow the events")
        async with _readers(url, phone.serial, watchers, followers):
            step_ms, shots = await run()
        times = round(step_ms / alone, 2)
        rows.append(
            WatchedSteps(watchers, followers, steps, round(step_ms, 1), round(shots, 1), times)
        )
        return rows


async def _step_ms(http: httpx.AsyncClient, steps: int) -> float:
    goal = {"goal": f"Touch what there is in {steps} steps", "max_steps": steps}
    answer = await http.post("/tasks", json=goal, params={"wait": 500})
    task: dict[str, Any] = answer.raise_for_status().json()
    if task["status"] != "succeeded":
        raise ConfigError(f"the task {task['status']}: {task['message']}")
    begun, done = (datetime.fromisoformat(task[name]) for name in ("started_at", "ended_at"))
    return (done - begun).total_seconds() / int(task["steps"]) * 1000


@asynccontextmanager
async def _readers(url: str, serial: str, watchers: int, followers: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.bench.watchers", url, serial, str(watchers), str(followers),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin and process.stdout
    try:
        if not await process.stdout.readline():
            raise ConfigError("the watchers did not start", "See their message above.")
        yield
    finally:
        process.stdin.close()
        await ended(process, _STOP_S)


async def _read(url: str, path: str, begun: asyncio.Semaphore) -> None:
    """Request a path, and read the response without looking at it."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=_READ)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    try:
        if b" 200 " not in await reader.readline():
            raise ConfigError(f"the service refused {path}")
        begun.release()
        while await reader.read(_READ):
            pass
    finally:
        writer.close()


async def _read_all(url: str, serial: str, watchers: int, followers: int) -> None:
    begun = asyncio.Semaphore(0)
    sides = islice(cycle(SIDES), watchers)
    paths = [f"/devices/{serial}/stream?max_side={side}&fps={_FPS}" for side in sides]
    paths += ["/devices/events"] * followers
    jobs = [asyncio.create_task(_read(url, path, begun)) for path in paths]
    for _ in jobs:
        await begun.acquire()
    print("reading", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for job in jobs:
        job.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*jobs)


if __name__ == "__main__":
    asyncio.run(_read_all(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
