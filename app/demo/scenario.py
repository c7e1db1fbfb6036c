"""The demo: every part of phonepilot on this machine, one goal, and a verdict from the phone.

Nothing is simulated except the phone: a person's sentence is sent over HTTP, a GLM-4V model in
llama.cpp looks at screenshots taken over a real adb server, and its answers become taps.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.client import ServiceClient
from app.demo.phone_process import PhoneControl, phone_process
from app.errors import EngineStartFailed
from app.serving import serve
from app.settings import Settings, load_settings

DEFAULT_GOAL = "Turn on Bluetooth"
DEFAULT_SEED = 7
POLL_S = 0.05


@dataclass(frozen=True)
class Stage:
    """All parts, running."""

    service: ServiceClient
    phone: PhoneControl


def demo_settings(folder: Path, port: int) -> Settings:
    """The settings with the demo model, a private adb server and a separate data folder."""
    overrides = {
        "adb.private": True,
        "service.port": port,
        "service.data_dir": str(folder),
    }
    return load_settings(("demo",), overrides)


@asynccontextmanager
async def stage(seed: int, port: int) -> AsyncIterator[Stage]:
    """Run phone, adb server, engine and service during the block; everything is removed afterwards.

    Raises AppError.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="phonepilot-demo-"))
        settings = demo_settings(Path(folder), port)
        phone = await stack.enter_async_context(phone_process(seed))
        url = await stack.enter_async_context(_service(settings))
        service = await stack.enter_async_context(ServiceClient(url))
        await service.post("/devices/connect", {"address": phone.serial})
        yield Stage(service, phone)


@asynccontextmanager
async def _service(settings: Settings) -> AsyncIterator[str]:
    answers, urls = asyncio.Event(), list[str]()

    def ready(url: str) -> None:
        urls.append(url)
        answers.set()

    running = asyncio.create_task(serve(settings, ready))
    waiting = asyncio.create_task(answers.wait())
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if running.done():
            await running  # raises the error that kept it from starting
        yield urls[0]
    finally:
        running.cancel()
        await asyncio.wait({running})


async def engine_ready(service: ServiceClient) -> dict[str, Any]:
    """Return the engine's state once it is ready; raises EngineStartFailed if it fails."""
    while True:
        engine = await service.get("/engine")
        if engine["state"] == "ready":
            return engine
        if engine["state"] == "failed":
            error = engine["error"]
            raise EngineStartFailed(
                error["message"], error["hint"], log_tail=tuple(engine["log_tail"])
            )
        await asyncio.sleep(POLL_S)
