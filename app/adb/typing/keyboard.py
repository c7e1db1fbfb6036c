"""Types text: through scrcpy where it can be used, else with ADBKeyboard where that works, else
plain ASCII with `input text`.

ADBKeyboard reports `result=0` whether or not anything was typed. So preconditions are checked
first: an on-screen keyboard is up, and it is ADBKeyboard. The effect is checked afterwards: the
cursor moved to the end of the text, or the screen changed. A swallowed text is typed the other way
if that cannot double it. The person's own keyboard is always restored, even if the request is
abandoned midway, and after a crash at the next start.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.adb import parse
from app.adb.connection import Deadline
from app.adb.hands import START_S, WITHOUT_SCRCPY, Hands
from app.adb.scrcpy.hand import NotListening
from app.adb.shell import Shell
from app.adb.typing import keys
from app.adb.typing.adb_keyboard import ADB_KEYBOARD, Swallowed, send_by_cursor, send_by_pictures
from app.adb.typing.arrival import ASK, POLL_S, Expected, ask
from app.adb.typing.emptying import empty_field
from app.adb.typing.injected import Injected
from app.adb.typing.look import Looking
from app.adb.typing.saved_keyboard import SavedKeyboard
from app.errors import CommandFailed, DeviceError, InputRefused, TextRefused

log = logging.getLogger(__name__)

_SWITCH_S = 3.0
_RESTORE_S = 5.0
_LOOK_FIRST = "Look at the field before typing again."


@dataclass(frozen=True, slots=True)
class _Phone:
    """What a phone reports before anything is typed."""

    keyboard: parse.Keyboard
    has_adb_keyboard: bool
    current: str | None


class Keyboard:
    """The keyboards of one phone; blocking, and used for one text at a time."""

    def __init__(self, saved: SavedKeyboard) -> None:
        self._saved = saved

    @property
    def pending(self) -> bool:
        """Whether the person's keyboard still has to be restored."""
        return self._saved.value is not None

    def type_text(
        self,
        shell: Shell,
        text: str,
        *,
        clear: bool,
        deadline: Deadline,
        look: Looking,
        hands: Hands = WITHOUT_SCRCPY,
        private: bool = False,
    ) -> str:
        """Type into the focused field, emptying it first with `clear`; accepts any line ends.

        Return by what: `scrcpy keys`, `scrcpy clipboard`, `ADBKeyboard` or `input`. Raises
        TextRefused if no field has the keyboard, if the phone cannot type this text, if the field
        cut the text, or if it was swallowed and a retry could double it.
        """
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        _check_text(text)
        phone = _survey(shell, deadline)
        if phone.keyboard.shown is False:
            raise TextRefused("no text field has the keyboard", "Tap the text field first.")
        if not text and not clear:
            return ""
        by = self._through(hands, shell, phone, text, clear, private, look, deadline)
        if by:
            return by
        if not phone.has_adb_keyboard:
            commands = keys.ascii_commands(text)
            state = empty_field(shell, phone.keyboard, look, deadline) if clear else phone.keyboard
            told = state.cursor != phone.keyboard.cursor
            _press(shell, commands, _expected(text, clear, state), deadline, told=told)
            return "input"
        try:
            with self._switched(shell, phone, deadline) as serving:
                if serving.cursor is None:
                    send_by_pictures(shell, text, clear, look, deadline)
                else:
                    expected = Expected.of(text, clear, serving.cursor)
                    send_by_cursor(shell, text, expected, deadline)
            return "ADBKeyboard"
        except Swallowed as exc:
            reason = exc
        if not clear and reason.sent and not reason.certain:
            raise TextRefused(reason.message, _LOOK_FIRST)
        try:
            commands = keys.ascii_commands(text)
        except TextRefused:
            raise TextRefused(reason.message, reason.hint) from reason
        log.info("%s: %s; typing as keys", shell.serial, reason.message)
        before = ask(shell, deadline)
        state = empty_field(shell, before, look, deadline) if clear else before
        told = reason.certain or state.cursor != before.cursor
        _press(shell, commands, _expected(text, clear, state), deadline, told=told)
        return "input"

    def _through(
        self,
        hands: Hands,
        shell: Shell,
        phone: _Phone,
        text: str,
        clear: bool,
        private: bool,
        look: Looking,
        deadline: Deadline,
    ) -> str:
        """Type through scrcpy and return by what; "" if nothing was typed."""
        wanted = not text.isascii() and not phone.has_adb_keyboard
        hand = hands.by_scrcpy(shell, deadline, START_S if wanted else 0.0)
        if hand is None:
            return ""
        try:
            typing = Injected(hand, shell, phone.keyboard, look, deadline)
            return typing.type(text, clear=clear, private=private)
        except NotListening:
            hands.gave_up(hand, "it does not answer")
        except InputRefused as exc:
            hands.gave_up(hand, exc.message)
            raise
        except Swallowed as exc:
            if exc.sent and not exc.certain:
                raise TextRefused(exc.message, _LOOK_FIRST) from exc
            log.info("%s: %s; trying another way", shell.serial, exc.message)
        return ""

    @contextlib.contextmanager
    def _switched(
        self, shell: Shell, phone: _Phone, deadline: Deadline
    ) -> Iterator[parse.Keyboard]:
        """Make ADBKeyboard the current keyboard while the block runs."""
        if phone.current == ADB_KEYBOARD and self._saved.value is None:
            yield phone.keyboard  # the person's own choice
            return
        if phone.current != ADB_KEYBOARD:
            self._saved.keep(phone.current or "")
        try:
            state = phone.keyboard
            if phone.current != ADB_KEYBOARD:
                switch = [["ime", "enable", ADB_KEYBOARD], ["ime", "set", ADB_KEYBOARD]]
                said = shell.run(*switch, ASK, deadline=deadline)
                try:
                    state = parse.keyboard(said.check("switching to ADBKeyboard").text)
                except CommandFailed as exc:
                    raise Swallowed(exc.message, sent=False) from exc
            yield _await_keyboard(shell, state, deadline)
        finally:
            # With a deadline of its own: the request's may be over, and the person needs their
            # keyboard. If this fails, it is retried at the next start.
            try:
                self.restore(shell, Deadline(_RESTORE_S))
            except DeviceError as exc:
                log.warning("keyboard of %s not restored: %s", shell.serial, exc.message)

    def restore(self, shell: Shell, deadline: Deadline) -> None:
        """Make the person's keyboard the current one again, if ADBKeyboard replaced it."""
        saved = self._saved.value
        if saved is None:
            return
        # Also if a lease has ended meanwhile: the next one begins only after this.
        shell = shell.unfenced()
        back = ["ime", "set", saved] if saved else ["ime", "reset"]
        shell.run(back, deadline=deadline).check("restoring the keyboard")
        self._saved.forget()


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise TextRefused("the text is not valid Unicode", "Leave out lone surrogates.") from exc
    if "\0" in text:
        raise TextRefused("a NUL character cannot be typed", "Leave it out.")


