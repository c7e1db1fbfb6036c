"""The focused text field: its contents and its cursor.

Keys have the same effect as in Android's own fields (AOSP `BaseMovementMethod`, `BaseKeyListener`).
"""

from __future__ import annotations

from collections.abc import Sequence

from app.virtual_phone import utf16
from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.quirks import CURSOR_FIRST, MAX_LENGTH
from app.virtual_phone.state import Ui

KEY_DELETE, KEY_FORWARD_DELETE, KEY_CTRL_LEFT, KEY_CTRL_RIGHT, KEY_MOVE_END = 67, 112, 113, 114, 123
MAX_FIELD = 20_000
"""UTF-16 code units that a text field accepts; the quirk `max-length` allows fewer."""


class Editing:
    """Edits `ui.drafts`, where `ui.behind` characters of a field are after its cursor."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks

    def enter(self, ui: Ui, field: str) -> None:
        """Move the cursor into a field: to its end, or with a quirk to its beginning."""
        first = self._quirks.get(CURSOR_FIRST) is not None
        ui.behind = len(ui.drafts.get(field, "")) if first else 0

    def insert(self, ui: Ui, field: str, text: str) -> None:
        """Insert as much at the cursor as the field accepts."""
        before, behind = _parts(ui, field)
        most = self._quirks.get(MAX_LENGTH)
        room = (MAX_FIELD if most is None else most) - utf16.length(behind)
        kept = utf16.cut(before + text, room) if room > utf16.length(before) else before
        ui.drafts[field] = kept + behind

    def erase(self, ui: Ui, field: str) -> None:
        """Delete the character before the cursor, if any."""
        before, behind = _parts(ui, field)
        ui.drafts[field] = before[:-1] + behind

    def press(self, ui: Ui, field: str, code: int) -> None:
        """Press a key that types nothing; unknown keys have no effect."""
        before, behind = _parts(ui, field)
        if code == KEY_DELETE:
            self.erase(ui, field)
        elif code == KEY_FORWARD_DELETE:
            ui.drafts[field], ui.behind = before + behind[1:], len(behind[1:])
        elif code == KEY_MOVE_END:
            _, newline, rest = behind.partition("\n")
            ui.behind = len(newline + rest)

    def press_together(self, ui: Ui, codes: Sequence[int]) -> None:
        control, *others = codes
        if control in (KEY_CTRL_LEFT, KEY_CTRL_RIGHT) and others == [KEY_MOVE_END]:
            ui.behind = 0

    def clear(self, ui: Ui, field: str) -> None:
        ui.drafts[field], ui.behind = "", 0

    def cursor(self, ui: Ui, field: str) -> int:
        """Return the cursor's position, in UTF-16 code units from the beginning."""
        return utf16.length(_parts(ui, field)[0])


def _parts(ui: Ui, field: str) -> tuple[str, str]:
    """Return the text before and after the cursor; an app may have shortened the text."""
    text = ui.drafts.get(field, "")
    at = max(0, len(text) - ui.behind)
    return text[:at], text[at:]
