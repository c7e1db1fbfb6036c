"""The model in use: its engine, the ways to it, and what tasks need for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from app.api.upstream import Upstream
from app.background import carried_through
from app.errors import ConfigError, EngineError, InputError
from app.llm.alternatives import Alternatives
from app.llm.engine import Engine
from app.llm.slots import Calls
from app.proxies import Proxies
from app.settings import Settings, with_model
from app.tasks.equipment import Equipment
from app.tasks.gate import Gate
from app.tasks.metrics import TaskMetrics
from app.wiring import engines_of, equipment_of, is_local

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
        self.engines = engines_of(settings, self.engine)
        self.upstream = Upstream(
            self.engine,
            self.calls,
            count=metrics.passed,
            api_key=self.engine.api_key,
            idle_timeout_s=settings.engine.request_timeout_s,
            proxies=Proxies.from_environment(),
        )
        self.equipment = self._equipment(settings, self.engines)
        self._changed: list[Callable[[Equipment, Settings], None]] = []
        self._one = asyncio.Lock()
        self.engine.before_stop(self._close_streams)
        self.engine.before_stop(self.upstream.close_streams)

    @property
    def calls(self) -> Calls:
        """The slots of the engine in use."""
        return self.engines.members[0].calls

    def on_change(self, listener: Callable[[Equipment, Settings], None]) -> None:
        """Call `listener` with the equipment and the settings of each other model, before a task
        can use it."""
        self._changed.append(listener)

    async def use(self, name: str) -> None:
        """Exchange the model for another one that is installed; returns when it is ready.

        Running tasks end with the model that they began with, and others wait. If the engine cannot
        start with the new model, the old one comes back. It is that of the configuration again
        after the next start of the service. A caller who is cancelled gives the exchange up while
        it waits for tasks; one that has begun is carried through. Raises InputError,
        EngineError.
        """
        if not is_local(self._settings):
            raise InputError(
                "phonepilot cannot switch the model of a remote engine",
                "Set engine.alias to another model of that host, and start phonepilot again.",
            )
        async with self._one:
            try:  # all of it before anything is changed
                settings = await asyncio.to_thread(with_model, self._started_with, name)
                if settings == self._settings:  # it is in use already
                    await self.engine.ensure_ready()
                    return
                engines = engines_of(settings, self.engine)
                equipment = self._equipment(settings, engines)
            except ConfigError as exc:
                raise InputError(
                    f"{name} does not go with the configuration: {exc.message}", exc.hint
                ) from exc
            async with self.gate.closed():
                await carried_through(self._change(name, settings, engines, equipment))

    async def aclose(self) -> None:
        """Stop the engines for good."""
        await self.upstream.aclose()
        await self.engines.aclose()

    async def _change(
        self, name: str, settings: Settings, engines: Alternatives, equipment: Equipment
    ) -> None:
        before = self._settings
        await self._exchange(settings, engines, equipment)
        try:
            await self.engine.ensure_ready()
        except EngineError:
            log.warning("the engine does not start with %s, going back", name)
            engines = engines_of(before, self.engine)
            await self._exchange(before, engines, self._equipment(before, engines))
            raise

    async def _exchange(
        self, settings: Settings, engines: Alternatives, equipment: Equipment
    ) -> None:
        await self.engine.use(settings.engine)
        await self.engines.aclose(keep=self.engine)
        self._settings, self.engines, self.equipment = settings, engines, equipment
        self.upstream.calls = self.calls
        self.upstream.idle_timeout_s = settings.engine.request_timeout_s
        for listener in self._changed:
            listener(equipment, settings)

    async def _close_streams(self) -> None:
        await self.engines.members[0].client.close_streams()

    def _equipment(self, settings: Settings, engines: Alternatives) -> Equipment:
        return equipment_of(settings, engines, lambda: self.engine.settings)
