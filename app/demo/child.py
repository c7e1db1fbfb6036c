"""The end of a child process that was asked to end."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process


async def ended(process: Process, seconds: float) -> None:
    """Wait so long for it, and then kill it."""
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
