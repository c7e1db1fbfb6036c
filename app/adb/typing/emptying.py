"""Empties a text field using only keys, and checks that it is empty.

The length of a field is unknown. If the phone reports the cursor, it must reach 0; otherwise,
pictures show whether more keys delete more.
"""

from __future__ import annotations

import math

from app.adb import parse
from app.adb.connection import Deadline
from app.adb.shell import Shell
from app.adb.typing import keys
from app.adb.typing.arrival import CURSOR_CELLS, Expected, ask
from app.adb.typing.look import Looking
from app.errors import CommandFailed, TextRefused

_MOST = 5000
"""Most characters to delete; each is a key, and a phone takes about 5 ms per key."""
_PROBE = 8
"""This many characters are wider than a cursor in a fingerprint."""
_HINT = "Empty it by other means, or install ADBKeyboard: `phonepilot devices setup`."


def empty_field(
    shell: Shell, state: parse.Keyboard, look: Looking, deadline: Deadline
) -> parse.Keyboard:
    """Delete everything in the field; return what the phone reports about it afterwards.

    `state` is what it reported before. Raises TextRefused if something is left, or if there is too
    much. On Android 12 and older, at most CLEAR_KEYS characters are deleted from the lines below
    the cursor's line.
    """
    at_end = _go_to_end(shell, deadline)
    if state.cursor is None:
        _empty_by_pictures(shell, look, deadline)
    else:
        state = ask(shell, deadline) if at_end else state
        state = _empty_by_cursor(shell, state, deadline)
    if not at_end:
        keys.press(shell, keys.delete_behind_commands(keys.CLEAR_KEYS), deadline)
    return state


def _go_to_end(shell: Shell, deadline: Deadline) -> bool:
    """Move the cursor to the end of the text; return False if the phone has no command for it."""
    try:
        shell.run(keys.TO_END_OF_TEXT, deadline=deadline).check("moving the cursor")
    except CommandFailed:
        return False
    return True


def _empty_by_cursor(shell: Shell, state: parse.Keyboard, deadline: Deadline) -> parse.Keyboard:
    left = state.cursor or (0, 0)
    before = math.inf  # the cursor may not have been at its line's end, where deleting begins
    while True:
        if max(left) > _MOST:
            raise TextRefused(f"{max(left)} characters are too many to delete as keys", _HINT)
        keys.press(shell, keys.clear_commands(max(left)), deadline)
        left = Expected.of("", True, left).await_cursor(shell, ask(shell, deadline), deadline)
        if left[0] == 0:
            return parse.Keyboard(state.shown, state.current, state.bound, (0, 0))
        if max(left) >= before:
            raise TextRefused("the field could not be emptied", _HINT)
        before = max(left)


def _empty_by_pictures(shell: Shell, look: Looking, deadline: Deadline) -> None:
    """Delete until more keys change nothing, or until pictures cannot show it."""
    for _ in range(_MOST // keys.CLEAR_KEYS):
        keys.press(shell, keys.clear_commands(0), deadline)
        seen = look()
        keys.press(shell, keys.delete_commands(_PROBE), deadline)
        now = look()
        if seen is None or now is None or not now.differs(seen, wider_than=CURSOR_CELLS):
            return
        later = look()
        if later is None or later.differs(now, wider_than=CURSOR_CELLS):
            return  # the screen moves by itself
    raise TextRefused("the field could not be emptied", _HINT)
