"""Takes screenshots: raw or PNG, of the display that is on, and explains black ones.

A picture with content costs one command. Only after a black or broken one is the phone asked more:
is it asleep, is it locked, is another display on, does the app forbid screenshots?
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Literal

from app.adb import parse, power
from app.adb.connection import Deadline
from app.adb.screen import MAX_BYTES, Frame, decode_png, decode_raw
from app.adb.shell import Shell
from app.errors import AnswerTooLarge, ScreenshotUnavailable, SecureScreen

log = logging.getLogger(__name__)

Kind = Literal["raw", "png"]
_KINDS: tuple[Kind, Kind] = ("raw", "png")
_NEVER = float("inf")
_CLEARLY = 0.75
_MOST_FAILURES = 2
_TRIES = 2
_DARK_S = 1.5
"""Seconds that a starting app, or a screen that fades in, may be black."""
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Displays:
    """The physical displays of a phone by id; `on` is the one to capture, None for the only one."""

    ids: tuple[str, ...]
    on: str | None


class Capture:
    """Takes the screenshots of one phone; blocking and thread-safe."""

    def __init__(self) -> None:
        # Seconds until a picture of each kind is ready for a model: raw pixels win over USB 3, the
        # phone's own PNG over Wi-Fi. The first four screenshots measure each kind twice, and the
        # better time counts: the very first screenshot is slow for many reasons.
        self._seconds: dict[Kind, float] = {}
        self._tries: dict[Kind, int] = dict.fromkeys(_KINDS, 0)
        self._failures: dict[Kind, int] = dict.fromkeys(_KINDS, 0)
        self._displays: Displays | None = None
        self._last: Frame | None = None
        self._lock = threading.Lock()

    def take(self, shell: Shell, deadline: Deadline) -> Frame:
        """Take the screen as it is, which may be black; never waits.

        A broken picture is retried once, and so is a black one from a display that is off: the
        phone may have been folded. Raises ScreenshotUnavailable.
        """
        displays = self._displays or self._find_displays(shell, deadline)
        kind = self._best()
        try:
            frame = self._take(shell, kind, displays.on, deadline)
        except ScreenshotUnavailable as exc:
            log.info("screenshot of %s failed, one more try: %s", shell.serial, exc.message)
            displays = self._find_displays(shell, deadline)
            return self._take(shell, self._other(kind), displays.on, deadline)
        if frame.is_black():
            found = self._find_displays(shell, deadline)
            if found.on != displays.on:
                return self._take(shell, kind, found.on, deadline)
        return frame

    @property
    def height(self) -> int:
        """The height of the last picture in pixels; 0 before the first one."""
        last = self._last
        return last.height if last is not None else 0

    def forget_last(self) -> None:
        """Decode the next picture even if it equals the last one byte for byte."""
        with self._lock:
            self._last = None

    def take_as(self, shell: Shell, kind: Kind, deadline: Deadline) -> Frame:
        """Take the screen in one kind, whichever is faster; raises ScreenshotUnavailable."""
        displays = self._displays or self._find_displays(shell, deadline)
        return self._take(shell, kind, displays.on, deadline)

    def take_display(self, shell: Shell, display: str, deadline: Deadline) -> Frame:
        """Take one display, by an id from `displays`; raises ScreenshotUnavailable."""
        return self._take(shell, self._best(), display, deadline)

    def displays(self, shell: Shell, deadline: Deadline) -> Displays:
        """Return the current displays."""
        return self._find_displays(shell, deadline)

    def take_lit(self, shell: Shell, deadline: Deadline) -> Frame:
        """Take the screen with content on it: wake a sleeping phone, explain a black picture.

        Raises SecureScreen if an app forbids screenshots, DeviceLocked if a person must unlock the
        phone, and ScreenshotUnavailable.
        """
        frame = self.take(shell, deadline)
        if not frame.is_black():
            return frame
        if power.is_awake(shell, deadline) is False:
            power.wake(shell, deadline)
        end = deadline.now() + _DARK_S
        secure = parse.secure(shell.run(["dumpsys", "window"], deadline=deadline).text)
        while True:
            frame = self.take(shell, deadline)
            if not frame.is_black():
                return frame
            if secure or deadline.now() >= end:
                break
            deadline.pause(_POLL_S)
        if secure is False:
            return frame  # the phone says that the window is not secure: the screen really is black
        if power.is_awake(shell, deadline) is False:
            raise ScreenshotUnavailable(
                "the screen stays off", "Check what keeps the phone asleep."
            )
        raise SecureScreen("the screen is black although the phone is awake and unlocked")

    def _find_displays(self, shell: Shell, deadline: Deadline) -> Displays:
        """Find the displays and, if there are several, which one is on."""
        listed = shell.run(["dumpsys", "SurfaceFlinger", "--display-id"], deadline=deadline)
        ids = tuple(dict.fromkeys(parse.display_ids(listed.text)))
        on = None
        if len(ids) > 1:
            said = shell.run(["dumpsys", "display"], deadline=deadline).text
            lit = (display for display in parse.displays_on(said) if display in ids)
            on = next(lit, ids[0])
        self._displays = Displays(ids, on)
        return self._displays

    def _best(self) -> Kind:
        with self._lock:
            least = min(_KINDS, key=self._tries.__getitem__)
            if self._tries[least] < _TRIES:
                return least
            return self._faster()

    def _faster(self) -> Kind:
        # Where raw pixels win, they win by half or more. A smaller lead may be noise, and raw
        # pixels have to be encoded again for each step.
        raw, png = self._seconds["raw"], self._seconds["png"]
        return "raw" if raw < _CLEARLY * png else "png"

    def _other(self, kind: Kind) -> Kind:
        with self._lock:
            usable = self._seconds.get("raw") != _NEVER
            return "raw" if kind == "png" and usable else "png"

    def _take(self, shell: Shell, kind: Kind, display: str | None, deadline: Deadline) -> Frame:
        begun = time.monotonic()
        argv = ["screencap", *(["-p"] if kind == "png" else [])]
        argv += ["-d", display] if display else []
        try:
            result = shell.run(argv, deadline=deadline, limit=MAX_BYTES)
            if result.exit_code != 0:
                reason = result.error_text or f"screencap ended with {result.exit_code}"
                raise ScreenshotUnavailable(f"no screenshot: {reason[:200]}")
            frame = (
                decode_png(result.stdout, last=self._last)
                if kind == "png"
                else decode_raw(result.stdout)
            )
        except AnswerTooLarge as exc:
            self._failed(kind)
            raise ScreenshotUnavailable(f"no screenshot: {exc.message}", exc.hint) from exc
        except ScreenshotUnavailable:
            self._failed(kind)
            raise
        if self._tries[kind] < _TRIES:
            frame.png()
        with self._lock:
            self._last = frame
            self._failures[kind] = 0
            if self._tries[kind] < _TRIES:
                self._tries[kind] += 1
                took = time.monotonic() - begun
                self._seconds[kind] = min(took, self._seconds.get(kind, took))
        return frame

    def _failed(self, kind: Kind) -> None:
        """Count a failure. Raw pixels that fail twice have a format that only the phone reads."""
        with self._lock:
            self._failures[kind] += 1
            if kind == "raw" and self._failures[kind] >= _MOST_FAILURES:
                self._seconds["raw"] = _NEVER
                self._tries["raw"] = _TRIES
