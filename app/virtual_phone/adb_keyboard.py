"""Simulates ADBKeyboard: whether it is installed and receives broadcasts, which always "succeed".

On Android 13 and later, its older builds register their receiver only when their view is created
for a field: a field focused before the switch must be focused again (senzhk/ADBKeyBoard, issue 84).
"""

from __future__ import annotations

from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.quirks import ADB_KEYBOARD_QUIRK
from app.virtual_phone.seeding import ADB_KEYBOARD
from app.virtual_phone.state import InputMethod


class AdbKeyboard:
    """The keyboard as an installed package and as a running service."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._view_made = False

    def install(self, ime: InputMethod) -> None:
        """Make the list of keyboards follow the quirk: add or remove the package."""
        if self._quirks.get(ADB_KEYBOARD_QUIRK) == "missing":
            ime.available = [name for name in ime.available if name != ADB_KEYBOARD]
            ime.enabled = [name for name in ime.enabled if name != ADB_KEYBOARD]
            if ime.current == ADB_KEYBOARD:
                ime.current = ime.available[0]
        elif ADB_KEYBOARD not in ime.available:
            ime.available = [*ime.available, ADB_KEYBOARD]
            ime.enabled = [*ime.enabled, ADB_KEYBOARD]

    def arrive(self, ime: InputMethod) -> None:
        """Add the installed package; Android lists it, but a person still has to enable it."""
        if ADB_KEYBOARD not in ime.available:
            ime.available = [*ime.available, ADB_KEYBOARD]
        if self._quirks.get(ADB_KEYBOARD_QUIRK) == "missing":
            self._quirks.change({ADB_KEYBOARD_QUIRK.name: None})

    def switched(self) -> None:
        """Another keyboard became the current one: the service of the old one ends."""
        self._view_made = False

    def field_focused(self, ime: InputMethod) -> None:
        self._view_made = self._view_made or ime.current == ADB_KEYBOARD

    def bound(self, ime: InputMethod) -> bool:
        """Whether the current keyboard serves its field (`mBoundToMethod`)."""
        late = self._quirks.get(ADB_KEYBOARD_QUIRK) == "api33" and ime.current == ADB_KEYBOARD
        return self._view_made or not late

    def hears(self, ime: InputMethod) -> bool:
        """Whether a broadcast has an effect."""
        deaf = self._quirks.get(ADB_KEYBOARD_QUIRK) == "inactive"
        return ime.current == ADB_KEYBOARD and not deaf and self.bound(ime)
