"""`input`: touches, keys and text (AOSP `InputShellCommand.java`).

A gesture takes effect at once; its duration only distinguishes a fling from a drag or a long press.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from app.virtual_phone.quirks import NO_INJECT
from app.virtual_phone.shell.call import Call
from app.virtual_phone.shell.keycodes import keycode
from app.virtual_phone.shell.versions import version

SWIPE_MS = 300
_SOURCES = frozenset({"touchscreen", "touchpad", "keyboard", "mouse", "stylus", "dpad", "gamepad"})
_KEY_OPTIONS = frozenset({"--longpress", "--doubletap", "--async"})
_KEY_OPTIONS_WITH_VALUE = frozenset({"--delay", "--duration"})
_USAGE = """Usage: input [<source>] [-d DISPLAY_ID] <command> [<arg>...]
The commands and default sources are:
      text <string> (Default: keyboard)
      keyevent [--longpress|--doubletap|--async] <key code number or name> ...
      tap <x> <y> (Default: touchscreen)
      swipe <x1> <y1> <x2> <y2> [duration(ms)] (Default: touchscreen)
      draganddrop <x1> <y1> <x2> <y2> [duration(ms)] (Default: touchscreen)
      keycombination [-t duration(ms)] <key code 1> <key code 2> ... (Default: keyboard)"""

_REFUSAL = """Exception occurred while executing '{}':
java.lang.SecurityException: Injecting input events requires the caller (or the source of the \
instrumentation, if any) to have the INJECT_EVENTS permission."""
"""The `InputManagerService` error on phones where "USB debugging (Security settings)" is off."""


class _BadArguments(Exception):
    pass


def _numbers(args: list[str], least: int, most: int) -> list[int]:
    if not least <= len(args) <= most:
        raise _BadArguments
    try:
        values = [float(arg) for arg in args]
    except ValueError:
        raise _BadArguments from None
    if not all(math.isfinite(value) for value in values):
        raise _BadArguments
    return [int(value) for value in values]


def _tap(call: Call, args: list[str]) -> int:
    x, y = _numbers(args, 2, 2)
    call.phone.tap(*call.phone.panel.touched(x, y))
    return 0


def _swipe(call: Call, args: list[str]) -> int:
    x1, y1, x2, y2, *rest = _numbers(args, 4, 5)
    start, end = call.phone.panel.touched(x1, y1), call.phone.panel.touched(x2, y2)
    call.phone.swipe(*start, *end, rest[0] if rest and rest[0] > 0 else SWIPE_MS)
    return 0


def _keyevent(call: Call, args: list[str]) -> int:
    codes: list[int] = []
    pending = iter(args)
    for arg in pending:
        if arg in _KEY_OPTIONS_WITH_VALUE:
            next(pending, None)
        elif arg not in _KEY_OPTIONS:
            codes.append(keycode(arg))
    if not codes:
        raise _BadArguments
    for code in codes:
        if code:  # an unknown key is injected as 0, which has no effect
            call.phone.press_key(code)
    return 0


def _keycombination(call: Call, args: list[str]) -> int:
    if args[:1] == ["-t"]:
        del args[:2]
    if len(args) < 2:
        raise _BadArguments
    call.phone.press_together([keycode(arg) for arg in args])
    return 0


def _text(call: Call, args: list[str]) -> int:
    if not args:
        raise _BadArguments
    text = args[0].replace("%s", " ")
    if not all(" " <= char <= "~" for char in text):
        # The virtual key map has no keys for these: getEvents() returns null.
        return call.fail(
            "Exception occurred while executing 'text':\n"
            "java.lang.NullPointerException: Attempt to get length of null array",
            255,
        )
    call.phone.type_text(text)
    return 0


_ACTIONS: dict[str, Callable[[Call, list[str]], int]] = {
    "tap": _tap,
    "swipe": _swipe,
    "draganddrop": _swipe,
    "keyevent": _keyevent,
    "keycombination": _keycombination,
    "text": _text,
}
_FIRST_ANDROID = {"keycombination": 13}


def input_command(call: Call) -> int:
    args = list(call.args)
    if args and args[0] in _SOURCES:
        args.pop(0)
    if args[:1] == ["-d"]:
        del args[:2]
    if not args:
        return call.fail(_USAGE, 255)
    action = _ACTIONS.get(args[0])
    if action is None or version(call.phone) < _FIRST_ANDROID.get(args[0], 0):
        return call.fail(f"Unknown command: {args[0]}", 255)
    refused = call.phone.quirks.get(NO_INJECT)
    if refused is not None:
        return call.fail(_REFUSAL.format(args[0]), refused)
    try:
        return call.touch(lambda: action(call, args[1:]))
    except _BadArguments:
        return call.fail(f"Error: Invalid arguments for command: {args[0]}\n{_USAGE}", 255)


COMMANDS = {"input": input_command}
