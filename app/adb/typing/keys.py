"""Types as keys, using Android's `input`: printable ASCII and newlines only."""

from __future__ import annotations

import re

from app.adb.connection import Deadline
from app.adb.shell import Shell, lines
from app.errors import TextRefused

_ASCII_PIECE = 500
CLEAR_KEYS = 250
"""Least number of characters to delete: without an IME the length of a field is unknown."""
_KEY_ENTER, _KEY_DELETE, _KEY_FORWARD_DELETE, _KEY_MOVE_END = "66", "67", "112", "123"
TO_END_OF_TEXT = ["input", "keycombination", "CTRL_LEFT", "MOVE_END"]
"""Android 13 and later; End alone goes to the end of a line."""
_PIECES = re.compile(r"\n|[ -~]+")


def ascii_commands(text: str) -> list[list[str]]:
    """Return the `input` commands that type printable ASCII and newlines; else TextRefused.

    This includes tabs: the tab key moves to the next field, and the rest would be typed there.
    `input text` reads `%s` as a space and cannot type the two characters `%s`, so they are typed in
    two calls.
    """
    commands: list[list[str]] = []
    position = 0
    for match in _PIECES.finditer(text):
        if match.start() != position:
            break
        position = match.end()
        if match[0] == "\n":
            commands.append(["input", "keyevent", _KEY_ENTER])
            continue
        for piece in re.split(r"(?<=%)(?=s)", match[0]):
            for start in range(0, len(piece), _ASCII_PIECE):
                part = piece[start : start + _ASCII_PIECE]
                commands.append(["input", "text", part.replace(" ", "%s")])
    if position != len(text):
        raise TextRefused(f"without ADBKeyboard this phone cannot type {text[position]!r}")
    return commands


def clear_commands(length: int) -> list[list[str]]:
    """Return the `input` commands that empty a field of at most `length` characters."""
    end = ["input", "keyevent", _KEY_MOVE_END]
    return [end, *delete_commands(max(length, CLEAR_KEYS))]


def delete_commands(count: int) -> list[list[str]]:
    """Return the `input` commands that delete this many characters before the cursor."""
    return _repeated(_KEY_DELETE, count)


def delete_behind_commands(count: int) -> list[list[str]]:
    """Return the `input` commands that delete this many characters after the cursor."""
    return _repeated(_KEY_FORWARD_DELETE, count)


def _repeated(key: str, count: int) -> list[list[str]]:
    starts = range(0, count, CLEAR_KEYS)
    return [["input", "keyevent", *[key] * min(CLEAR_KEYS, count - start)] for start in starts]


def press(shell: Shell, commands: list[list[str]], deadline: Deadline) -> None:
    """Run `input` commands; raises CommandFailed and InputRefused."""
    for line in lines(commands):
        shell.run(*line, deadline=deadline).check("typing")
