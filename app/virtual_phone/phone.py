"""The virtual phone itself: touches and keys in, pixels and state out.

One `Phone` belongs to one event loop thread. It never waits: a touch has its whole effect before
the call returns, so the next frame shows it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from typing import Any

from PIL import Image

from app.virtual_phone import fingers
from app.virtual_phone.adb_keyboard import AdbKeyboard
from app.virtual_phone.apps import launcher
from app.virtual_phone.apps.app import Badge, Cover
from app.virtual_phone.editing import KEY_CTRL_LEFT, KEY_CTRL_RIGHT, Editing
from app.virtual_phone.events import EventLog
from app.virtual_phone.keyguard import Keyguard
from app.virtual_phone.painting import paint
from app.virtual_phone.panel import Panel
from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.quirks import ADB_KEYBOARD_QUIRK, ASLEEP, CLOCK_JUMP, NO_PASTE, SCENE
from app.virtual_phone.roster import Roster
from app.virtual_phone.scatter import scatter_about
from app.virtual_phone.seeding import ADB_KEYBOARD, hardware_serial, seeded_state, shifted
from app.virtual_phone.state import Dialog, PhoneState, Route, Ui
from app.virtual_phone.system_settings import get_setting, put_setting
from app.virtual_phone.toolkit.scene import Scene

KEY_HOME, KEY_BACK, KEY_POWER, KEY_SLEEP, KEY_WAKEUP = 3, 4, 26, 223, 224
KEY_SPACE, KEY_ENTER, KEY_MENU = 62, 66, 82
KEY_CUT, KEY_COPY, KEY_PASTE = 277, 278, 279
_SHORTCUTS = {31: KEY_COPY, 52: KEY_CUT, 50: KEY_PASTE}
"""C, X and V with Ctrl."""
_TYPED = {
    **{7 + digit: str(digit) for digit in range(10)},
    **{29 + letter: chr(ord("a") + letter) for letter in range(26)},
    55: ",",
    56: ".",
    KEY_SPACE: " ",
    KEY_ENTER: "\n",
}


class Phone:
    """A phone of 1080 x 2400 pixels; `state` is its whole state, apart from the quirks."""

    def __init__(self, seed: int, quirks: Quirks | None = None) -> None:
        self.serial = hardware_serial(seed)
        """The serial that the phone reports over every connection; a reset keeps it."""
        self.log_entries = EventLog()
        self.revision = 0
        self._painted: tuple[tuple[int, str], Scene] | None = None
        self.quirks = quirks or Quirks()
        self.panel = Panel(self.quirks)
        self.roster = Roster(self.quirks)
        self.keyguard = Keyguard(self.quirks, self._keyguard_changed)
        self.adb_keyboard = AdbKeyboard(self.quirks)
        self._editing = Editing(self.quirks)
        self.state: PhoneState = seeded_state(seed)
        self._follow_quirks()
        self._follow_asleep()
        for quirk in (ADB_KEYBOARD_QUIRK, CLOCK_JUMP, SCENE):
            self.quirks.watch(quirk, self._follow_quirks)
        self.quirks.watch(ASLEEP, self._follow_asleep)

    # -- the visible screen

    def scene(self) -> Scene:
        """Return the current screen, painted; cached until something changes."""
        key = (self.revision, self.foreground.package)  # an advert appears without a touch
        if self._painted is None or self._painted[0] != key:
            self._painted = (key, paint(self))
        return self._painted[1]

    def frame(self) -> Image.Image:
        """The screen as an RGB image of 1080 x 2400; the caller must not modify it."""
        return self.scene().canvas.image

    # -- fingers and keys

    def tap(self, x: float, y: float) -> None:
        fingers.tap(self, x, y)

    def swipe(self, x1: float, y1: float, x2: float, y2: float, duration_ms: int) -> None:
        """Move a finger from one point to another; slow and on the spot, it is a long press."""
        fingers.swipe(self, (x1, y1), (x2, y2), duration_ms)

    def wheel(self, x: float, y: float, notches: float) -> None:
        """Turn a mouse wheel over a point, upwards by so many notches."""
        self.log("wheel", x=x, y=y, notches=notches)
        if self.state.power.awake and fingers.scrolls(self, (x, y)):
            fingers.scroll(self, (x, y), -notches * fingers.NOTCH)
            self.changed()

    def press_key(self, code: int) -> None:
        """Press a key by its Android KEYCODE number; unknown keys have no effect."""
        self.log("key", code=code)
        power = self.state.power
        if code in (KEY_WAKEUP, KEY_SLEEP, KEY_POWER):
            power.awake = not power.awake if code == KEY_POWER else code == KEY_WAKEUP
            if not power.awake:
                self.keyguard.lock()
        elif not power.awake:
            return
        elif self.keyguard.showing:
            self._press_on_keyguard(code)
        elif code == KEY_HOME:
            self.go_home()
        elif code == KEY_BACK:
            self._press_back()
        elif code in (KEY_COPY, KEY_CUT, KEY_PASTE):
            if self.field is not None:
                self._use_clipboard(self.field, code)
        elif code in _TYPED:
            self.insert(_TYPED[code])
        elif self.field is not None:
            self._editing.press(self.ui, self.field, code)
        self.changed()

    def press_together(self, codes: list[int]) -> None:
        """Press keys together: Ctrl with End moves to the end of the text, with A selects it, with
        C, X and V uses the clipboard; others have no effect."""
        self.log("keys", codes=codes)
        if not self.state.power.awake or self.field is None:
            return
        key = codes[-1] if codes[0] in (KEY_CTRL_LEFT, KEY_CTRL_RIGHT) else 0
        if key in _SHORTCUTS:
            self._use_clipboard(self.field, _SHORTCUTS[key])
        else:
            self._editing.press_together(self.ui, self.field, codes)
        self.changed()

    def _use_clipboard(self, field: str, key: int) -> None:
        """Copy or cut the selection, or paste over it. A password is never copied."""
        refused = self.quirks.get(NO_PASTE)
        if key == KEY_PASTE:
            if refused is None or (refused == "passwords" and not self.in_password):
                self.insert(self.state.clipboard or "")
        elif (text := self._editing.selected(self.ui, field)) and not self.in_password:
            self.state.clipboard = text
            if key == KEY_CUT:
                self._editing.erase(self.ui, field)

    def _press_on_keyguard(self, code: int) -> None:
        if code == KEY_MENU:
            self.keyguard.dismiss()
        elif code == KEY_BACK:
            self.keyguard.cancel()
        elif code in _TYPED:
            self.keyguard.type(_TYPED[code])

    def type_text(self, text: str) -> bool:
        """Type text into the focused field; return False if there is none."""
        typed = self.insert(text)
        self.log("text", length=len(text), typed=typed)
        self.changed()
        return typed

    def clear_text(self) -> bool:
        """Empty the focused field; return False if there is none."""
        field = self.field
        if field is None:
            return False
        self._editing.clear(self.ui, field)
        self.changed()
        return True

    def insert(self, text: str) -> bool:
        """Insert at the cursor; False without a focused field. The caller calls `changed`."""
        field = self.field
        if self.keyguard.showing:
            self.keyguard.type(text)
        if field is None:
            return False
        self._editing.insert(self.ui, field, text)
        return True

    def erase(self) -> None:
        """Delete the character before the cursor, if any."""
        if (field := self.field) is not None:
            self._editing.erase(self.ui, field)

    def _press_back(self) -> None:
        ui, cover = self.state.ui, self.covering
        if cover is not None:
            cover.back(self)
        elif ui.focus is not None:
            self.focus(None)
        elif ui.dialog is not None:
            self.dismiss()
        elif ui.foreground != launcher.BADGE.package:
            self.back()

    # -- what apps may do (apps.app.Hand)

    def route(self) -> Route:
        """The open screen of the app in front."""
        return self.state.ui.stacks[self.state.ui.foreground][-1]

    def open(self, name: str, arg: int = 0) -> None:
        ui = self.state.ui
        ui.stacks[ui.foreground].append(Route(name=name, arg=arg))

    def back(self) -> None:
        ui = self.state.ui
        stack = ui.stacks[ui.foreground]
        self.focus(None)
        if len(stack) > 1:
            route = stack.pop()
            self.roster.apps[ui.foreground].leave(self, route)
        else:
            self.go_home()

    def ask(self, name: str, arg: int = 0) -> None:
        self.focus(None)
        self.state.ui.dialog = Dialog(name=name, arg=arg)

    def dismiss(self) -> None:
        self.state.ui.dialog = None

    def focus(self, field: str | None) -> None:
        self.state.ui.focus = field
        if field is not None:
            self._editing.enter(self.ui, field)
            self.adb_keyboard.field_focused(self.state.ime)

    def launch(self, package: str) -> bool:
        """Bring an app to the front as it was left; return False if it is not installed."""
        if package == launcher.BADGE.package:
            self.go_home()
        elif package in self.roster.apps:
            ui = self.state.ui
            self._leave_foreground()
            ui.stacks.setdefault(package, [Route()])
            ui.foreground = package
        else:
            return False
        self.log("launch", package=package)
        self.changed()
        return True

    def go_home(self) -> None:
        self._leave_foreground()
        self.state.ui.foreground = launcher.BADGE.package
        self.state.ui.home_page = 0

    def _leave_foreground(self) -> None:
        self.focus(None)
        self.dismiss()
        self.cover("")

    def cover(self, package: str) -> None:
        self.state.ui.cover = package

    def force_stop(self, package: str) -> None:
        """Stop an app; its open screens and unsaved drafts are lost."""
        ui = self.state.ui
        ui.stacks.pop(package, None)
        if ui.foreground == package:
            self.go_home()
        self.changed()

    def install(self, package: str) -> None:
        """Install an app; an existing one is replaced."""
        if package == ADB_KEYBOARD.partition("/")[0]:
            self.adb_keyboard.arrive(self.state.ime)
        elif package not in self.state.installed:
            self.state.installed = [*self.state.installed, package]
        self.log("install", package=package)
        self.changed()

    # -- what the system reports

    @property
    def packages(self) -> tuple[Badge, ...]:
        return self.roster.badges

    @property
    def covering(self) -> Cover | None:
        """The window of another app over the app in front."""
        if self.at_home:
            return None
        return next((cover for cover in self.roster.covers if cover.shown(self)), None)

    @property
    def foreground(self) -> Badge:
        """The app with the focus, or the window that covers it, with its open activity."""
        if cover := self.covering:
            return cover.badge
        app = self.roster.apps.get(self.state.ui.foreground)
        return app.badge.at(self.route()) if app else launcher.BADGE

    @property
    def field(self) -> str | None:
        """The text field that receives typed text."""
        covered = self.keyguard.showing or self.covering is not None
        return None if covered else self.state.ui.focus

    @property
    def in_password(self) -> bool:
        """Whether the focused field is for a password."""
        return any(spot.password and spot.value == "focused" for spot in self.scene().spots)

    @property
    def keyboard_shown(self) -> bool:
        return self.field is not None

    @property
    def selection(self) -> tuple[int, int] | None:
        """Where the selection in the focused field begins and ends, in UTF-16 code units; the
        cursor is at its end."""
        field = self.state.ui.focus if self.covering is None else None
        return None if field is None else self._editing.selection(self.ui, field)

    @property
    def at_home(self) -> bool:
        return self.state.ui.foreground == launcher.BADGE.package

    def now(self) -> float:
        """The phone's clock, in seconds since the epoch."""
        jump = self.quirks.get(CLOCK_JUMP)
        return time.time() + (jump or 0)

    def get_setting(self, namespace: str, key: str) -> str | None:
        return get_setting(self.state, namespace, key)

    def put_setting(self, namespace: str, key: str, value: str) -> None:
        """Store a setting; raises ValueError like `put_setting` of system_settings."""
        keyboard = self.state.ime.current
        put_setting(self.state, namespace, key, value)
        if self.state.ime.current != keyboard:
            self.adb_keyboard.switched()
        self.changed()

    # -- control

    def reset(self, seed: int, *, scatter: bool = False) -> None:
        """Become the phone of `seed`; with `scatter`, left by its owner on a random screen."""
        self.state = seeded_state(seed)
        if scatter:
            self.keyguard.unlock()
            scatter_about(self, random.Random(f"scatter {seed}"))
        self.log("reset", seed=seed)
        self.adb_keyboard.switched()
        self.keyguard.lock()
        self._follow_quirks()
        self._follow_asleep()

    def _follow_quirks(self) -> None:
        """Apply the quirks to the state."""
        self.adb_keyboard.install(self.state.ime)
        for package in self.ui.stacks.keys() - self.roster.apps.keys():
            self.force_stop(package)
        if self.quirks.get(SCENE) is None:
            self.ui.cover, self.ui.advert_due = "", None
        self.state.look.clock = shifted(
            seeded_state(self.state.seed).look.clock, self.quirks.get(CLOCK_JUMP) or 0
        )
        self.changed()

    def _follow_asleep(self) -> None:
        """Fall asleep with the quirk; clearing it wakes the phone."""
        self.state.power.awake = self.quirks.get(ASLEEP) is None
        if not self.state.power.awake:
            self.keyguard.lock()
        self.changed()

    def _keyguard_changed(self, now: str) -> None:
        self.log("keyguard", state=now)
        self.changed()

    @property
    def ui(self) -> Ui:
        return self.state.ui

    @property
    def events(self) -> deque[dict[str, Any]]:
        return self.log_entries.entries

    def log(self, kind: str, **data: Any) -> None:
        self.log_entries.add(kind, **data)

    def subscribe(self) -> asyncio.Queue[dict[str, Any]]:
        return self.log_entries.subscribe()

    def unsubscribe(self, reader: asyncio.Queue[dict[str, Any]]) -> None:
        self.log_entries.unsubscribe(reader)

    def changed(self) -> None:
        """Mark the painted screen as outdated."""
        self.revision += 1
