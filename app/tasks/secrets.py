"""Secrets of a task: typed on the phone where the goal names them, and shown to nobody.

A goal says `{{secret:NAME}}`. The model reads and writes that placeholder; only between the record
of its action and the phone is it replaced. From then on every picture of the screen is looked
through before anyone gets it, the model and the record included, and where the secret stands it is
painted over. What cannot be looked through is not shown at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from app.agent.ports import Device
from app.agent.screen import Foreground, Frame, ShownText
from app.errors import (
    AdbServerUnreachable,
    DeviceDisconnected,
    DeviceLocked,
    DeviceNotFound,
    DeviceOffline,
    DeviceTimeout,
    DeviceUnauthorized,
    InputRefused,
    ScreenshotUnavailable,
    SecretUnguarded,
    SecretUnknown,
    TextRefused,
)

PLACEHOLDER = re.compile(r"\{\{\s*secret:([A-Za-z0-9_-]{1,64})\s*\}\}")
VARIABLE = "PHONEPILOT_SECRET_"
"""Begins the names of environment variables that hold secrets for tasks of schedules."""
_SAME_CLASS = (
    AdbServerUnreachable,
    DeviceDisconnected,
    DeviceLocked,
    DeviceNotFound,
    DeviceOffline,
    DeviceTimeout,
    DeviceUnauthorized,
    InputRefused,
)
_LOOKS = 3


def names_in(goal: str) -> list[str]:
    """The secrets that a goal names, each once."""
    return list(dict.fromkeys(PLACEHOLDER.findall(goal)))


class Secrets:
    """The values, by task, in memory only."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._given: dict[str, dict[str, str]] = {}

    def keep(self, task_id: str, goal: str, given: Mapping[str, str]) -> None:
        """Remember what a task was given. Raises SecretUnknown for a name that has no value."""
        self._given[task_id] = dict(given)
        if missing := self.missing(task_id, goal):
            self.forget(task_id)
            raise SecretUnknown(f"the goal names the secret {missing[0]!r}, which is not there")

    def missing(self, task_id: str, goal: str) -> list[str]:
        """The names without a value, as after a restart."""
        return [name for name, value in self.values(task_id, goal).items() if not value]

    def values(self, task_id: str, goal: str) -> dict[str, str]:
        given = self._given.get(task_id, {})
        return {name: given.get(name) or self._of_environment(name) for name in names_in(goal)}

    def forget(self, task_id: str) -> None:
        self._given.pop(task_id, None)

    def _of_environment(self, name: str) -> str:
        return self._environ.get(VARIABLE + name.upper().replace("-", "_"), "")


class DiscreetDevice:
    """A phone that types secrets and shows none: what the loop sees of it in such a task.

    A secret goes only into the field that has the focus when Android calls it one for passwords,
    unless `anywhere` allows others: a text on the screen must not be able to have it typed into a
    message.
    """

    def __init__(
        self, device: Device, values: Mapping[str, str], *, anywhere: bool, typed: bool = False
    ) -> None:
        """`typed` says that the secrets may stand on the screen already."""
        self._device = device
        self._values = values
        self._anywhere = anywhere
        self._typed = set(values.values()) if typed else set[str]()

    @property
    def serial(self) -> str:
        return self._device.serial

    async def type_text(self, text: str, clear: bool = True) -> None:
        used = {name for name in PLACEHOLDER.findall(text) if name in self._values}
        if not used:
            await self._device.type_text(text, clear)
            return
        if not self._anywhere and not await self._in_password_field():
            raise TextRefused(
                "the field that has the focus is not one for passwords; a secret goes nowhere else",
                "Tap the password field first.",
            )
        self._typed |= {self._values[name] for name in used}
        filled = PLACEHOLDER.sub(lambda found: self._values.get(found[1], found[0]), text)
        try:
            await self._device.type_text(filled, clear)
        except Exception as exc:  # what it says may hold a part of the text
            kind = next((kind for kind in _SAME_CLASS if type(exc) is kind), TextRefused)
            raise kind("a secret could not be typed", kind.default_hint) from None

    async def _in_password_field(self) -> bool:
        try:
            shown = await self._device.shown_texts()
        except ScreenshotUnavailable:
            return False
        return any(each.password and each.focused for each in shown)

    async def screenshot(self) -> Frame:
        if not self._typed:
            frame = await self._device.screenshot()
            if not self._typed:  # nothing was typed while it was taken
                return frame
        for _ in range(_LOOKS):
            before = await self._texts()
            frame = await self._device.screenshot()
            # What stands where must hold for the moment of the picture.
            if before is not None and before == await self._texts():
                return frame.masked(before)
        raise SecretUnguarded("the phone does not tell whether a secret is on its screen")

    async def _texts(self) -> list[tuple[int, int, int, int]] | None:
        """The boxes to paint over; None when the phone does not tell."""
        try:
            shown = await self._device.shown_texts()
        except ScreenshotUnavailable:
            return None
        return [each.box for each in shown if each.password or self._tells(each.text)]

    def _tells(self, text: str) -> bool:
        """Whether a text holds a secret, or so much of one that the rest could be guessed."""
        for secret in self._typed:
            part = max(min(len(secret), 4), len(secret) // 2)
            pieces = (secret[at : at + part] for at in range(len(secret) - part + 1))
            if any(piece in text for piece in pieces):
                return True
        return False

    async def shown_texts(self) -> Sequence[ShownText]:
        return await self._device.shown_texts()

    async def current_app(self) -> Foreground:
        return await self._device.current_app()

    async def tap(self, x: int, y: int) -> None:
        await self._device.tap(x, y)

    async def double_tap(self, x: int, y: int) -> None:
        await self._device.double_tap(x, y)

    async def long_press(self, x: int, y: int, ms: int = 800) -> None:
        await self._device.long_press(x, y, ms)

    async def swipe(self, x1: int, y1: int, x2: int, y2: int, duration_ms: int = 300) -> None:
        await self._device.swipe(x1, y1, x2, y2, duration_ms)

    async def back(self) -> None:
        await self._device.back()

    async def home(self) -> None:
        await self._device.home()

    async def find_app(self, name: str) -> str:
        return await self._device.find_app(name)

    async def launch(self, name: str) -> str:
        return await self._device.launch(name)

    async def wake(self) -> None:
        await self._device.wake()

    async def wait_ready(self, timeout_s: float) -> None:
        await self._device.wait_ready(timeout_s)
