"""What a task has written down: the pages that the model noted, for its own later use."""

from __future__ import annotations

from dataclasses import dataclass

MAX_NOTES = 40
MAX_NOTE = 2_000
"""Characters; a page of text is about as long."""


@dataclass(frozen=True)
class PageNote:
    """`step` is the step in which it was taken, `app` what was in front."""

    step: int
    app: str
    text: str


class Memory:
    """The notes of one task, oldest first; the oldest go when there are too many."""

    def __init__(self) -> None:
        self.notes: list[PageNote] = []

    def add(self, note: PageNote) -> None:
        self.notes = [
            *self.notes[-(MAX_NOTES - 1) :],
            PageNote(note.step, note.app, note.text[:MAX_NOTE]),
        ]

    def text(self) -> str:
        """All notes as lines; "" when there are none."""
        return "\n".join(f"[{note.step}] {note.app}: {note.text}" for note in self.notes)
