"""A task's secrets: typed on the phone where the goal names them, and never shown.

A goal contains `{{secret:NAME}}`. The model reads and writes that placeholder; it is replaced only
after its action has been recorded, on the way to the phone. From then on every picture of the
screen is searched before anyone gets it, including the model and the recorder, and secrets in it
are painted over. A picture that cannot be searched is not shown at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
from app.glimpses import Glimpses
from app.tasks.ports import Phone
from app.tasks.redaction import redacted

PLACEHOLDER = re.compile(r"\{\{\s*secret:([A-Za-z0-9_-]{1,64})\s*\}\}")
VARIABLE = "PHONEPILOT_SECRET_"
"""Prefix of environment variables that hold secrets for the tasks of schedules."""
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


@dataclass(frozen=True)
class Secret:
    """A value, and whether it may be typed outside of password fields."""

    value: str = field(repr=False)
    anywhere: bool = False


def names_in(goal: str) -> list[str]:
    """Return the secrets that a goal names, each once."""
    return list(dict.fromkeys(PLACEHOLDER.findall(goal)))


class Secrets:
    """The sources of a task's secrets: its caller, kept in memory only, or the service's
    environment, whose values belong to the operator."""

    def __init__(
        self, environ: Mapping[str, str] = os.environ, *, environment_anywhere: bool = False
    ) -> None:
        """`environment_anywhere` allows secrets of the environment to be typed outside of password
        fields; a caller cannot allow this for a secret that is not its own."""
        self._environ = environ
        self._environment_anywhere = environment_anywhere

    def check(self, goal: str, given: Mapping[str, str]) -> None:
        """Raise SecretUnknown for a name without a value."""
        if missing := self.missing(goal, given):
            raise SecretUnknown(f"the goal names the secret {missing[0]!r}, which has no value")

    def missing(self, goal: str, given: Mapping[str, str]) -> list[str]:
        """Return the names without a value, as after a restart."""
        return [name for name, secret in self.of(goal, given).items() if not secret.value]

    def of(
        self, goal: str, given: Mapping[str, str], *, anywhere: bool = False
    ) -> dict[str, Secret]:
        """Return the secrets that a goal names; `anywhere` is the caller's choice for its own."""
        return {
            name: Secret(given[name], anywhere)
            if given.get(name)
            else Secret(self._of_environment(name), self._environment_anywhere)
            for name in names_in(goal)
        }

    def _of_environment(self, name: str) -> str:
        return self._environ.get(VARIABLE + name.upper().replace("-", "_"), "")


@dataclass(frozen=True)
class Redacted:
    """A text on the screen with its secrets masked; see `ShownText`."""

    text: str
    box: tuple[int, int, int, int]
    focused: bool
    clickable: bool
    password: bool = False


class DiscreetDevice:
    """A phone that types secrets and never shows them; the loop's view of the phone in such a task.

    A secret is typed only into the focused field, if Android reports it as a password field, unless
    it may be typed anywhere: a text on the screen must not be able to have it typed into a message.
    """

    def __init__(
        self, device: Phone, secrets: Mapping[str, Secret], *, typed: bool = False
    ) -> None:
        """`typed` means that the secrets may already be on the screen."""
        self._device = device
        self._glimpses = Glimpses(self._look)
        self._secrets = secrets
        self._typed = {each.value for each in secrets.values()} if typed else set[str]()

    @property
    def serial(self) -> str:
        return self._device.serial

    async def type_text(self, text: str, clear: bool = True, private: bool = False) -> str:
        used = {name: self._secrets[name] for name in names_in(text) if name in self._secrets}
        if not used:
            return await self._device.type_text(text, clear, private)
        guarded = not all(secret.anywhere for secret in used.values())
        if guarded and not await self._in_password_field():
            raise TextRefused(
                "the focused field is not a password field, and secrets are typed nowhere else",
                "Tap the password field first.",
            )
        self._typed |= {secret.value for secret in used.values()}
        filled = PLACEHOLDER.sub(
            lambda found: used[found[1]].value if found[1] in used else found[0], text
        )
        try:
            return await self._device.type_text(filled, clear, private=True)
        except Exception as exc:  # its message may contain part of the text
            kind = next((kind for kind in _SAME_CLASS if type(exc) is kind), TextRefused)
            raise kind("a secret could not be typed", kind.default_hint) from None

    async def _in_password_field(self) -> bool:
        try:
            with self._glimpses.working():
                shown = await self._device.shown_texts()
        except ScreenshotUnavailable:
            return False
        return any(each.password and each.focused for each in shown)

    async def screenshot(self) -> Frame:
        if not self._typed:
            frame = await self._device.screenshot()
            if not self._typed:  # nothing was typed while it was taken
                return frame
        return await self._glimpses.first(self._look)

    async def glimpse(self, max_age_s: float) -> Frame:
        """Like `screenshot`, for watchers; never delays the task."""
        if not self._typed:
            frame = await self._device.glimpse(max_age_s)
            if not self._typed:
                return frame
        return await self._glimpses.get(max_age_s)

    async def _look(self) -> Frame:
        """Take a screenshot with every secret painted over; raises SecretUnguarded."""
        for _ in range(_LOOKS):
            before = await self._texts()
            frame = await self._device.screenshot()
            # The positions of the texts must be those at the moment of the picture.
            if before is not None and before == await self._texts():
                return frame.masked(before)
        raise SecretUnguarded("the phone did not report whether a secret is on its screen")

    async def _texts(self) -> list[tuple[int, int, int, int]] | None:
        """Return the boxes to paint over; None if the phone does not report its texts."""
        try:
            shown = await self._device.shown_texts()
        except ScreenshotUnavailable:
            return None
        return [
            each.box for each in shown if each.password or self._redacted(each.text) != each.text
        ]

    def _redacted(self, text: str) -> str:
        # Longest first: a secret that is part of another would leave the rest of it readable.
        for secret in sorted(self._typed, key=len, reverse=True):
            text = redacted(text, secret)
        return text

    async def shown_texts(self) -> Sequence[ShownText]:
        """Return what the phone reports, with secrets masked and without password fields."""
        with self._glimpses.working():
            shown = await self._device.shown_texts()
        return [
            Redacted(self._redacted(each.text), each.box, each.focused, each.clickable)
            for each in shown
            if not each.password
        ]

    async def current_app(self) -> Foreground:
        return await self._device.current_app()

    async def tap(self, x: int, y: int) -> str:
        return await self._device.tap(x, y)

    async def double_tap(self, x: int, y: int) -> str:
        return await self._device.double_tap(x, y)

    async def long_press(self, x: int, y: int, ms: int = 800) -> str:
        return await self._device.long_press(x, y, ms)

    async def swipe(self, x1: int, y1: int, x2: int, y2: int, duration_ms: int = 300) -> str:
        return await self._device.swipe(x1, y1, x2, y2, duration_ms)

    async def drag(self, x1: int, y1: int, x2: int, y2: int, duration_ms: int = 2000) -> str:
        return await self._device.drag(x1, y1, x2, y2, duration_ms)

    async def press(self, key: str) -> str:
        return await self._device.press(key)

    async def back(self) -> str:
        return await self._device.back()

    async def home(self) -> str:
        return await self._device.home()

    async def find_app(self, name: str) -> str:
        return await self._device.find_app(name)

    async def launch(self, name: str) -> str:
        return await self._device.launch(name)

    async def wake(self) -> None:
        await self._device.wake()

    async def wait_ready(self, timeout_s: float) -> None:
        await self._device.wait_ready(timeout_s)
