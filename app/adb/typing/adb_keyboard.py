"""ADBKeyboard's broadcasts, and whether they had an effect: it always reports the same result.

Source of the intents: senzhk/ADBKeyBoard, `AdbIME.java`.
"""

from __future__ import annotations

import base64

from app.adb import parse
from app.adb.connection import Deadline
from app.adb.shell import Shell, lines
from app.adb.typing.arrival import ARRIVE_S, ASK, REPLACE_S, Expected, Pictures
from app.adb.typing.look import Looking
from app.errors import TextRefused

ADB_KEYBOARD = "com.android.adbkeyboard/.AdbIME"
_PACKAGE = "com.android.adbkeyboard"
_CHUNK_CHARACTERS = 750
"""At most 3,000 bytes of UTF-8, 4,000 of base64."""
_CLEAR = ["am", "broadcast", "-a", "ADB_CLEAR_TEXT", "-p", _PACKAGE]


class Swallowed(Exception):
    """ADBKeyboard did not type: `sent` if it was asked to, `certain` if there is no doubt."""

    hint = "Tap the text field again, or set ADBKeyboard up anew: `phonepilot devices setup`."

    def __init__(self, message: str, *, sent: bool = True, certain: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent
        self.certain = certain


def send_by_cursor(shell: Shell, text: str, expected: Expected, deadline: Deadline) -> None:
    """Send the text and watch the cursor reach its place; raises Swallowed, TextRefused."""
    if expected.clear and text and not expected.visible:
        # The field may contain this very text. Emptying it shows whether the keyboard listens.
        send_by_cursor(shell, "", Expected.of("", True, expected.before), deadline)
        expected = Expected.of(text, False, (0, 0))
    state = _send(shell, text, expected.clear, deadline)
    if not expected.visible:
        return  # an empty field was emptied
    cursor = expected.await_cursor(shell, state, deadline)
    if cursor == expected.before:
        raise Swallowed("ADBKeyboard swallowed the text", certain=True)
    if expected.clear and 0 < expected.before[0] == cursor[0] - expected.length:
        raise Swallowed("ADBKeyboard did not empty the field", certain=True)
    expected.check_length(cursor)


def send_by_pictures(
    shell: Shell, text: str, clear: bool, look: Looking, deadline: Deadline
) -> None:
    """Send the text and watch the screen change; raises Swallowed."""
    pictures = Pictures(text, look, deadline)
    _send(shell, text, clear, deadline)
    if pictures.changed(REPLACE_S if clear else ARRIVE_S):
        return
    if not clear or not text:
        raise Swallowed("ADBKeyboard swallowed the text")
    # The field may have contained this very text before. Emptying it shows whether the keyboard
    # listens.
    _send(shell, "", True, deadline)
    if not pictures.changed(REPLACE_S):
        raise Swallowed("ADBKeyboard swallowed the text")
    _send(shell, text, False, deadline)


def _send(shell: Shell, text: str, clear: bool, deadline: Deadline) -> parse.Keyboard:
    """Broadcast in as few round trips as the line length allows; return the state afterwards."""
    commands = [_CLEAR] if clear else []
    for start in range(0, len(text), _CHUNK_CHARACTERS):
        piece = base64.b64encode(text[start : start + _CHUNK_CHARACTERS].encode()).decode()
        commands.append(
            ["am", "broadcast", "-a", "ADB_INPUT_B64", "-p", _PACKAGE, "--es", "msg", piece]
        )
    answer = ""
    for line in lines([*commands, ASK]):
        answer = shell.run(*line, deadline=deadline).check("typing").text
        if answer.count("Broadcast completed") < sum(command != ASK for command in line):
            raise TextRefused(f"the phone did not accept the text: {answer.strip()[:200]}")
    return parse.keyboard(answer)
