"""Emptying a text field with keys alone, and seeing that it is empty.

Nobody tells how long a field is. Where the phone tells the cursor, it must come to stand at 0;
where it does not, pictures show whether more keys delete more.
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
"""Characters; each is a key, and a phone takes some 5 ms for one."""
_PROBE = 8
"""So many characters are wider than a cursor in a fingerprint."""
_HINT = "Empty it by other means, or install ADBKeyboard: `phonepilot devices setup`."


def empty_field(
    shell: Shell, state: parse.Keyboard, look: Looking, deadline: Deadline
) -> parse.Keyboard:
    """Delete all that stands in the field; what the phone says of the field then.

    `state` is what it says before. Raises TextRefused when something is left, or too much there.
    On Android 12 and older of the lines below the cursor's at most CLEAR_KEYS characters go.
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
    """Take the cursor to the end of the text; False where the phone has no command for it."""
    try:
        shell.run(keys.TO_END_OF_TEXT, deadline=deadline).check("moving the cursor")
    except CommandFailed:
        return False
    return True


def _empty_by_cursor(shell: Shell, state: parse.Keyboard, deadline: Deadline) -> parse.Keyboard:
    left = state.cursor or (0, 0)
    before = math.inf  # the cursor may not have been at the end of its line, where deleting begins
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
    """Delete until some more keys change nothing, or nothing can be told by pictures."""
    for _ in range(_MOST // keys.CLEAR_KEYS):
        keys.press(shell, keys.clear_commands(0), deadline)
        seen = look()
        keys.press(shell, keys.delete_commands(_PROBE), deadline)
        now = look()
        if seen is None or now is None or not now.differs(seen, wider_than=CURSOR_CELLS):
            return
        later = look()
        if later is None or later.differs(now, wider_than=CURSOR_CELLS):
            return  # what is shown moves by itself
    raise TextRefused("the field could not be emptied", _HINT)
