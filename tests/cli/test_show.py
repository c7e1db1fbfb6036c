"""What foreign text may do to the terminal: nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from app.cli.show import shown
from app.visible import visible


@given(st.text())
def test_foreign_text_is_shown_as_text(text: str) -> None:
    printed, seen = Text.from_markup(f"[b]{shown(text)}[/b]").plain, visible(text)
    assert all(a == b or not b.isprintable() for a, b in zip(printed, seen, strict=True))
    assert printed.isprintable()
