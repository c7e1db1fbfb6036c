"""What foreign text may do to the terminal: nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from app.cli.show import shown


@given(st.text())
def test_foreign_text_is_shown_as_text(text: str) -> None:
    printed = Text.from_markup(f"[b]{shown(text)}[/b]").plain
    assert len(printed) == len(text)
    assert all(a == b or not b.isprintable() for a, b in zip(printed, text, strict=True))
    assert printed.isprintable()
