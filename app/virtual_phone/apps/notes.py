"""Notes: a list, an editor, and a question before deleting."""

from __future__ import annotations

from collections.abc import Callable

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Note, Route
from app.virtual_phone.toolkit.controls import Field
from app.virtual_phone.toolkit.rows import LinkRow, Paragraph
from app.virtual_phone.toolkit.scene import Widget
from app.virtual_phone.toolkit.screen import IconButton, Question, Screen

TITLE, BODY = "notes.title", "notes.body"


class NotesApp:
    badge = Badge("org.phonepilot.notes", "Notes", "note", (240, 168, 0))

    def screen(self, hand: Hand, route: Route) -> Screen:
        if route.name == "edit":
            return self._editor(hand, route)
        notes = hand.state.notes
        rows: list[Widget] = [
            LinkRow(note.title or "Untitled", self._opener(hand, note), _first_line(note))
            for note in notes
        ]
        if not rows:
            rows = [Paragraph("No notes yet. Tap + to write one.", centered=True, padding=200)]
        fab = IconButton("New note", "plus", lambda: self._create(hand))
        return Screen("Notes", rows, route.scroll, fab=fab)

    def _opener(self, hand: Hand, note: Note) -> Callable[[], None]:
        def open_note() -> None:
            hand.state.ui.drafts.update({TITLE: note.title, BODY: note.body})
            hand.open("edit", note.id)

        return open_note

    def _create(self, hand: Hand) -> None:
        hand.state.ui.drafts.update({TITLE: "", BODY: ""})
        hand.open("edit", 1 + max((note.id for note in hand.state.notes), default=0))
        hand.focus(TITLE)

    def _editor(self, hand: Hand, route: Route) -> Screen:
        ui = hand.state.ui
        body: list[Widget] = [
            Field(
                TITLE,
                ui.drafts.get(TITLE, ""),
                "Title",
                lambda: hand.focus(TITLE),
                ui.focus == TITLE,
                ui.behind,
                text_size=60,
            ),
            Field(
                BODY,
                ui.drafts.get(BODY, ""),
                "Note",
                lambda: hand.focus(BODY),
                ui.focus == BODY,
                ui.behind,
                lines=8,
            ),
        ]
        question = None
        if ui.dialog:
            question = Question(
                "Delete this note?", "Delete", lambda: self._delete(hand, route), hand.dismiss
            )
        buttons = (
            IconButton("Delete", "trash", lambda: hand.ask("delete")),
            IconButton("Save", "check", hand.back),
        )
        return Screen(
            "Edit note", body, route.scroll, back=hand.back, buttons=buttons, question=question
        )

    def _delete(self, hand: Hand, route: Route) -> None:
        state = hand.state
        state.notes = [note for note in state.notes if note.id != route.arg]
        state.ui.drafts.update({TITLE: "", BODY: ""})  # leave() does not save an empty draft
        hand.dismiss()
        hand.back()

    def leave(self, hand: Hand, route: Route) -> None:
        """Leaving the editor saves; an empty note is not kept."""
        if route.name != "edit":
            return
        drafts = hand.state.ui.drafts
        title, body = drafts.pop(TITLE, ""), drafts.pop(BODY, "")
        known = next((note for note in hand.state.notes if note.id == route.arg), None)
        if known:
            known.title, known.body = title, body
        elif title or body:
            hand.state.notes = [Note(id=route.arg, title=title, body=body), *hand.state.notes]


def _first_line(note: Note) -> str:
    return note.body.split("\n", 1)[0]
