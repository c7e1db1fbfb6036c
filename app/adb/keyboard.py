"""Typing text: through ADBKeyboard where it works, else plain ASCII through `input text`.

ADBKeyboard answers `result=0` whether or not anything was typed. So what can be known is checked
before: an on-screen keyboard is up, and ADBKeyboard is the one. What it did is looked for after:
the cursor moved, or the screen changed. A text that was swallowed is typed by the other route where
that cannot double it. The person's own keyboard is put back in every case, even when the request is
abandoned midway, and after a crash at the next start.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.adb import parse
from app.adb.connection import Deadline
from app.adb.saved_keyboard import SavedKeyboard
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
_ARRIVE_S = 1.0
_REPLACE_S = 0.3
"""How long a typed text may take to show; shorter where a second try can double nothing."""
_STILL_S = 1.0
"""How long the old keyboard may take to slide away, in seconds."""
_SEEN_CHARACTERS = 4
"""A text of so many characters is wider than a blinking cursor in a fingerprint."""
_CURSOR_CELLS = 2
_RESTORE_S = 5.0
_POLL_S = 0.03
_KEY_TAB, _KEY_ENTER, _KEY_DELETE, _KEY_MOVE_END = "61", "66", "67", "123"
_PIECES = re.compile(r"\n|\t|[ -~]+")


@dataclass(frozen=True, slots=True)
class Look:
    """A small grey picture of the screen, row by row; `columns` to a row."""

    cells: bytes
    columns: int

    def differs(self, other: Look, *, wider_than: int = 0) -> bool:
        """Whether more than `wider_than` columns in a row show something else."""
        if self.columns != other.columns or len(self.cells) != len(other.cells):
            return True
        pairs = enumerate(zip(self.cells, other.cells, strict=True))
        columns = {index % self.columns for index, (a, b) in pairs if a != b}
        return bool(columns) and max(columns) - min(columns) >= wider_than


Looking = Callable[[], Look | None]
"""Takes a look at the screen; None when it shows nothing: a secure one, a display that is off."""


class Keyboard:
    """The keyboards of one phone; blocking, and used for one text at a time."""

    def __init__(self, saved: SavedKeyboard) -> None:
        self._saved = saved

    @property
    def pending(self) -> bool:
        """Whether the person's keyboard has yet to be put back."""
        return self._saved.value is not None

    def type_text(
        self, shell: Shell, text: str, *, clear: bool, deadline: Deadline, look: Looking
    ) -> None:
        """Type into the focused field, emptying it first with `clear`.

        Raises TextRefused when no field has the keyboard, when the phone has no way to type this,
        or when the text was swallowed and a second try could double it.
        """
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        _check_text(text)
        state = parse.keyboard(shell.run(["dumpsys", "input_method"], deadline=deadline).text)
        if state.shown is False:
            raise TextRefused("no text field has the keyboard", "Tap the text field first.")
        listed = shell.run(["ime", "list", "-a", "-s"], deadline=deadline)
        if ADB_KEYBOARD not in parse.input_methods(listed.text):
            _inject(shell, text, clear, deadline)
            return
        try:
            with self._switched(shell, state, deadline) as serving:
                self._broadcast(
                    shell, text, clear, _Evidence(shell, text, look, serving.cursor, deadline)
                )
            return
        except _Swallowed as exc:
            reason = exc
        if not clear and reason.sent and not reason.certain:
            raise TextRefused(reason.message, "Look at the field before typing again.")
        try:
            commands = ascii_commands(text)
        except TextRefused:
            raise TextRefused(reason.message, reason.hint) from reason
        log.info("%s: %s; typing as keys", shell.serial, reason.message)
        _inject_commands(shell, commands, clear, deadline)

    @contextlib.contextmanager
    def _switched(
        self, shell: Shell, state: parse.Keyboard, deadline: Deadline
    ) -> Iterator[parse.Keyboard]:
        """ADBKeyboard as the current keyboard while the block runs."""
        asked = shell.run(["settings", "get", "secure", "default_input_method"], deadline=deadline)
        current = next(iter(parse.input_methods(asked.text)), None)
        if current == ADB_KEYBOARD and self._saved.value is None:
            yield state  # the person's own choice
            return
        if current != ADB_KEYBOARD:
            self._saved.keep(current or "")
        try:
            if current != ADB_KEYBOARD:
                shell.run(
                    ["ime", "enable", ADB_KEYBOARD], ["ime", "set", ADB_KEYBOARD], deadline=deadline
                ).check("switching to ADBKeyboard")
            yield _await_keyboard(shell, deadline)
        finally:
            # Under a deadline of its own: the request's may be over, and the person needs their
            # keys. What fails here is tried again at the next start.
            try:
                self.restore(shell, Deadline(_RESTORE_S))
            except DeviceError as exc:
                log.warning("keyboard of %s not restored: %s", shell.serial, exc.message)

    def restore(self, shell: Shell, deadline: Deadline) -> None:
        """Make the person's keyboard the current one again, if ours took its place."""
        saved = self._saved.value
        if saved is None:
            return
        # Also when a lease has ended meanwhile: the next one begins only after this.
        shell = shell.unfenced()
        back = ["ime", "set", saved] if saved else ["ime", "reset"]
        shell.run(back, deadline=deadline).check("restoring the keyboard")
        self._saved.forget()

    def _broadcast(self, shell: Shell, text: str, clear: bool, evidence: _Evidence) -> None:
        """Send the text and see it arrive; raises _Swallowed."""
        deadline = evidence.deadline
        _send(shell, _broadcasts(text, clear=clear), deadline)
        if evidence.arrived(_REPLACE_S if clear else _ARRIVE_S):
            return
        if not clear or not text:
            raise _Swallowed("ADBKeyboard swallowed the text", certain=evidence.certain)
        # The field may have held this very text before. Emptying it shows whether anybody hears.
        _send(shell, _broadcasts("", clear=True), deadline)
        if not evidence.arrived(_REPLACE_S):
            raise _Swallowed("ADBKeyboard swallowed the text", certain=evidence.certain)
        _send(shell, _broadcasts(text, clear=False), deadline)


