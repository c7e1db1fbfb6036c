"""The on-screen keyboard that covers the lower part of the screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.virtual_phone.display import HEIGHT, NAVIGATION_BAR, WIDTH, Rect
from app.virtual_phone.toolkit.controls import Key, KeyGrid
from app.virtual_phone.toolkit.scene import Scene

ROW_HEIGHT = 160
LETTERS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
SYMBOLS = ("1234567890", "@#$%&-+()", "*\"':;!?")


@dataclass(frozen=True)
class Keyboard:
    """Four rows of keys. The callbacks get a character, or nothing."""

    symbols: bool
    shift: bool
    type: Callable[[str], None]
    erase: Callable[[], None]
    toggle_shift: Callable[[], None]
    toggle_symbols: Callable[[], None]

    def rect(self) -> Rect:
        return Rect(0, HEIGHT - NAVIGATION_BAR - 4 * ROW_HEIGHT - 30, WIDTH, HEIGHT)

    def paint(self, scene: Scene) -> None:
        rect, theme = self.rect(), scene.canvas.theme
        scene.canvas.fill(rect, theme.line)
        scene.add("keyboard", "keyboard", rect, on_tap=lambda _x, _y: None)
        grid = KeyGrid(tuple(self._rows()), ROW_HEIGHT, gap=14, text_size=52, kind="key")
        grid.paint(scene, Rect(rect.left, rect.top + 10, rect.right, rect.bottom))

    def _rows(self) -> list[tuple[Key, ...]]:
        def keys(characters: str) -> list[Key]:
            shown = characters.upper() if self.shift and not self.symbols else characters
            return [self._key(c) for c in shown]

        first, second, third = SYMBOLS if self.symbols else LETTERS
        shift = Key("Shift", self.toggle_shift, icon="shift", span=1, strong=self.shift)
        erase = Key("Backspace", self.erase, icon="backspace", span=1)
        switch = Key("ABC" if self.symbols else "?123", self.toggle_symbols, span=2)
        enter = Key("Enter", lambda: self.type("\n"), icon="enter", strong=True, span=2)
        space = Key("Space", lambda: self.type(" "), span=4)
        bottom = (switch, self._key(","), space, self._key("."), enter)
        return [tuple(keys(first)), tuple(keys(second)), (shift, *keys(third), erase), bottom]

    def _key(self, character: str) -> Key:
        return Key(character, lambda: self.type(character))


@dataclass(frozen=True)
class AdbKeyboardBar:
    """What ADBKeyboard shows instead of keys: one line that says it is on."""

    def rect(self) -> Rect:
        return Rect(0, HEIGHT - NAVIGATION_BAR - 110, WIDTH, HEIGHT)

    def paint(self, scene: Scene) -> None:
        rect, canvas = self.rect(), scene.canvas
        canvas.fill(rect, canvas.theme.line)
        canvas.text((48, rect.top + 55), "ADB Keyboard {ON}", 44, canvas.theme.text)
        scene.add("keyboard", "ADB Keyboard {ON}", rect, on_tap=lambda _x, _y: None)
