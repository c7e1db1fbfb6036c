"""Waits for the end of a child process."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process


async def ended(process: Process, seconds: float) -> None:
    """Wait at most `seconds` for its end, and then kill it."""
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
