"""The focused text field: its contents, its cursor and its selection.

Keys have the same effect as in Android's own fields (AOSP `BaseMovementMethod`, `BaseKeyListener`,
`TextView.onKeyShortcut`).
"""

from __future__ import annotations

from collections.abc import Sequence

from app.virtual_phone import utf16
from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.quirks import CURSOR_FIRST, MAX_LENGTH
from app.virtual_phone.state import Ui

KEY_A = 29
KEY_DELETE, KEY_FORWARD_DELETE, KEY_CTRL_LEFT, KEY_CTRL_RIGHT, KEY_MOVE_END = 67, 112, 113, 114, 123
MAX_FIELD = 20_000
"""UTF-16 code units that a text field accepts; the quirk `max-length` allows fewer."""


class Editing:
    """Edits `ui.drafts`, where `ui.behind` characters of a field are after its cursor, and
    `ui.selected` characters directly before it are selected."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks

    def enter(self, ui: Ui, field: str) -> None:
        """Move the cursor into a field: to its end, or with a quirk to its beginning."""
        first = self._quirks.get(CURSOR_FIRST) is not None
        ui.behind, ui.selected = len(ui.drafts.get(field, "")) if first else 0, 0

    def insert(self, ui: Ui, field: str, text: str) -> None:
        """Insert as much at the cursor as the field accepts; a selection is replaced."""
        before, _, behind = _parts(ui, field)
        most = self._quirks.get(MAX_LENGTH)
        room = (MAX_FIELD if most is None else most) - utf16.length(behind)
        kept = utf16.cut(before + text, room) if room > utf16.length(before) else before
        ui.drafts[field], ui.selected = kept + behind, 0

    def erase(self, ui: Ui, field: str) -> None:
        """Delete the selection, or the character before the cursor, if any."""
        before, selected, behind = _parts(ui, field)
        ui.drafts[field], ui.selected = (before if selected else before[:-1]) + behind, 0

    def press(self, ui: Ui, field: str, code: int) -> None:
        """Press a key that types nothing; unknown keys have no effect."""
        before, selected, behind = _parts(ui, field)
        if code == KEY_DELETE or (code == KEY_FORWARD_DELETE and selected):
            self.erase(ui, field)
        elif code == KEY_FORWARD_DELETE:
            ui.drafts[field], ui.behind = before + behind[1:], len(behind[1:])
        elif code == KEY_MOVE_END:
            _, newline, rest = behind.partition("\n")
            ui.behind, ui.selected = len(newline + rest), 0

    def press_together(self, ui: Ui, field: str, codes: Sequence[int]) -> None:
        control, *others = codes
        if control not in (KEY_CTRL_LEFT, KEY_CTRL_RIGHT):
            return
        if others == [KEY_MOVE_END]:
            ui.behind, ui.selected = 0, 0
        elif others == [KEY_A]:
            ui.behind, ui.selected = 0, len(ui.drafts.get(field, ""))

    def clear(self, ui: Ui, field: str) -> None:
        ui.drafts[field], ui.behind, ui.selected = "", 0, 0

    def selected(self, ui: Ui, field: str) -> str:
        """Return the selected text."""
        return _parts(ui, field)[1]

    def selection(self, ui: Ui, field: str) -> tuple[int, int]:
        """Return where the selection begins and ends, in UTF-16 code units from the beginning; the
        cursor is at its end."""
        before, selected, _ = _parts(ui, field)
        start = utf16.length(before)
        return start, start + utf16.length(selected)


def _parts(ui: Ui, field: str) -> tuple[str, str, str]:
    """Return the text before the selection, in it, and after it; an app may have shortened it."""
    text = ui.drafts.get(field, "")
    end = max(0, len(text) - ui.behind)
    start = max(0, end - ui.selected)
    return text[:start], text[start:end], text[end:]
