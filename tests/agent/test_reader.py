"""Single questions about a screen: whatever comes back is words or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.dialects.autoglm import AUTOGLM
from app.agent.reader import Reader
from tests.agent.dialects.test_autoglm_reply import REPLIES
from tests.agent.doubles import PlainFrame, ScriptedChat


def reader(reply: str) -> Reader:
    return Reader(AUTOGLM, ScriptedChat(reply), "goal", "en", None)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("The balance is 5.", "The balance is 5."),
        ("<think>Look.</think><answer>The balance is 5.</answer>", "The balance is 5."),
        ('finish(message="The balance is 5.")', "The balance is 5."),
        ("do(action=Back)? No.</think>The balance is 5.", "The balance is 5."),
        ("do(x=" * 200, "do(x=" * 200),
    ],
)
async def test_what_a_screen_says(reply: str, words: str) -> None:
    assert await reader(reply).describe(PlainFrame()) == words


@given(
    st.one_of(
        REPLIES, st.text(), st.sampled_from(["do(x", '{"', "</think>"]).map(lambda s: s * 150)
    )
)
async def test_no_reply_breaks_a_question(reply: str) -> None:
    assert isinstance(await reader(reply).describe(PlainFrame()), str)
    assert (await reader(reply).judge(PlainFrame(), "done")).reached in (True, False, None)
