"""The model in use: its engine, the ways to it, and what tasks need for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack

from app.api.openai import Passthrough
from app.errors import EngineError, InputError
from app.llm.engine import Engine
from app.settings import Settings, with_model
from app.tasks.equipment import Equipment
from app.tasks.gate import Gate
from app.tasks.metrics import TaskMetrics
from app.wiring import calls_of, client_of, equipment_of, is_local

log = logging.getLogger(__name__)


class Models:
    """Owns the engine. `equipment` is what tasks are built from; `gate` is what they pass, closed
    while the model is exchanged.
    """

    def __init__(self, settings: Settings, metrics: TaskMetrics) -> None:
        self._started_with = settings
        self._settings = settings
        self.engine = Engine(settings.engine)
        self.gate = Gate()
        self.calls = calls_of(settings)
        self.passthrough = Passthrough(
            self.engine,
            self.calls,
            count=metrics.passed,
            api_key=self.engine.api_key,
            idle_timeout_s=settings.engine.request_timeout_s,
        )
        self._client = client_of(settings, self.engine)
        self.equipment = self._equipment(settings)
        self._changed: list[Callable[[Equipment], None]] = []
        self._one = asyncio.Lock()
        self.engine.before_stop(self._close_client)
        self.engine.before_stop(self.passthrough.close_streams)

    def on_change(self, listener: Callable[[Equipment], None]) -> None:
        """Call `listener` with the equipment of each other model, before a task can use it."""
        self._changed.append(listener)

    async def use(self, name: str) -> None:
        """Exchange the model for another one that is installed; returns when it is ready.

        Running tasks end with the model that they began with, and others wait. If the engine cannot
        start with the new model, the old one comes back. It is that of the configuration again
        after the next start of the service. Raises InputError, ConfigError, EngineError.
        """
        if not is_local(self._settings):
            raise InputError(
                "the model of a remote engine is not phonepilot's to exchange",
                "Set engine.alias to another model of that host, and start phonepilot again.",
            )
        async with self._one:
            settings = await asyncio.to_thread(with_model, self._started_with, name)
            before = self._settings
            async with self.gate.closed():
                await self._exchange(settings)
                try:
                    await self.engine.ensure_ready()
                except EngineError:
                    log.warning("the engine does not start with %s, going back", name)
                    await self._exchange(before)
                    raise

    async def aclose(self) -> None:
        """Stop the engine for good."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.engine.aclose)
            stack.push_async_callback(self._close_client)
            stack.push_async_callback(self.passthrough.aclose)

    async def _exchange(self, settings: Settings) -> None:
        await self.engine.use(settings.engine)
        await self._close_client()
        self._settings = settings
        self._client = client_of(settings, self.engine)
        self.calls = self.passthrough.calls = calls_of(settings)
        self.equipment = self._equipment(settings)
        for listener in self._changed:
            listener(self.equipment)

    async def _close_client(self) -> None:
        await self._client.aclose()

    def _equipment(self, settings: Settings) -> Equipment:
        return equipment_of(settings, self._client, self.calls, lambda: self.engine.settings)
