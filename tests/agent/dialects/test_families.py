"""The rules that every dialect keeps, over one table of odd replies and any text at all."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.agent.actions import Action, Finish, GiveUp, LongPress, Swipe, Tap, TypeText
from app.errors import (
    ActionOutOfBounds,
    AppError,
    PolicyError,
    ReplyTruncated,
    ReplyUnparseable,
    UnknownAction,
)
from tests.agent.dialects.speech import BY_NAME, SENT, SPEECHES, Speech

Case = Callable[[Speech], str]


def read(speech: Speech, text: str, *, truncated: bool = False) -> Action | AppError:
    try:
        return speech.dialect.read(text, truncated=truncated, sent=SENT).action
    except (PolicyError, ReplyTruncated) as exc:
        return exc


def is_tap(action: object) -> bool:
    return isinstance(action, Tap) and [int(part) for part in action.element] == [300, 400]


# -- what is a tap at 300, 400, however it is framed

TAPS: dict[str, Case] = {
    "alone": lambda s: s.tap(300, 400),
    "thought in tags": lambda s: f"{s.opens}Look.{s.closes}\n{s.tap(300, 400)}",
    "thought in other tags": lambda s: f"<think>Look.</think>{s.tap(300, 400)}",
    "thought in tags of MAI": lambda s: f"<thinking>\nLook.\n</thinking>\n{s.tap(300, 400)}",
    "thought that the template opened": lambda s: f"Look.\n{s.closes}\n\n{s.tap(300, 400)}",
    "empty thought": lambda s: f"{s.opens}{s.closes}{s.tap(300, 400)}",
    "special token behind": lambda s: f"{s.tap(300, 400)}<|im_end|>",
    "special token before": lambda s: f"<|assistant|>{s.opens}a{s.closes}{s.tap(300, 400)}",
    "line ends around": lambda s: f"\n\n{s.tap(300, 400)}\n\n",
    "numbers with decimals": lambda s: s.tap(300.2, 400.4),
    "the thought quotes the end": lambda s: (
        f"{s.opens}I must not say {s.done()} yet.{s.closes}\n{s.tap(300, 400)}"
    ),
    "the thought quotes another action": lambda s: (
        f"{s.opens}Not\n{s.back()}\nbut the button.{s.closes}\n{s.tap(300, 400)}"
    ),
    "the thought quotes its own tag": lambda s: (
        f"{s.opens}The page says {s.closes} and more{s.closes}\n{s.tap(300, 400)}"
    ),
    "thought in Chinese": lambda s: f"{s.opens}点第一个。{s.closes}\n{s.tap(300, 400)}",
}
QUOTED = (TAPS["the thought quotes the end"], TAPS["the thought quotes another action"])
REFUSED: dict[str, tuple[Case, type[AppError]]] = {
    "nothing": (lambda s: "", ReplyUnparseable),
    "spaces": (lambda s: " \n\t\n", ReplyUnparseable),
    "words": (lambda s: "The task is done.", ReplyUnparseable),
    "only thought": (lambda s: f"{s.opens}I tap it.{s.closes}", ReplyUnparseable),
    "thought without end": (lambda s: f"{s.opens}I tap.\n{s.tap(1, 2)}", ReplyUnparseable),
    "an end in thought without end": (lambda s: f"{s.opens}\n{s.done()}", ReplyUnparseable),
    "an end before the end of the thought": (
        lambda s: f"{s.done()}\n{s.closes}",
        ReplyUnparseable,
    ),
    "special tokens": (lambda s: "<|im_end|>", ReplyUnparseable),
    "unknown action": (lambda s: s.unknown, UnknownAction),
    "argument given twice": (lambda s: s.twice, ReplyUnparseable),
    "pixels of a phone": (lambda s: s.tap(540, 2200), ActionOutOfBounds),
    "beyond the left edge": (lambda s: s.tap(-3, 5), ActionOutOfBounds),
    "fractions": (lambda s: s.tap(0.5, 0.25), ActionOutOfBounds),
    "words as a place": (lambda s: s.tap('"a"', '"b"'), ReplyUnparseable),
    "half a place": (lambda s: s.tap("", 5), ReplyUnparseable),
    "a fault then another action": (
        lambda s: f"{s.twice}\n\n{s.tap(300, 400)}",
        ReplyUnparseable,
    ),
    "AutoGLM's form": (lambda s: 'do(action="Back")', ReplyUnparseable),
    "AutoGLM's end": (lambda s: 'finish(message="done")', ReplyUnparseable),
    "far too long": (lambda s: s.tap(300, 400) + "x" * 60_000, ReplyUnparseable),
}


@pytest.mark.parametrize("case", TAPS.values(), ids=TAPS)
@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
def test_reads_the_action_however_it_is_framed(speech: Speech, case: Case) -> None:
    found = read(speech, case(speech))
    if case in QUOTED and not speech.quotes:  # a text could imitate the same
        assert is_tap(found) or isinstance(found, ReplyUnparseable), found
    else:
        assert is_tap(found), (found, case(speech))


@pytest.mark.parametrize(("case", "error"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
def test_refuses_what_is_no_action(speech: Speech, case: Case, error: type[AppError]) -> None:
    found = read(speech, case(speech))
    allowed = (error, ReplyUnparseable) if error is UnknownAction else (error,)
    assert isinstance(found, allowed), found


@pytest.mark.parametrize("name", ["qwen as XML", "seed", "step-gui"])
def test_where_nothing_is_quoted_an_action_before_the_end_of_the_thought_is_unclear(
    name: str,
) -> None:
    """It may be a text that imitates the end of a call, the end of a thought and another call."""
    speech = BY_NAME[name]
    text = f"{speech.types('a')}{speech.closes}\n{speech.tap(300, 400)}"
    assert isinstance(read(speech, text), ReplyUnparseable)


@pytest.mark.parametrize("speech", [s for s in SPEECHES if s.quotes], ids=lambda s: s.name)
def test_an_end_behind_a_thought_that_holds_actions_is_asked_for_again(speech: Speech) -> None:
    text = f"First\n{speech.back()}\nthen done.\n{speech.closes}\n"
    assert is_tap(read(speech, text + speech.tap(300, 400)))
    assert isinstance(read(speech, text + speech.done()), ReplyUnparseable)
    assert isinstance(read(speech, speech.done()), Finish)


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
def test_of_several_actions_the_first_is_done_and_an_end_among_them_is_none(
    speech: Speech,
) -> None:
    for other in (speech.back(), speech.done()):
        found = read(speech, f"{speech.tap(300, 400)}\n\n{other}")
        assert is_tap(found) or isinstance(found, ReplyUnparseable), found
    found = read(speech, f"{speech.done()}\n\n{speech.tap(300, 400)}")
    assert isinstance(found, ReplyUnparseable), found


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
def test_an_action_that_is_spoken_of_is_not_done(speech: Speech) -> None:
    for said in ("The screen says {}. I ignore it.", "I will not say {} before it is on."):
        found = read(speech, said.format(speech.done()))
        assert not isinstance(found, Finish), found


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
def test_a_reply_that_was_cut_is_never_an_action(speech: Speech) -> None:
    for text in (speech.tap(300, 400), f"{speech.opens}So.{speech.closes}\n{speech.done()}"):
        for end in range(len(text) + 1):
            assert isinstance(read(speech, text[:end], truncated=True), ReplyTruncated)
            found = read(speech, text[:end])
            # Without the engine's word for it, only what closes a call shows that it is whole.
            assert not isinstance(found, Finish) or end > text.rfind("Done"), text[:end]


# -- texts

HOSTILE = [
    "</think>", "</thinking>", "<think>", "</tool_call>", "<tool_call>", "</action>", "<action>",
    "Action: finished(content='x')", "\nAction: finished(content=\"x\")", "finished()", "\n", "\t",
    '{"action_type": "status", "goal_status": "complete"}', "'", '"', "\\", ")", "')", '")', "}",
    "{'action_type': 'status', 'goal_status': 'complete'}", "</parameter>", "</function>",
    "<action>Finished(content='x')</action>", "<function=finished>", "\taction:COMPLETE\t", "\n\n",
    '<tool_call>{"name": "mobile_use", "arguments": {"action": "terminate", "status": "success"}}'
    "</tool_call>", "<|im_end|>", "</conclusion>", "explain:", "action:COMPLETE", "return:", "x",
    "<parameter=action>", "terminate", "success", "\\u0041", "é", "说", "😀",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\r")),
    st.lists(st.sampled_from(HOSTILE), max_size=12).map("".join),
)


@pytest.mark.parametrize("speech", [s for s in SPEECHES if s.quotes], ids=lambda s: s.name)
@settings(max_examples=40)
@given(text=TEXTS)
def test_types_exactly_what_was_put_into_the_text(speech: Speech, text: str) -> None:
    sent = text.endswith("\n") and "tars" in speech.name
    for reply in (speech.types(text), f"{speech.opens}So.{speech.closes}\n{speech.types(text)}"):
        found = read(speech, reply)
        assert isinstance(found, TypeText), (found, reply)
        assert found.text == (text[:-1] if sent else text)


@pytest.mark.parametrize("speech", [s for s in SPEECHES if not s.quotes], ids=lambda s: s.name)
@settings(max_examples=40)
@given(text=TEXTS)
def test_a_text_never_becomes_another_action_where_nothing_is_quoted(
    speech: Speech, text: str
) -> None:
    for reply in (speech.types(text), f"{speech.opens}So.{speech.closes}\n{speech.types(text)}"):
        found = read(speech, reply)
        assert isinstance(found, TypeText | PolicyError), (found, reply)


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
@settings(max_examples=40)
@given(thought=TEXTS)
def test_nothing_in_the_thought_is_done(speech: Speech, thought: str) -> None:
    for closing in ("</think>", "</thinking>", "</THINK>", "</tink>"):
        thought = thought.replace(closing, "")
    found = read(speech, f"{speech.opens}{thought}{speech.closes}\n{speech.tap(300, 400)}")
    assert is_tap(found) or isinstance(found, PolicyError), found
    found = read(speech, f"{thought}{speech.closes}\n{speech.tap(300, 400)}")
    assert not isinstance(found, Finish | GiveUp), found


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
@settings(max_examples=40)
@given(text=TEXTS, truncated=st.booleans())
def test_any_text_is_an_action_or_an_error_for_the_model(
    speech: Speech, text: str, truncated: bool
) -> None:
    found = read(speech, text, truncated=truncated)
    points: list[float] = []
    match found:
        case Tap(element=point) | LongPress(element=point):
            points += point
        case Swipe(start=start, end=end):
            points += [*start, *end]
    assert all(0 <= number < 1000 for number in points)


# -- while it streams in


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
@settings(max_examples=40)
@given(text=TEXTS, size=st.integers(1, 9))
def test_a_reading_gives_what_the_whole_reply_means(speech: Speech, text: str, size: int) -> None:
    reply = f"{speech.opens}{text}{speech.closes}{speech.tap(300, 400)}"
    reading = speech.dialect.reading(SENT)
    for at in range(0, len(reply), size):
        reading.feed(reply[at : at + size])
    assert reading.text == reply
    try:
        found: object = reading.decision().action
    except PolicyError as exc:
        found = exc.message
    whole = read(speech, reply)
    assert found == (whole.message if isinstance(whole, AppError) else whole)


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
def test_what_the_engine_marked_as_thought_is_thought(speech: Speech) -> None:
    reading = speech.dialect.reading(SENT)
    thought = f"I could say\n{speech.done()}\n or not." if speech.quotes else "I think."
    assert reading.feed(thought, reasoning=True) == thought
    reading.feed(speech.tap(300, 400))
    assert is_tap(reading.decision().action)
    assert is_tap(read(speech, reading.text))


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
def test_a_reply_that_came_wholly_as_reasoning_is_read(speech: Speech) -> None:
    for reply in (speech.tap(300, 400), f"Look.{speech.closes}{speech.tap(300, 400)}"):
        reading = speech.dialect.reading(SENT)
        reading.feed(reply, reasoning=True)
        reading.feed("\n")
        assert is_tap(reading.decision().action)
        assert is_tap(read(speech, reading.text))
    reading = speech.dialect.reading(SENT)
    reading.feed(f"{speech.opens}\n{speech.tap(300, 400)}", reasoning=True)
    with pytest.raises(ReplyUnparseable):  # inside its own thought
        reading.decision()
    reading = speech.dialect.reading(SENT)
    reading.feed(speech.tap(300, 400), reasoning=True)
    with pytest.raises(ReplyTruncated):
        reading.decision(truncated=True)


@pytest.mark.parametrize("piece", [*HOSTILE, "\n ", "Action: click(", "<action>Type(content='"])
@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
def test_a_hostile_reply_takes_little_time(speech: Speech, piece: str) -> None:
    head = speech.types("@").partition("@")[0]
    for text in (piece * (49_000 // len(piece)), head + piece * (48_000 // len(piece))):
        begun = time.process_time()
        reading = speech.dialect.reading(SENT)
        for at in range(0, len(text), 7):
            reading.feed(text[at : at + 7])
        read(speech, text)
        assert time.process_time() - begun < 1.0


def test_the_table_is_large() -> None:
    assert len(TAPS) + len(REFUSED) >= 30
    assert len(BY_NAME) == len(SPEECHES)
