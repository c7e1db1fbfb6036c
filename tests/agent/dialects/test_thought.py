"""What is shown of a thought while it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.dialects.autoglm import AUTOGLM


def stream(pieces: list[str]) -> str:
    reading = AUTOGLM.reading()
    return "".join(reading.feed(piece) for piece in pieces)


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ('<think>On, want off.</think><answer>do(action="Back")</answer>', "On, want off."),
        ('On, want off.\ndo(action="Back")', "On, want off.\n"),
        ('On.<answer>do(action="Back")', "On."),
        ("<think>a < b and d</think>", "a < b and d"),
        ('finish(message="x")', ""),
    ],
)
def test_only_the_thought_is_shown_however_the_reply_is_cut(reply: str, shown: str) -> None:
    assert stream([reply]) == shown
    assert stream(list(reply)) == shown


@given(st.lists(st.text(alphabet="<>/thinkanswerdo(f ", max_size=8), max_size=12))
def test_pieces_never_show_more_than_the_whole(pieces: list[str]) -> None:
    assert stream(["".join(pieces)]).startswith(stream(pieces))