class _Swallowed(Exception):
    """ADBKeyboard did not type: `sent` when it was asked to, `certain` beyond doubt."""

    hint = "Tap the text field again, or set ADBKeyboard up anew: `phonepilot devices setup`."

    def __init__(self, message: str, *, sent: bool = True, certain: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent
        self.certain = certain


class _Evidence:
    """What the phone said and showed before a text was sent, to compare with what it does after."""

    def __init__(
        self,
        shell: Shell,
        text: str,
        look: Looking,
        cursor: tuple[int, int] | None,
        deadline: Deadline,
    ) -> None:
        self.deadline = deadline
        self._shell, self._look, self._cursor = shell, look, cursor
        self._wider_than = _CURSOR_CELLS if len(text.strip()) >= _SEEN_CHARACTERS else 0
        self._visible = bool(text.strip()) or not text
        self._before = self._still() if cursor is None else None

    @property
    def certain(self) -> bool:
        """Whether the phone itself says where the cursor is; pictures may mislead."""
        return self._cursor is not None

    def arrived(self, seconds: float) -> bool:
        """Whether something was typed within `seconds`; True also when nothing could tell."""
        if self._cursor is None and (self._before is None or not self._visible):
            return True
        end = time.monotonic() + seconds
        while not self._changed():
            if time.monotonic() >= end:
                return False
            time.sleep(min(_POLL_S, self.deadline.left()))
        return True

    def _changed(self) -> bool:
        if self._cursor is not None:
            return self._ask_cursor() != self._cursor
        now = self._look()
        if now is None or self._before is None:
            return True
        return now.differs(self._before, wider_than=self._wider_than)

    def _ask_cursor(self) -> tuple[int, int] | None:
        said = self._shell.run(["dumpsys", "input_method"], deadline=self.deadline).text
        return parse.keyboard(said).cursor

    def _still(self) -> Look | None:
        """A look at a screen that no longer moves: the old keyboard may be sliding away."""
        end = time.monotonic() + _STILL_S
        seen = self._look()
        while seen is not None and time.monotonic() < end:
            later = self._look()
            if later is None or not later.differs(seen, wider_than=_CURSOR_CELLS):
                return later
            seen = later
        return seen


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise TextRefused("the text is not valid Unicode", "Leave out lone surrogates.") from exc
    if "\0" in text:
        raise TextRefused("a NUL character cannot be typed", "Leave it out.")


def _await_keyboard(shell: Shell, deadline: Deadline) -> parse.Keyboard:
    """Wait until ADBKeyboard serves the focused field; before that its broadcasts are lost."""
    end = time.monotonic() + _SWITCH_S
    while True:
        state = parse.keyboard(shell.run(["dumpsys", "input_method"], deadline=deadline).text)
        serving = state.current in (ADB_KEYBOARD, None) and state.bound is not False
        if serving and state.shown is not False:
            return state
        if time.monotonic() >= end:
            raise _Swallowed("ADBKeyboard did not come up for this field", sent=False)
        time.sleep(min(_POLL_S, deadline.left()))


def _broadcasts(text: str, *, clear: bool) -> list[list[str]]:
    commands = [["am", "broadcast", "-a", "ADB_CLEAR_TEXT", "-p", _PACKAGE]] if clear else []
    for start in range(0, len(text), _CHUNK_CHARACTERS):
        piece = base64.b64encode(text[start : start + _CHUNK_CHARACTERS].encode()).decode()
        commands.append(
            ["am", "broadcast", "-a", "ADB_INPUT_B64", "-p", _PACKAGE, "--es", "msg", piece]
        )
    return commands


def _send(shell: Shell, commands: list[list[str]], deadline: Deadline) -> None:
    for command in commands:
        answer = shell.run(command, deadline=deadline).check("typing")
        if "Broadcast completed" not in answer.text:
            raise TextRefused(f"the phone did not take the text: {answer.text.strip()[:200]}")


def _inject(shell: Shell, text: str, clear: bool, deadline: Deadline) -> None:
    _inject_commands(shell, ascii_commands(text), clear, deadline)


def _inject_commands(
    shell: Shell, commands: list[list[str]], clear: bool, deadline: Deadline
) -> None:
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
