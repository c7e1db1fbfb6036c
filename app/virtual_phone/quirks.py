"""The quirks of a virtual phone: the traps of real Android phones, by name.

A phone without quirks behaves as if this module did not exist. Values are text on the command line
(`NAME=VALUE`) and at the control port, and typed inside the program.
"""

from __future__ import annotations

from typing import Any

from app.virtual_phone.quirk_values import (
    Quirk,
    command,
    drops,
    number_of,
    one_of,
    package,
    pin,
    seconds,
    size,
    some_of,
    whole,
)
from app.virtual_phone.scenes.catalogue import SCENES

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
ASLEEP = Quirk("asleep", "the screen is off until it is woken", "on", one_of("on"), "on")
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
CURSOR_FIRST = Quirk(
    "cursor-first",
    "a text field is entered with the cursor before its text, as by a tap there",
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
NO_PASTE = Quirk(
    "no-paste",
    "text fields take nothing from the clipboard: all, or those for passwords",
    "all or passwords",
    one_of("all", "passwords"),
    "all",
)
SCRCPY = Quirk(
    "scrcpy",
    "scrcpy's server does not start; starts in two seconds; swallows everything; ends after ten "
    "messages; or acknowledges a clipboard that it did not set",
    "fails, slow, deaf, dies or clipboard",
    one_of("fails", "slow", "deaf", "dies", "clipboard"),
    "fails",
)
SLOW_SCREENCAP = Quirk(
    "slow-screencap", "a screenshot takes so much longer", "seconds", seconds, "5"
)
SLOW_SHELL = Quirk(
    "slow-shell", "every shell command begins so much later", "seconds", seconds, "5"
)
ENDLESS = Quirk(
    "endless",
    "the output of this command never ends, as of a phone that means harm",
    "the name of a command, such as screencap",
    command,
    "screencap",
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
SCENE = Quirk(
    "scene",
    "small apps and windows on which a careless agent goes wrong (docs/measurements/scenes.md)",
    f"{', '.join(SCENES)}; several with commas between them",
    some_of(*SCENES),
)

_ALL: tuple[Quirk[Any], ...] = (
    ANDROID,
    DISPLAYS,
    SECURE,
    NO_INJECT,
    UNAUTHORIZED,
    ASLEEP,
    LOCKED,
    ADB_KEYBOARD_QUIRK,
    NO_INSTALL,
    NO_CURSOR,
    CURSOR_FIRST,
    MAX_LENGTH,
    NO_PASTE,
    SCRCPY,
    SLOW_SCREENCAP,
    SLOW_SHELL,
    ENDLESS,
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
    SCENE,
)
QUIRKS: dict[str, Quirk[Any]] = {quirk.name: quirk for quirk in _ALL}
