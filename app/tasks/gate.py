"""The gate that tasks pass before they use the model, closed while the model is exchanged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Open to any number of tasks, or closed for one who waits until none is inside.

    Belongs to one event loop. Nobody enters a gate that is about to be closed, so a change of the
    model is not delayed by the tasks that come meanwhile.
    """

    def __init__(self) -> None:
        self.inside = 0
        self._open = asyncio.Event()
        self._open.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._one = asyncio.Lock()

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Stay inside while the block runs; waits for a gate that is closed."""
        while not self._open.is_set():  # somebody may close it again before a waiter has its turn
            await self._open.wait()
        self.inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self.inside -= 1
            if not self.inside:
                self._empty.set()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Keep it closed while the block runs, which begins once everybody has left."""
        async with self._one:
            self._open.clear()
            try:
                await self._empty.wait()
                yield
            finally:
                self._open.set()