def _survey(shell: Shell, deadline: Deadline) -> _Phone:
    """Ask three questions in one round trip; one by one on a phone where an early one fails."""
    questions = (
        ASK,
        ["ime", "list", "-a", "-s"],
        ["settings", "get", "secure", "default_input_method"],
    )
    mark = secrets.token_hex(8)  # an app controls parts of what dumpsys prints
    commands: list[Sequence[str]] = []
    for question in questions:
        commands += [question, ["echo", mark]]
    answers = shell.run(*commands, deadline=deadline).text.split(mark)
    if len(answers) != len(questions) + 1:
        answers = [shell.run(question, deadline=deadline).text for question in questions]
    state, listed, chosen = answers[: len(questions)]
    current = next(iter(parse.input_methods(chosen)), None)
    return _Phone(parse.keyboard(state), ADB_KEYBOARD in parse.input_methods(listed), current)


def _await_keyboard(shell: Shell, state: parse.Keyboard, deadline: Deadline) -> parse.Keyboard:
    """Wait until ADBKeyboard serves the focused field; until then its broadcasts are lost."""
    end = deadline.now() + _SWITCH_S
    while True:
        serving = state.current in (ADB_KEYBOARD, None) and state.bound is not False
        if serving and state.shown is not False:
            return state
        if deadline.now() >= end:
            raise Swallowed("ADBKeyboard did not come up for this field", sent=False)
        deadline.pause(POLL_S)
        state = ask(shell, deadline)


def _expected(text: str, clear: bool, state: parse.Keyboard) -> Expected | None:
    """Return what the cursor will show for a text typed as keys.

    None if the cursor is not reported, or if the Enter key may leave the field.
    """
    if state.cursor is None or "\n" in text:
        return None
    return Expected.of(text, clear, state.cursor)


def _press(
    shell: Shell,
    commands: list[list[str]],
    expected: Expected | None,
    deadline: Deadline,
    *,
    told: bool,
) -> None:
    """Type as keys; raises TextRefused if the text did not arrive.

    A cursor that stays at 0 may be one that the app does not report: it counts only if `told` says
    that the app reports it.
    """
    keys.press(shell, commands, deadline)
    if expected is None or not expected.visible:
        return
    cursor = expected.await_cursor(shell, ask(shell, deadline), deadline)
    if cursor != expected.before:
        expected.check_length(cursor)
    elif told or cursor != (0, 0):
        raise TextRefused("the field accepted none of the text", _LOOK_FIRST)
