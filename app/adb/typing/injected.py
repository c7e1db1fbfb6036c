"""Types through scrcpy: by the phone's key map what that has keys for, else through the clipboard.

Needs no app on the phone. The text arrives only if the field takes it, which is verified like every
other way of typing. The person's clipboard is put back. A password is never put there: keyboards
and other apps read the clipboard, and show it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from app.adb import parse
from app.adb.connection import Deadline
from app.adb.scrcpy.hand import Hand, NotListening
from app.adb.scrcpy.messages import MAX_CLIPBOARD, META_CTRL
from app.adb.shell import Shell
from app.adb.typing.adb_keyboard import Swallowed
from app.adb.typing.arrival import ARRIVE_S, POLL_S, Expected, Pictures, Selection, ask
from app.adb.typing.emptying import empty_field
from app.adb.typing.look import Looking
from app.errors import DeviceError

log = logging.getLogger(__name__)

_A, _DELETE, _PASTE = 29, 67, 279
_TYPEABLE = re.compile(r"[\n -~]*")
_RESTORE_S = 3.0
"""With a deadline of its own: the request's may be over, and the person needs their clipboard."""


class Injected:
    """Types one text into the focused field, whose `state` the phone reported before."""

    def __init__(
        self, hand: Hand, shell: Shell, state: parse.Keyboard, look: Looking, deadline: Deadline
    ) -> None:
        self._hand = hand
        self._shell = shell
        self._state = state
        self._look = look
        self._deadline = deadline

    def type(self, text: str, *, clear: bool, private: bool) -> str:
        """Type, and return by what: `scrcpy keys` or `scrcpy clipboard`.

        Raises Swallowed if nothing arrived, or scrcpy cannot type this text; TextRefused if a part
        of it arrived; NotListening if nothing was done; and like `Hand.play`.
        """
        ways = [self._as_keys] if _TYPEABLE.fullmatch(text) else []
        if text and not private and not self._state.password and _fits(text):
            ways.append(self._by_clipboard)
        if not ways:
            raise Swallowed("scrcpy has no keys for this text", sent=False)
        before = self._emptied() if clear else self._state.cursor
        for way in ways:
            try:
                return way(text, before)
            except Swallowed as exc:
                # Only what certainly did not arrive may be typed again.
                if not exc.certain or way is ways[-1]:
                    raise
        raise AssertionError("no way left")

    def _as_keys(self, text: str, before: Selection | None) -> str:
        # The Enter key may leave the field, or send what is in it.
        known = None if "\n" in text else before
        self._verified(lambda: self._hand.type_keys(text, self._deadline), text, known)
        return "scrcpy keys"

    def _by_clipboard(self, text: str, before: Selection | None) -> str:
        """Paste. The paste key is pressed only once the clipboard is known to hold the text: some
        phones acknowledge one that they did not set, and would paste what the person copied."""
        saved = self._hand.clipboard(self._deadline)
        self._hand.set_clipboard(text, self._deadline)
        try:
            if self._hand.clipboard(self._deadline) != text:
                raise Swallowed("the phone's clipboard cannot be set", sent=False, certain=True)
            self._verified(
                lambda: self._hand.press([(_PASTE, 0)], "pasting", self._deadline), text, before
            )
        finally:
            # Only now: the app reads the clipboard when it handles the key.
            self._put_back(saved)
        return "scrcpy clipboard"

    def _put_back(self, saved: str | None) -> None:
        """Restore the person's clipboard; one that was empty gets an empty text.

        A failure is only logged: the text may have arrived, and must not be typed again.
        """
        try:
            self._hand.set_clipboard(saved or "", Deadline(_RESTORE_S))
        except (NotListening, DeviceError) as exc:
            log.warning("clipboard of %s not put back: %s", self._shell.serial, exc)

    def _verified(self, act: Callable[[], None], text: str, before: Selection | None) -> None:
        """Type by `act`, and wait until the text has arrived; raises Swallowed, TextRefused.

        Without a cursor `before` by pictures, which show only that something has.
        """
        if before is None:
            pictures = Pictures(text, self._look, self._deadline)
            act()
            if text and not pictures.changed(ARRIVE_S):
                raise Swallowed("the field shows none of the text")
            return
        expected = Expected.of(text, False, before)
        act()
        if not expected.visible:
            return
        seen = ask(self._shell, self._deadline)
        cursor = expected.await_cursor(self._shell, seen, self._deadline)
        if cursor == expected.before:
            raise Swallowed("the field accepted none of the text", certain=True)
        expected.check_length(cursor)

    def _emptied(self) -> Selection | None:
        """Empty the field: select all and delete, where the phone shows that this works; else with
        many keys. Return the cursor, None if the phone does not report it."""
        state = self._state
        if state.cursor is not None:
            self._hand.press([(_A, META_CTRL)], "selecting", self._deadline)
            state = ask(self._shell, self._deadline)
            if state.cursor is not None and state.cursor[0] == 0:
                if state.cursor[1] == 0:
                    return 0, 0  # it was empty
                self._hand.press([(_DELETE, 0)], "emptying", self._deadline)
                end = self._deadline.now() + ARRIVE_S
                while self._deadline.now() < end:
                    state = ask(self._shell, self._deadline)
                    if state.cursor == (0, 0):
                        return 0, 0
                    self._deadline.pause(POLL_S)
        return empty_field(self._shell, state, self._look, self._deadline).cursor


def _fits(text: str) -> bool:
    return len(text.encode()) <= MAX_CLIPBOARD
