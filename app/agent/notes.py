"""The model's notes and its conclusions from them: the actions Note and Call_API."""

from __future__ import annotations

from dataclasses import dataclass

from app.agent.actions import CallApi, Note
from app.agent.conduct import Conduct
from app.agent.step import Next, StepRecord
from app.errors import EngineError

_NO_TEXT = ("", "true", "false", "none")
"""Note texts that mean the page itself."""


MAX_NOTES = 40
MAX_NOTE = 2_000
"""Longest note, in characters: about a page of text."""


@dataclass(frozen=True)
class PageNote:
    """A note. `step` is the step in which it was taken, `app` the app in front."""

    step: int
    app: str
    text: str


class Memory:
    """The notes of one task, oldest first; above MAX_NOTES the oldest are dropped."""

    def __init__(self) -> None:
        self.notes: list[PageNote] = []

    def add(self, note: PageNote) -> None:
        self.notes = [
            *self.notes[-(MAX_NOTES - 1) :],
            PageNote(note.step, note.app, note.text[:MAX_NOTE]),
        ]

    def text(self) -> str:
        """Return all notes as lines; "" if there are none."""
        return "\n".join(f"[{note.step}] {note.app}: {note.text}" for note in self.notes)


class Notes:
    """Takes the notes of one task."""

    def __init__(self, conduct: Conduct) -> None:
        self._conduct = conduct
        self._memory = Memory()

    async def take(self, step: StepRecord, action: Note) -> Next:
        text = action.message.strip()
        if text.casefold() in _NO_TEXT:
            text = await self._read(step, None) or (step.decision.thought if step.decision else "")
        self._remember(step, text)
        step.remark = f"Noted: {text}"
        return Next("Noted.", action)

    async def sum_up(self, step: StepRecord, action: CallApi) -> Next:
        text = await self._read(step, action.instruction) or self._memory.text()
        self._remember(step, text)
        step.remark = f"Result: {text or 'there are no notes yet.'}"
        return Next(step.remark, action)

    async def _read(self, step: StepRecord, instruction: str | None) -> str:
        """Return what the reader says about the screen; "" without a reader or if it fails."""
        reader, frame = self._conduct.reader, step.observation.frame
        if reader is None:
            return ""
        text = None
        while text is None:
            await self._conduct.gate()
            if instruction is None:
                reading = reader.describe(frame)
            else:
                reading = reader.sum_up(frame, self._memory.text(), instruction)
            try:
                text = await self._conduct.control.unless_paused(reading)
            except EngineError as exc:
                step.error = exc
                return ""
        return text

    def _remember(self, step: StepRecord, text: str) -> None:
        self._memory.add(PageNote(step.number, step.observation.app, text))
