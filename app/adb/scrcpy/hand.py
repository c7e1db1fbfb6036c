"""Touches, keys and text through a scrcpy session.

Each call proves first that the phone listens, so that one that does not can be served otherwise
without any doubt; and proves at the end that the phone has handled everything. What is lost in
between is unknown, and is told as DeviceDisconnected: it is never repeated unasked.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

from app.adb.connection import Deadline
from app.adb.gestures import Gesture
from app.adb.scrcpy import messages
from app.adb.scrcpy.session import Session
from app.adb.stream import StreamEnded
from app.errors import DeviceDisconnected, InputRefused

_ACTIONS = {"down": messages.DOWN, "move": messages.MOVE, "up": messages.UP}
ENTER = 66  # android.view.KeyEvent
_PIECES = re.compile(rf"\n|[ -~]{{1,{messages.MAX_TEXT}}}")
_LISTENS_S = 1.0
"""A phone that listens confirms within milliseconds; over a bad Wi-Fi, within tenths."""


class NotListening(Exception):
    """The session has ended or does not answer; nothing was done."""


class Hand:
    """Uses a session; `fence` raises once the right to the phone has ended. Blocking.

    One gesture at a time: all hands of a session share its lock.
    """

    def __init__(
        self,
        session: Session,
        fence: Callable[[], None] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session = session
        self._fence = fence or _nothing
        self._clock = clock

    def play(self, gesture: Gesture, deadline: Deadline) -> None:
        """Make a gesture, in its own time.

        A finger that is down when the deadline passes, or is abandoned, is taken back: the gesture
        is cancelled, as for an incoming call. Raises NotListening, InputRefused, DeviceTimeout,
        DeviceDisconnected, and what the fence raises.
        """
        with self.session.gesturing:
            self._begin(deadline)
            refusals, begun, down = self.session.refusals, self._clock(), None
            try:
                for touch in gesture.touches:
                    wait = begun + touch.at_ms / 1000 - self._clock()
                    if wait > 0:
                        deadline.pause(wait)
                    self._fence()
                    down = None if touch.phase == "up" else touch
                    action = _ACTIONS[touch.phase]
                    self.session.send(messages.touch(action, touch.x, touch.y))
                self.session.confirm(deadline)
            except StreamEnded as exc:
                raise _lost(self.session, gesture.name) from exc
            finally:
                if down is not None:
                    self._cancel(down.x, down.y)
            self._check(refusals, gesture.name)

    def press(self, codes: Iterable[tuple[int, int]], what: str, deadline: Deadline) -> None:
        """Press keys one after the other, each given by its code and meta state; raises like
        `play`."""
        self._do([messages.press(code, meta) for code, meta in codes], what, deadline)

    def type_keys(self, text: str, deadline: Deadline) -> None:
        """Type printable ASCII and newlines by the phone's key map; raises like `play`."""
        parts = [
            messages.press(ENTER) if piece == "\n" else messages.text(piece)
            for piece in _PIECES.findall(text)
        ]
        self._do(parts, "typing", deadline)

    def clipboard(self, deadline: Deadline) -> str | None:
        """Return the text in the phone's clipboard; None without one. Raises NotListening,
        DeviceTimeout, and what the fence raises."""
        with self.session.gesturing:
            self._begin(deadline)
            try:
                return self.session.clipboard(deadline)
            except StreamEnded as exc:
                raise NotListening from exc

    def set_clipboard(self, text: str, deadline: Deadline) -> None:
        """Set the clipboard; whether the phone did is seen by reading it. Raises like
        `clipboard`."""
        with self.session.gesturing:
            self._begin(deadline)
            try:
                self.session.set_clipboard(text, deadline)
            except StreamEnded as exc:
                raise NotListening from exc

    def _do(self, parts: list[bytes], what: str, deadline: Deadline) -> None:
        with self.session.gesturing:
            self._begin(deadline)
            refusals = self.session.refusals
            try:
                for part in parts:
                    self._fence()
                    self.session.send(part)
                self.session.confirm(deadline)
            except StreamEnded as exc:
                raise _lost(self.session, what) from exc
            self._check(refusals, what)

    def _begin(self, deadline: Deadline) -> None:
        self._fence()
        try:
            self.session.confirm(deadline, _LISTENS_S)
        except StreamEnded as exc:
            raise NotListening from exc

    def _cancel(self, x: int, y: int) -> None:
        try:
            self.session.send(messages.touch(messages.CANCEL, x, y))
        except StreamEnded:
            # The server's end takes its fingers away as well; there is nothing left to do.
            return

    def _check(self, refusals: int, what: str) -> None:
        if self.session.refusals != refusals:
            raise InputRefused(f"{what}: the phone refuses injected input")


def _lost(session: Session, what: str) -> DeviceDisconnected:
    return DeviceDisconnected(
        f"{what}: scrcpy ended in the middle, so it may be done or not ({session.ended})"
    )


def _nothing() -> None:
    return
