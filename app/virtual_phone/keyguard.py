"""The lock screen: over everything, and removed only with the PIN.

As on a phone, `wm dismiss-keyguard`, the menu key or swiping up remove it if there is no PIN, and
show the PIN pad (the "bouncer") if there is one.
"""

from __future__ import annotations

from collections.abc import Callable

from app.virtual_phone.display import HEIGHT, WIDTH, Rect, wallpaper
from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.quirks import LOCKED
from app.virtual_phone.state import PhoneState
from app.virtual_phone.toolkit.controls import Key, KeyGrid
from app.virtual_phone.toolkit.scene import Scene

_WHITE = (255, 255, 255)
_PAD = ("123", "456", "789")


class Keyguard:
    """Whether the lock screen is up. `changed` is called with each new state."""

    def __init__(self, quirks: Quirks, changed: Callable[[str], None]) -> None:
        self._quirks = quirks
        self._changed = changed
        self._typed = ""
        self.showing = False
        self.bouncer = False
        self._set(quirks.get(LOCKED) is not None, tell=False)
        quirks.watch(LOCKED, self.lock)

    def lock(self) -> None:
        """Show the lock screen if the phone has a lock; remove it if it no longer has one."""
        self._set(self._quirks.get(LOCKED) is not None)

    def dismiss(self) -> None:
        """Remove the lock screen, or ask for the PIN."""
        if self.showing and not self.bouncer:
            asks = bool(self._quirks.get(LOCKED))
            self._set(asks, bouncer=asks)

    def unlock(self) -> None:
        """Remove the lock screen, as for a person who knows the PIN."""
        self._set(False)

    def cancel(self) -> None:
        """Return from the PIN pad to the lock screen."""
        if self.bouncer:
            self._set(True)

    def type(self, characters: str) -> None:
        """Type digits of a PIN; a newline submits them."""
        for character in characters if self.bouncer else "":
            if character.isdecimal():
                self._typed += character
            elif character == "\n":
                self._set(self._typed != self._quirks.get(LOCKED), bouncer=self.bouncer)
                if not self.showing:
                    return

    def _set(self, showing: bool, *, bouncer: bool = False, tell: bool = True) -> None:
        before = (self.showing, self.bouncer)
        self.showing, self.bouncer, self._typed = showing, showing and bouncer, ""
        if tell and before != (self.showing, self.bouncer):
            self._changed("bouncer" if self.bouncer else "showing" if showing else "gone")

    def paint(self, scene: Scene, state: PhoneState) -> None:
        canvas = scene.canvas
        canvas.image.paste(wallpaper(state.look.wallpaper, True))
        canvas.text((WIDTH // 2, 560), state.look.clock, 200, _WHITE, bold=True, anchor="mm")
        if not self.bouncer:
            hint = "Swipe up to unlock"
            canvas.text((WIDTH // 2, HEIGHT - 260), hint, 48, _WHITE, anchor="mm")
            return
        canvas.text((WIDTH // 2, 860), "Enter PIN", 60, _WHITE, anchor="mm")
        canvas.text((WIDTH // 2, 990), "•" * len(self._typed), 80, _WHITE, anchor="mm")
        rows = [tuple(self._key(digit, digit) for digit in row) for row in _PAD]
        rows.append((self._key("0", "0"), self._key("OK", "\n")))
        grid = KeyGrid(tuple(rows), 220)
        grid.paint(scene, Rect(140, 1100, WIDTH - 140, 1100 + grid.height(canvas)))

    def _key(self, label: str, typed: str) -> Key:
        return Key(label, lambda: self.type(typed))
