"""A reply while it streams in: over exactly where the parser of whole replies says so, at a cost
that is linear in its length."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.dialects.autoglm import AUTOGLM, AutoGlmReading
from app.agent.dialects.autoglm_reply import MAX_REPLY, holds_action, parse_reply
from app.errors import PolicyError, ReplyTruncated, ReplyUnparseable
from tests.agent.dialects.test_autoglm_reply import HOSTILE, LENIENT, PROTOCOL, REFUSED, REPLIES

FRAMES = [
    "{}",
    "<answer>{}</answer>",
    "<think>First, look.</think>\n<answer>{}</answer>",
    "Look.</think>{}\n.",
    '<think>I could do(action="Tap", element=[1,2]) (or not).</think>{}</answer> and so on',
]
CORPUS = sorted(
    text for replies in (PROTOCOL, LENIENT, HOSTILE, REFUSED) for text, _ in replies.values()
)
WHOLE = [frame.replace("{}", text) for text in CORPUS if len(text) < 2_000 for frame in FRAMES]


def cut(text: str, seed: int) -> list[str]:
    """The text in pieces of one to seven characters, now and then an empty one or a long one."""
    chance, pieces, at = random.Random(seed), list[str](), 0
    while at < len(text):
        size = chance.choice((0, 1, 1, 1, 2, 3, 5, 7, 40))
        pieces.append(text[at : at + size])
        at += size
    return pieces


def same_at_each_piece(pieces: list[str]) -> None:
    """Up to the piece with which the reply is over, and at its end."""
    reading, text = AUTOGLM.reading(), ""
    for piece in pieces:
        reading.feed(piece)
        text += piece
        assert reading.over == holds_action(text), text
        if reading.over:
            break
    assert reading.text == text
    assert decided(reading) == parsed(text)


def decided(reading: AutoGlmReading) -> object:
    try:
        return reading.decision()
    except (PolicyError, ReplyTruncated) as exc:
        return type(exc), exc.message


def parsed(text: str) -> object:
    try:
        return parse_reply(text)
    except (PolicyError, ReplyTruncated) as exc:
        return type(exc), exc.message


@pytest.mark.parametrize("seed", range(8))
def test_the_corpus_is_over_where_the_parser_says_so_however_it_is_cut(seed: int) -> None:
    for text in WHOLE:
        same_at_each_piece(cut(text, seed))


@given(REPLIES, REPLIES, st.integers(0, 2**32))
def test_any_reply_is_over_where_the_parser_says_so(before: str, behind: str, seed: int) -> None:
    same_at_each_piece(cut(f"{before}</think>{behind}", seed))
    same_at_each_piece(list(f"<answer>{behind}"))
    same_at_each_piece(cut(before, seed))


def test_tells_how_much_came_behind_the_action() -> None:
    reading = AUTOGLM.reading()
    for piece in ("So.</think>", 'do(action="Back")', "</", "answer> and"):
        reading.feed(piece)
    assert reading.over
    assert reading.behind == len("answer> and")


# -- what the engine split off as thought


def test_reasoning_is_thought_and_the_rest_the_answer() -> None:
    reading = AUTOGLM.reading()
    assert reading.feed('I could finish(message="x").', reasoning=True) == (
        'I could finish(message="x").'
    )
    assert reading.feed('do(action="Back")') == ""
    reading.feed("\n\n")
    assert reading.over
    assert reading.decision().action.kind == "back"


@pytest.mark.parametrize(
    "thought",
    [
        '</think>finish(message="x")',
        '</thi</think>nk>finish(message="x")',
        '</thi<|user|>nk>finish(message="x")',
        '<ans</think>wer>finish(message="x")',
        '</th</th</think>ink>ink>finish(message="x")',
    ],
)
def test_no_tag_in_the_reasoning_turns_it_into_an_answer(thought: str) -> None:
    reading = AUTOGLM.reading()
    for character in thought:
        reading.feed(character, reasoning=True)
    assert not reading.over
    reading.feed('do(action="Back")\n\n')
    assert reading.over
    assert reading.decision().action.kind == "back"
    # It is stored like that, and read again by a task that follows.
    assert parse_reply(reading.text).action.kind == "back"


@pytest.mark.parametrize(
    ("reasoned", "kind"),
    [
        ('I go back.\ndo(action="Back")', "back"),
        ('I go back.</think><answer>do(action="Back")</answer>', "back"),
        ('<think>Not finish(message="x").</think>do(action="Back")', "back"),
        ('It is on.</think><answer>finish(message="x")</answer>\n', "finish"),
    ],
)
def test_a_reply_that_came_wholly_as_reasoning_is_read(reasoned: str, kind: str) -> None:
    reading = AUTOGLM.reading()
    for piece in cut(reasoned, 1):
        reading.feed(piece, reasoning=True)
    reading.feed("\n")
    assert not reading.over
    assert reading.decision().action.kind == kind
    assert parse_reply(reading.text).action.kind == kind


@pytest.mark.parametrize(
    "reasoned",
    [
        "",
        "I think.",
        '<think>do(action="Back")',
        '<think>I could finish(message="x")</think>',
        'I could say\nfinish(message="x")\nbut it is not on yet.',
        'First do(action="Back")\nthen I look.',
    ],
)
def test_reasoning_that_does_not_end_with_an_action_is_none(reasoned: str) -> None:
    reading = AUTOGLM.reading()
    reading.feed(reasoned, reasoning=True)
    with pytest.raises(ReplyUnparseable):
        reading.decision()


def test_reasoning_that_was_cut_is_no_reply() -> None:
    reading = AUTOGLM.reading()
    reading.feed('So.</think><answer>do(action="Back")', reasoning=True)
    with pytest.raises(ReplyTruncated):
        reading.decision(truncated=True)


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ('<think>a</think><answer>do(action="Back")', True),
        ('<think>a</think><answer>do(action="Back")</answer>', True),
        ('<think>a</think><answer>do(action="Ba', False),
        ('do(action="Back")', False),
        ("<think>a", False),
        ("", False),
    ],
)
def test_a_reply_that_breaks_off_is_whole_where_its_form_says_so(text: str, closed: bool) -> None:
    reading = AUTOGLM.reading()
    reading.feed(text)
    assert reading.closed is closed


# -- cost

HONEST = [*["The list is long, I go on. "] * 3_000, "</think><answer>", 'do(action="Back")', "</a"]
TYPES_CODE = ["</think>", 'do(action="Type", text="', *["f(x) {} "] * 6_000, '")', "\n\n"]
BRACKETS = ["</think>", *[")"] * 48_000]
BROKEN_CALLS = ["</think>", *['do(x="{)'] * 6_000]
OPEN_STRINGS = ["</think>", *["do(a=“ )"] * 6_000]


@pytest.mark.parametrize("pieces", [HONEST, TYPES_CODE, BRACKETS, BROKEN_CALLS, OPEN_STRINGS])
def test_twice_the_length_costs_no_more_than_twice_as_much(pieces: list[str]) -> None:
    costs = []
    for length in (len(pieces) // 2, len(pieces)):
        reading = AUTOGLM.reading()
        for piece in pieces[:length]:
            reading.feed(piece)
        costs.append(reading.examined)
    characters = sum(map(len, pieces))
    assert costs[1] <= 2.5 * costs[0] + 2 * characters
    assert costs[1] <= 300_000 + 9 * characters


def test_an_honest_reply_is_looked_through_a_few_times() -> None:
    reading = AUTOGLM.reading()
    for piece in HONEST:
        reading.feed(piece)
    assert reading.over
    assert reading.examined <= 4 * len(reading.text)


def test_a_reply_that_is_too_long_to_be_read_is_over() -> None:
    reading = AUTOGLM.reading()
    while not reading.over:
        reading.feed("x" * 1_000)
    assert len(reading.text) <= MAX_REPLY + 1_000
    with pytest.raises(PolicyError, match="longer than"):
        reading.decision()
