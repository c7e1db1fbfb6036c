"""A context that fills is folded before it overflows, and no goal is ever lost in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.dialects.autoglm import AUTOGLM, RECORD_HEADING
from app.agent.history import KEPT_EXCHANGES, RECORD_LINES, ContextBudget, History
from app.agent.policy import VisionPolicy
from app.agent.step import Observation
from app.errors import ContextOverflow
from tests.agent.doubles import (
    Notebook,
    PlainFrame,
    RememberingDevice,
    Scene,
    ScriptedChat,
    Told,
)

TAP = '<think>I tap.</think><answer>do(action="Tap", element=[500,250])</answer>'
DONE = '<think>It is on.</think><answer>finish(message="Bluetooth is on.")</answer>'


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(1080, 2400, 3354), (252, 560, 180), (10, 10, 8), (4000, 4000, 4096)],
)
def test_tokens_of_an_image(width: int, height: int, tokens: int) -> None:
    assert AUTOGLM.image_tokens(width, height) == tokens


def test_the_next_prompt_is_foreseen_from_the_engines_counts() -> None:
    budget = ContextBudget(size=10_000, reply=1_000)
    assert budget.limit == 9_000
    assert budget.excess(image=500) == 0
    budget.counted(prompt=8_000, completion=800, image=500)
    foreseen = budget.excess(image=500) + budget.limit
    assert foreseen - 8_800 in range(150)
    assert budget.excess(image=2_000) == budget.excess(image=500) + 1_500
    budget.freed(4_000)
    assert budget.excess(image=500) < 0
    assert ContextBudget(size=0, reply=1_000).excess(image=1) == 0


def filled(turns: int, tokens: int = 100) -> History:
    history = History(AUTOGLM, "system", "Turn on Bluetooth")
    for number in range(turns):
        text = history.pending_text(f"App {number}")
        history.answered(text, f"reply {number}", f"did {number}", tokens)
    return history


def texts(history: History) -> list[str]:
    messages = history.messages(history.pending_text("Home"), b"png")
    return [
        message["content"]
        if isinstance(message["content"], str)
        else message["content"][-1]["text"]
        for message in messages
    ]


def test_the_oldest_turns_become_lines_under_the_goal() -> None:
    history = filled(10)
    assert history.fold(100) > 0
    said = texts(history)
    assert said[1].startswith('Turn on Bluetooth\n\n{"current_app": "App 0"}')
    assert f"{RECORD_HEADING}\ndid 0\ndid 1\ndid 2\ndid 3" in said[1]
    assert said[2] == "reply 4"
    assert [text for text in said[2::2] if text != said[-1]] == [f"reply {n}" for n in range(4, 10)]
    assert "reply 3" not in "".join(said)


@given(st.integers(0, 120), st.lists(st.integers(0, 5_000), max_size=12), st.integers(0, 300))
def test_folding_keeps_goal_order_and_the_last_turns(
    turns: int, folds: list[int], tokens: int
) -> None:
    history = filled(turns, tokens)
    for wanted in folds:
        history.fold(wanted)
    said = texts(history)
    assert "Turn on Bluetooth" in said[1]
    assert len(said) % 2 == 0  # system, pairs, and the turn that is asked
    replies = [text for text in said if text.startswith("reply ")]
    assert replies == sorted(replies, key=lambda text: int(text.split()[1]))
    assert replies[-KEPT_EXCHANGES:] == [f"reply {n}" for n in range(turns)][-KEPT_EXCHANGES:]
    record = said[1].partition(RECORD_HEADING)[2]
    assert record.count("did ") <= RECORD_LINES


def test_a_long_record_says_how_much_came_before() -> None:
    history = filled(100)
    while history.fold(1_000_000):
        pass
    assert "(57 steps before these)" in texts(history)[1]
    assert len(history.exchanges) == KEPT_EXCHANGES + 1


def test_a_goal_that_follows_another_is_the_one_that_is_kept() -> None:
    history = History(AUTOGLM, "system", "Now turn it off", filled(6).exchanges)
    for number in range(6):
        history.answered(history.pending_text("Home"), f"more {number}", f"then {number}", 100)
    history.fold(1_000_000)
    said = texts(history)
    assert said[1].startswith("Now turn it off")
    assert not any(text.startswith("Turn on Bluetooth") for text in said)
    assert "did 5" in said[1]


class SmallContext(ScriptedChat):
    context = 2_000


async def test_a_task_that_would_overflow_folds_before_it_does() -> None:
    prompts = [500 + 300 * n for n in range(4)]  # the fourth would pass what leaves a reply room
    replies = [Told(TAP, prompt_tokens=count, completion_tokens=60) for count in prompts]
    chat = SmallContext(*replies, DONE)
    scene = Scene(chat)
    assert (await scene.run()).reason == "finished"
    sizes = [len(request) for request in chat.requests]
    assert sizes[:4] == [2, 4, 6, 8]
    assert sizes[4] < 10
    assert RECORD_HEADING in str(chat.requests[4][1])


async def test_an_overflow_shrinks_the_conversation_once_and_goes_on() -> None:
    chat = ScriptedChat(TAP, TAP, TAP, TAP, ContextOverflow("too long"), DONE)
    assert (await Scene(chat).run()).reason == "finished"
    assert len(chat.requests[5]) < len(chat.requests[4])


async def test_an_overflow_that_stays_ends_the_task() -> None:
    chat = ScriptedChat(TAP, TAP, TAP, TAP, ContextOverflow("1"), ContextOverflow("2"))
    scene = Scene(chat, RememberingDevice(), Notebook())
    assert (await scene.run()).reason == "context_full"
    assert len(scene.device.calls) == 4


async def test_a_reply_that_is_cut_where_the_context_ends_shrinks_it_too() -> None:
    cut = Told(TAP[:30], finish_reason="length", prompt_tokens=1_900, completion_tokens=90)
    chat = SmallContext(TAP, TAP, TAP, TAP, cut, DONE)
    assert (await Scene(chat).run()).reason == "finished"
    assert len(chat.requests[5]) < len(chat.requests[4])
    assert RECORD_HEADING in str(chat.requests[5][1])


async def test_a_reply_that_is_cut_by_its_own_limit_shrinks_nothing() -> None:
    cut = Told(TAP[:30], finish_reason="length", prompt_tokens=900, completion_tokens=90)
    chat = SmallContext(TAP, TAP, TAP, TAP, cut, DONE)
    scene = Scene(chat)
    assert (await scene.run()).reason == "finished"
    assert len(chat.requests[5]) > len(chat.requests[4])


async def test_a_first_request_that_is_too_long_ends_the_task() -> None:
    assert (await Scene(ScriptedChat(ContextOverflow("too long"))).run()).reason == "context_full"


async def test_each_request_begins_with_what_the_engine_was_given_to_read_ahead() -> None:
    chat = ScriptedChat(TAP, TAP, DONE)
    await Scene(chat).run()
    for warmed, request in zip(chat.warmed, chat.requests[1:], strict=False):
        assert warmed[:-1] == request[:-1]
        assert warmed[-1] == {"role": "user", "content": ""}


async def test_a_conversation_that_was_taken_over_is_counted_before_it_is_sent() -> None:
    chat = ScriptedChat(DONE)
    chat.context, chat.counts = 10_000, [12_000, 8_000]
    policy = VisionPolicy(chat, filled(20), None, max_reply=1_000)
    seen = Observation(PlainFrame(), "Home")
    await policy.decide(seen, "", lambda thought: None)
    assert chat.counts == []
    assert len(chat.requests) == 1
    assert len(chat.requests[0]) < 2 * 20
    assert RECORD_HEADING in str(chat.requests[0])


async def test_a_conversation_of_its_own_is_not_counted() -> None:
    chat = ScriptedChat(TAP, DONE)
    chat.context, chat.counts = 10_000, [99_999]
    policy = VisionPolicy(chat, History(AUTOGLM, "system", "Turn on Bluetooth"), None)
    for _ in range(2):
        await policy.decide(Observation(PlainFrame(), "Home"), "", lambda thought: None)
    assert chat.counts == [99_999]
