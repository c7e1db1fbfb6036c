"""Detects whether a text arrived: by the cursor if the phone reports it, else by pictures.

The cursor of the focused field is counted in UTF-16 code units, like in Android. It shows how much
arrived; pictures only show that something did.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.adb import parse
from app.adb.connection import Deadline
from app.adb.shell import Shell
from app.adb.typing.look import Look, Looking
from app.errors import TextRefused

ARRIVE_S = 1.0
REPLACE_S = 0.3
"""Seconds that a typed text may take to appear; shorter where a retry cannot double anything."""
POLL_S = 0.03
_STILL_S = 1.0
"""Seconds that the old keyboard may take to slide away."""
_SEEN_CHARACTERS = 4
"""A text of this many characters is wider than a blinking cursor in a fingerprint."""
CURSOR_CELLS = 2

Selection = tuple[int, int]
"""Start and end of a field's selection; a cursor is an empty selection."""

ASK = ["dumpsys", "input_method"]


def ask(shell: Shell, deadline: Deadline) -> parse.Keyboard:
    """Return what the phone reports about its keyboard and the field that uses it."""
    return parse.keyboard(shell.run(ASK, deadline=deadline).text)


@dataclass(frozen=True, slots=True)
class Expected:
    """The cursor's position before a text is typed, and where it must be afterwards.

    With `clear` the text replaces the whole field, otherwise only the selection. `least` is the
    length of the text without newlines, which single-line fields drop.
    """

    before: Selection
    length: int
    least: int
    clear: bool

    @classmethod
    def of(cls, text: str, clear: bool, before: Selection) -> Expected:
        units = len(text) + sum(character > "\uffff" for character in text)
        return cls(before, units, units - text.count("\n"), clear)

    @property
    def start(self) -> int:
        return 0 if self.clear else self.before[0]

    @property
    def place(self) -> int:
        """The cursor's position once everything has arrived."""
        return self.start + self.length

    @property
    def visible(self) -> bool:
        """Whether that position differs from the one before."""
        return self.before[0] != self.place

    def await_cursor(self, shell: Shell, seen: parse.Keyboard, deadline: Deadline) -> Selection:
        """Return the cursor once it is in its place, or where it has come to rest; `seen` is the
        first look. If the cursor is no longer reported, the text counts as arrived."""
        still = self.before
        end = deadline.now() + (REPLACE_S if self.clear else ARRIVE_S)
        while True:
            if seen.cursor is None:
                return self.place, self.place
            # A selection may begin there: some fields complete what is typed.
            if seen.cursor[0] == self.place:
                return seen.cursor
            now = deadline.now()
            if seen.cursor != still:
                still, end = seen.cursor, now + ARRIVE_S
            elif now >= end:
                return seen.cursor
            deadline.pause(POLL_S)
            seen = ask(shell, deadline)

    def check_length(self, cursor: Selection) -> None:
        """Raise TextRefused if the field accepted only a part of the text.

        More than was typed is fine: some fields insert spaces into numbers.
        """
        arrived = cursor[0] - self.start
        if 0 <= arrived < self.least:
            raise TextRefused(
                f"the field accepted only {arrived} of {self.length} characters",
                "It may have a maximum length: look at the field, and type a shorter text.",
            )


class Pictures:
    """The screen before a text was sent, to compare with the screen afterwards."""

    def __init__(self, text: str, look: Looking, deadline: Deadline) -> None:
        self._look, self._deadline = look, deadline
        self._wider_than = CURSOR_CELLS if len(text.strip()) >= _SEEN_CHARACTERS else 0
        self._visible = bool(text.strip()) or not text
        self._before = self._still()

    def changed(self, seconds: float) -> bool:
        """Whether something was typed within `seconds`; True also if it cannot be determined."""
        if self._before is None or not self._visible:
            return True
        end = self._deadline.now() + seconds
        while True:
            now = self._look()
            if now is None or now.differs(self._before, wider_than=self._wider_than):
                return True
            if self._deadline.now() >= end:
                return False
            self._deadline.pause(POLL_S)

    def _still(self) -> Look | None:
        """Look until the screen no longer moves: the old keyboard may be sliding away."""
        end = self._deadline.now() + _STILL_S
        seen = self._look()
        while seen is not None and self._deadline.now() < end:
            later = self._look()
            if later is None or not later.differs(seen, wider_than=CURSOR_CELLS):
                return later
            seen = later
        return seen
