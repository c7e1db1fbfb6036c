"""Finds what is under the finger: the app and page in front now, and the labels on the screen.

The rules judge the screen at the moment of the touch, not the screen that the model saw before it
thought. The phone is asked for the app and page in front right before each touch, which takes
milliseconds. Its list of texts takes a second on a real phone; so it is read while the model
thinks, and only where the rules can use it: in sensitive apps, and everywhere on a fast phone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from app.agent.actions import Action, DoubleTap, Drag, Key, LongPress, Swipe, Tap, TypeText
from app.agent.execute import to_pixels
from app.agent.guard import Guard, Scene
from app.agent.labels import Touched, focused, touched
from app.agent.ports import Device
from app.agent.screen import ShownText
from app.agent.step import Observation
from app.errors import DeviceError

log = logging.getLogger(__name__)

CHEAP_S = 0.3
"""A list of texts that arrives within this many seconds is read at every step."""
PATIENCE_S = 4.0
"""Seconds that a decided touch waits for the texts of a sensitive app; then they are unknown."""


class Sight:
    """Looks at the screen for the rules of one task. Reads nothing if there are no rules."""

    def __init__(self, device: Device, guard: Guard) -> None:
        self._device = device
        self._guard = guard
        self._took_s: float | None = None
        self._reading: asyncio.Task[Sequence[ShownText] | None] | None = None

    async def read_now(self) -> None:
        """Read the texts, again if they were read before, whatever it costs."""
        await self.end()
        self._reading = asyncio.create_task(self._read())
        await asyncio.wait({self._reading}, timeout=PATIENCE_S)

    def begin(self, observation: Observation) -> None:
        """Start reading the texts of the screen just seen, while the model thinks about it."""
        if self._guard.has_rules and self._wanted(observation):
            self._reading = asyncio.create_task(self._read())

    async def end(self) -> None:
        """Cancel a reading that is still under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
            self._reading = None

    async def moved_on(self, observation: Observation) -> bool:
        """Whether the app or page in front has changed since the model looked.

        Raises DeviceError.
        """
        if not (self._guard.has_rules or self._guard.allowed):
            return False
        now = await self._device.current_app()
        return (now.package, now.activity) != (observation.package, observation.activity)

    async def scene(self, observation: Observation, action: Action) -> Scene:
        """Return what is known about the place that an action touches."""
        texts = await self._texts(observation)
        found = Touched()
        if texts is not None and (place := _place(action, observation)):
            found = touched(texts, *place)
        elif texts is not None and isinstance(action, TypeText | Key):
            found = focused(texts)
        return Scene(
            observation.package,
            observation.activity,
            observation.app,
            found.target,
            found.nearby,
            texts is not None,
        )

    def _wanted(self, observation: Observation) -> bool:
        if self._guard.wants_labels(observation.package, observation.activity):
            return True
        return self._took_s is None or self._took_s <= CHEAP_S

    async def _read(self) -> Sequence[ShownText] | None:
        begun = time.monotonic()
        try:
            return await self._device.shown_texts()
        except DeviceError as exc:
            log.debug("the texts on the screen were not read: %s", exc.message)
            return None
        finally:
            self._took_s = time.monotonic() - begun

    async def _texts(self, observation: Observation) -> Sequence[ShownText] | None:
        """Return the texts on the screen, waiting as long as they are worth; None for unknown."""
        if self._reading is None:
            return None
        patience = CHEAP_S
        if self._guard.wants_labels(observation.package, observation.activity):
            patience = PATIENCE_S
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                return await asyncio.shield(self._reading)
        return None


def _place(action: Action, observation: Observation) -> tuple[int, int] | None:
    """Return where the finger touches, in pixels; None for an action without a place."""
    if isinstance(action, Tap | DoubleTap | LongPress):
        return to_pixels(action.element, observation.frame)
    if isinstance(action, Swipe | Drag):
        return to_pixels(action.start, observation.frame)
    if isinstance(action, TypeText) and action.element is not None:
        return to_pixels(action.element, observation.frame)
    return None
