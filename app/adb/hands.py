"""Does gestures and keys on a phone: by scrcpy where it can be used, else by Android's `input`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from app.adb.connection import Deadline
from app.adb.gestures import Gesture
from app.adb.scrcpy.hand import Hand, NotListening
from app.adb.scrcpy.sessions import Sessions
from app.adb.shell import Shell
from app.errors import InputRefused

START_S = 10.0
"""Seconds that scrcpy may take to start on a phone, where its work is waited for."""
Means = Literal["scrcpy", "input"]


class Hands:
    """The hands of one phone; blocking and thread-safe. Without `sessions` only `input` is used."""

    def __init__(self, sessions: Sessions | None) -> None:
        self._sessions = sessions

    @property
    def reason(self) -> str:
        """Why scrcpy is not used; empty if it is, or was not wanted yet."""
        return self._sessions.reason if self._sessions is not None else "it is switched off"

    def by_scrcpy(self, shell: Shell, deadline: Deadline, wait_s: float = 0.0) -> Hand | None:
        """Return a hand that uses scrcpy, starting it if necessary; None if there is none within
        `wait_s`. Raises DeviceTimeout."""
        if self._sessions is None:
            return None
        session = self._sessions.get(deadline, wait_s)
        return Hand(session, shell.fence) if session is not None else None

    def begin(self) -> None:
        """Start scrcpy in the background, unless it runs, or failed a short time ago."""
        if self._sessions is not None:
            self._sessions.get(Deadline(1.0))

    def play(self, shell: Shell, gesture: Gesture, deadline: Deadline) -> Means:
        """Make a gesture and return by what. Raises InputRefused, CommandFailed and like
        `Shell.run`; DeviceDisconnected also if it is unknown whether it was done."""
        return self._do(
            shell,
            lambda hand: hand.play(gesture, deadline),
            gesture.commands,
            gesture.name,
            deadline,
        )

    def press(self, shell: Shell, name: str, code: int, deadline: Deadline) -> Means:
        """Press a key by its code and return by what; raises like `play`."""
        what, command = f"key {name}", ("input", "keyevent", str(code))
        return self._do(
            shell, lambda hand: hand.press([(code, 0)], what, deadline), [command], what, deadline
        )

    def _do(
        self,
        shell: Shell,
        act: Callable[[Hand], None],
        commands: Sequence[Sequence[str]],
        what: str,
        deadline: Deadline,
    ) -> Means:
        hand = self.by_scrcpy(shell, deadline)
        if hand is not None:
            try:
                act(hand)
                return "scrcpy"
            except NotListening:
                self.gave_up(hand, "it does not answer")
            except InputRefused as exc:
                self.gave_up(hand, exc.message)
                raise
        shell.run(*commands, deadline=deadline).check(what)
        return "input"

    def gave_up(self, hand: Hand, reason: str) -> None:
        """Use no scrcpy for a while."""
        if self._sessions is not None:
            self._sessions.unusable(hand.session, reason)

    def close(self) -> None:
        if self._sessions is not None:
            self._sessions.close()


WITHOUT_SCRCPY = Hands(None)
"""Uses `input` only."""
