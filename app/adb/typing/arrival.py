"""What shows that a text arrived: the cursor where the phone tells it, else pictures.

The cursor of the focused field is counted in UTF-16 code units, as Android does. It says how much
arrived; pictures say only that something did.
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
"""How long a typed text may take to show; shorter where a second try can double nothing."""
POLL_S = 0.03
_STILL_S = 1.0
"""How long the old keyboard may take to slide away, in seconds."""
_SEEN_CHARACTERS = 4
"""A text of so many characters is wider than a blinking cursor in a fingerprint."""
CURSOR_CELLS = 2

Selection = tuple[int, int]
"""Where the selection of a field begins and ends; a cursor is an empty one."""

ASK = ["dumpsys", "input_method"]


def ask(shell: Shell, deadline: Deadline) -> parse.Keyboard:
    """What the phone says of its keyboard and of the field that has it."""
    return parse.keyboard(shell.run(ASK, deadline=deadline).text)


@dataclass(frozen=True, slots=True)
class Expected:
    """Where the cursor was before a text is typed, and where it must be after.

    With `clear` the text replaces the whole field, else only what is selected. `least` is the
    length of the text without newlines, which fields of one line leave out.
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
        """Where the cursor stands once all has arrived."""
        return self.start + self.length

    @property
    def visible(self) -> bool:
        """Whether the cursor then stands elsewhere than before."""
        return self.before[0] != self.place

    def await_cursor(self, shell: Shell, seen: parse.Keyboard, deadline: Deadline) -> Selection:
        """The cursor once it is in its place, or where it has come to rest; `seen` is the first
        look. One that is no longer told counts as arrived."""
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
        """Raises TextRefused when the field took only a part of the text.

        More than was typed is fine: some fields write spaces into numbers.
        """
        arrived = cursor[0] - self.start
        if 0 <= arrived < self.least:
            raise TextRefused(
                f"the field accepted only {arrived} of {self.length} characters",
                "It may have a maximum length: look at the field, and type a shorter text.",
            )


class Pictures:
    """What the screen showed before a text was sent, to compare with what it shows after."""

    def __init__(self, text: str, look: Looking, deadline: Deadline) -> None:
        self._look, self._deadline = look, deadline
        self._wider_than = CURSOR_CELLS if len(text.strip()) >= _SEEN_CHARACTERS else 0
        self._visible = bool(text.strip()) or not text
        self._before = self._still()

    def changed(self, seconds: float) -> bool:
        """Whether something was typed within `seconds`; True also when nothing could tell."""
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
        """A look at a screen that no longer moves: the old keyboard may be sliding away."""
        end = self._deadline.now() + _STILL_S
        seen = self._look()
        while seen is not None and self._deadline.now() < end:
            later = self._look()
            if later is None or not later.differs(seen, wider_than=CURSOR_CELLS):
                return later
            seen = later
        return seen
