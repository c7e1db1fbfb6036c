"""What a virtual phone can have wrong with it: the traps of real Androids, by name.

`QUIRKS` describes them all; a `Quirks` holds those that one phone has now. A phone without quirks
behaves as if this module did not exist. Values are text on the command line (`NAME=VALUE`) and at
the control port, and typed for those who ask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.errors import ConfigError
from app.virtual_phone.quirk_values import (
    Drops,
    drops,
    number_of,
    one_of,
    package,
    pin,
    seconds,
    size,
    whole,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Quirk(Generic[T_co]):
    """One kind of trap. `read` turns its text into a value or raises ValueError."""

    name: str
    meaning: str
    values: str
    """The allowed texts, as a person reads them."""
    read: Callable[[str], T_co]
    bare: str | None = None
    """The text meant by the name alone; None when the quirk needs a value."""


NOTES = "org.phonepilot.notes"

ANDROID = Quirk(
    "android",
    "dumpsys, getprop and raw screenshots in the form of this Android version",
    "8, 9, 10, 12, 14 or 16",
    number_of(8, 9, 10, 12, 14, 16),
)
DISPLAYS = Quirk(
    "displays",
    "a folded foldable: screencap warns, and takes the black panel unless told -d",
    "2",
    number_of(2),
    "2",
)
SECURE = Quirk(
    "secure",
    "this app is black on screenshots (FLAG_SECURE), or every app",
    "a package, or all",
    lambda text: text if text == "all" else package(text),
    "all",
)
NO_INJECT = Quirk(
    "no-inject",
    "`input` is refused for want of INJECT_EVENTS, with this exit code",
    "255, 1 or 0",
    number_of(255, 1, 0),
    "255",
)
UNAUTHORIZED = Quirk(
    "unauthorized",
    "debugging is not accepted until the quirk is cleared",
    "on",
    one_of("on"),
    "on",
)
LOCKED = Quirk("locked", "a lock screen over everything", "none, or a PIN of digits", pin, "none")
ADB_KEYBOARD_QUIRK = Quirk(
    "adbkeyboard",
    "ADBKeyboard is not installed, hears no broadcast, or hears them only once its view was bound",
    "missing, inactive or api33",
    one_of("missing", "inactive", "api33"),
)
NO_INSTALL = Quirk(
    "no-install",
    "`adb install` is refused, as where 'Install via USB' is off",
    "on",
    one_of("on"),
    "on",
)
NO_CURSOR = Quirk(
    "no-cursor",
    "`dumpsys input_method` does not tell where the cursor is, as in the builds of many makers",
    "on",
    one_of("on"),
    "on",
)
MAX_LENGTH = Quirk(
    "max-length",
    "text fields take so much and cut the rest without a word",
    "a number of UTF-16 code units",
    whole(0, 20_000),
    "10",
)
SLOW_SCREENCAP = Quirk(
    "slow-screencap", "a screenshot takes so much longer", "seconds", seconds, "5"
)
SLOW_SHELL = Quirk(
    "slow-shell", "every shell command begins so much later", "seconds", seconds, "5"
)
DROP_SCREENCAP = Quirk(
    "drop-screencap",
    "the link drops in the middle of a screenshot's data, so many times",
    "a number of times",
    drops("middle"),
    "1",
)
DROP_INPUT = Quirk(
    "drop-input",
    "the link drops just before or after an `input` command or a text for ADBKeyboard takes "
    "effect, so many times",
    "before or after, with :TIMES",
    drops("before", "after"),
    "after",
)
HALF_OPEN = Quirk(
    "half-open",
    "connections are accepted and never answered; links fall silent after the greeting; or only "
    "those links that are up now fall silent",
    "connect, link or stale",
    one_of("connect", "link", "stale"),
    "connect",
)
CLOCK_JUMP = Quirk(
    "clock-jump",
    "the phone's clock is off by so much",
    "seconds, also negative",
    whole(-(10**8), 10**8),
    "3600",
)
ROTATION = Quirk(
    "rotation",
    "the phone lies on its side; the upright screen stands in the middle",
    "90 or 270",
    number_of(90, 270),
    "90",
)
SIZE = Quirk("size", "another physical screen size", "WIDTHxHEIGHT in pixels", size)
OVERRIDE_SIZE = Quirk(
    "override-size", "a size set over the physical one (`wm size`)", "WIDTHxHEIGHT in pixels", size
)
DENSITY = Quirk("density", "another physical density", "dpi", whole(72, 1000))
OVERRIDE_DENSITY = Quirk(
    "override-density", "a density set over the physical one", "dpi", whole(72, 1000)
)
WORK_PROFILE = Quirk(
    "work-profile",
    "there is a work profile (user 10), and this app runs in it",
    "a package",
    package,
    NOTES,
)

_ALL: tuple[Quirk[Any], ...] = (
    ANDROID,
    DISPLAYS,
    SECURE,
    NO_INJECT,
    UNAUTHORIZED,
    LOCKED,
    ADB_KEYBOARD_QUIRK,
    NO_INSTALL,
    NO_CURSOR,
    MAX_LENGTH,
    SLOW_SCREENCAP,
    SLOW_SHELL,
    DROP_SCREENCAP,
    DROP_INPUT,
    HALF_OPEN,
    CLOCK_JUMP,
    ROTATION,
    SIZE,
    OVERRIDE_SIZE,
    DENSITY,
    OVERRIDE_DENSITY,
    WORK_PROFILE,
)
QUIRKS: dict[str, Quirk[Any]] = {quirk.name: quirk for quirk in _ALL}


def _read(name: str, text: str) -> tuple[str, Any]:
    quirk = QUIRKS.get(name)
    if quirk is None:
        raise ConfigError(f"unknown quirk {name!r}", f"Known quirks: {', '.join(QUIRKS)}.")
    shown = text or quirk.bare
    if shown is None:
        raise ConfigError(f"quirk {name} needs a value", f"Allowed: {quirk.values}.")
    try:
        return shown, quirk.read(shown)
    except ValueError:
        raise ConfigError(
            f"quirk {name} cannot be {shown!r}", f"Allowed: {quirk.values}."
        ) from None


class Quirks:
    """The quirks that a phone has now."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[str, Any]] = {}
        self._watchers: dict[str, list[Callable[[], None]]] = defaultdict(list)

    def get(self, quirk: Quirk[T]) -> T | None:
        """The value, or None when the phone does not have the quirk."""
        found: T | None = self._values.get(quirk.name, ("", None))[1]
        return found

    def take(self, quirk: Quirk[Drops]) -> str | None:
        """The moment of one more drop, which is thereby used up; None when none is due."""
        due = self.get(quirk)
        if due is None:
            return None
        if due.times == 1:
            del self._values[quirk.name]
        else:
            left = Drops(due.when, due.times - 1)
            self._values[quirk.name] = (str(left), left)
        return due.when

    def change(self, wishes: Mapping[str, str | None]) -> None:
        """Set quirks (text; "" for the value meant by the bare name) and clear them (None).

        Raises ConfigError, and changes nothing, when one of them is not possible.
        """
        read = {name: _read(name, text) for name, text in wishes.items() if text is not None}
        for name in wishes.keys() - read.keys():
            if name not in QUIRKS:
                _read(name, "")  # raises
        for name in wishes:
            self._values.pop(name, None)
        self._values.update(read)
        for name in wishes:
            for watcher in self._watchers[name]:
                watcher()

    def add(self, option: str) -> None:
        """Set one by its command-line text, `NAME` or `NAME=VALUE`; raises ConfigError."""
        name, equals, text = option.partition("=")
        if equals and not text:
            raise ConfigError(f"quirk {name} has an empty value", "Write NAME or NAME=VALUE.")
        self.change({name: text})

    def watch(self, quirk: Quirk[Any], watcher: Callable[[], None]) -> None:
        """Call `watcher` whenever the quirk is set or cleared."""
        self._watchers[quirk.name].append(watcher)

    def texts(self) -> dict[str, str]:
        """Name and text of each, in the order set."""
        return {name: text for name, (text, _) in self._values.items()}
