"""Typing text: through ADBKeyboard where it is installed, else plain ASCII through `input text`.

ADBKeyboard answers `result=0` whether or not anything was typed, so what can be known is checked
before: an on-screen keyboard is up, and ADBKeyboard is the one. The person's own keyboard is put
back in every case, even when the request is abandoned midway.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import re
import time
from collections.abc import Iterator

from app.adb import parse
from app.adb.connection import Deadline
from app.adb.shell import Shell
from app.errors import DeviceError, TextRefused

log = logging.getLogger(__name__)

ADB_KEYBOARD = "com.android.adbkeyboard/.AdbIME"
_PACKAGE = "com.android.adbkeyboard"
_CHUNK_CHARACTERS = 750
"""At most 3,000 bytes of UTF-8, 4,000 of base64: fits an OPEN of any Android version."""
_ASCII_PIECE = 500
_ASCII_COMMANDS = 40
_CLEAR_KEYS = 250
"""How many characters `input` can delete: without an IME nobody tells the length of a field."""
_SWITCH_S = 3.0
_RESTORE_S = 5.0
_POLL_S = 0.03
_KEY_TAB, _KEY_ENTER, _KEY_DELETE, _KEY_MOVE_END = "61", "66", "67", "123"
_PIECES = re.compile(r"\n|\t|[ -~]+")


def type_text(shell: Shell, text: str, *, clear: bool, deadline: Deadline) -> None:
    """Type into the focused field, emptying it first with `clear`.

    Raises TextRefused when no field has the keyboard or when the phone has no way to type this.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    _check_unicode(text)
    state = parse.keyboard(shell.run(["dumpsys", "input_method"], deadline=deadline).text)
    if state.shown is False:
        raise TextRefused("no text field has the keyboard", "Tap the text field first.")
    installed = parse.input_methods(shell.run(["ime", "list", "-a", "-s"], deadline=deadline).text)
    if ADB_KEYBOARD in installed:
        with _adb_keyboard(shell, deadline):
            _broadcast(shell, text, clear, deadline)
    else:
        _inject(shell, text, clear, deadline)


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise TextRefused("the text is not valid Unicode", "Leave out lone surrogates.") from exc


@contextlib.contextmanager
def _adb_keyboard(shell: Shell, deadline: Deadline) -> Iterator[None]:
    """ADBKeyboard as the current keyboard while the block runs."""
    asked = shell.run(["settings", "get", "secure", "default_input_method"], deadline=deadline)
    saved = next(iter(parse.input_methods(asked.text)), None)
    if saved == ADB_KEYBOARD:
        yield
        return
    try:
        shell.run(
            ["ime", "enable", ADB_KEYBOARD], ["ime", "set", ADB_KEYBOARD], deadline=deadline
        ).check("switching to ADBKeyboard")
        _await_keyboard(shell, deadline)
        yield
    finally:
        # Under a deadline of its own: the request's may be over, and the person needs their keys.
        try:
            restore(shell, saved, Deadline(_RESTORE_S))
        except DeviceError as exc:
            log.warning("keyboard %s of %s not restored: %s", saved, shell.serial, exc.message)


def _await_keyboard(shell: Shell, deadline: Deadline) -> None:
    """Wait until ADBKeyboard serves the focused field; before that its broadcasts are lost."""
    end = time.monotonic() + _SWITCH_S
    while True:
        state = parse.keyboard(shell.run(["dumpsys", "input_method"], deadline=deadline).text)
        serving = state.current in (ADB_KEYBOARD, None) and state.bound is not False
        if serving and state.shown is not False:
            return
        if time.monotonic() >= end:
            raise TextRefused(
                "ADBKeyboard did not come up for this field",
                "Tap the text field again, or enable ADBKeyboard in the phone's settings.",
            )
        time.sleep(min(_POLL_S, deadline.left()))


def _broadcast(shell: Shell, text: str, clear: bool, deadline: Deadline) -> None:
    commands = [["am", "broadcast", "-a", "ADB_CLEAR_TEXT", "-p", _PACKAGE]] if clear else []
    for start in range(0, len(text), _CHUNK_CHARACTERS):
        piece = base64.b64encode(text[start : start + _CHUNK_CHARACTERS].encode()).decode()
        commands.append(
            ["am", "broadcast", "-a", "ADB_INPUT_B64", "-p", _PACKAGE, "--es", "msg", piece]
        )
    for command in commands:
        answer = shell.run(command, deadline=deadline).check("typing")
        if "Broadcast completed" not in answer.text:
            raise TextRefused(f"the phone did not take the text: {answer.text.strip()[:200]}")


def _inject(shell: Shell, text: str, clear: bool, deadline: Deadline) -> None:
    commands = ascii_commands(text)
    if clear:
        keys = [_KEY_MOVE_END, *[_KEY_DELETE] * _CLEAR_KEYS]
        commands.insert(0, ["input", "keyevent", *keys])
    for start in range(0, len(commands), _ASCII_COMMANDS):
        shell.run(*commands[start : start + _ASCII_COMMANDS], deadline=deadline).check("typing")


def ascii_commands(text: str) -> list[list[str]]:
    """The `input` commands that type printable ASCII, tabs and newlines; TextRefused for the rest.

    `input text` reads `%s` as a space and has no way to say the two characters `%s`, so these are
    typed in two calls.
    """
    commands: list[list[str]] = []
    position = 0
    for match in _PIECES.finditer(text):
        if match.start() != position:
            break
        position = match.end()
        if match[0] in "\n\t":
            commands.append(["input", "keyevent", _KEY_ENTER if match[0] == "\n" else _KEY_TAB])
            continue
        for piece in re.split(r"(?<=%)(?=s)", match[0]):
            for start in range(0, len(piece), _ASCII_PIECE):
                part = piece[start : start + _ASCII_PIECE]
                commands.append(["input", "text", part.replace(" ", "%s")])
    if position != len(text):
        raise TextRefused(f"without ADBKeyboard this phone cannot type {text[position]!r}")
    return commands


def restore(shell: Shell, keyboard: str | None, deadline: Deadline) -> None:
    """Make a keyboard the current one again; without a name, the phone's default."""
    back = ["ime", "set", keyboard] if keyboard else ["ime", "reset"]
    shell.run(back, deadline=deadline).check("restoring the keyboard")
