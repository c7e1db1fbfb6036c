"""AutoGLM's replies: model text to one action, or an error. The only way from it to the phone.

The rules: thinking is never executed; a call directly behind `</think>` or a leading `<answer>` is
the action, and nothing after it is looked at, so that the stream can be closed there; in a reply
without that, the last complete call outside the thinking counts, but for a finish in the middle of
a sentence; a call that was begun and cannot be read spoils the reply, because what follows may lie
inside its strings; and nothing but a well-formed `finish(...)` ends a task as done.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Mapping
from typing import Any, Literal

from app.agent.actions import (
    Action,
    Back,
    CallApi,
    DoubleTap,
    Finish,
    Home,
    Interact,
    Launch,
    LongPress,
    Note,
    Swipe,
    TakeOver,
    Tap,
    TypeText,
    Wait,
)
from app.agent.dialects import arguments as given
from app.agent.dialects.space import Space
from app.agent.dialects.syntax import (
    Call,
    CallError,
    Value,
    call_at,
    find_calls,
    readable_calls,
)
from app.agent.step import Decision
from app.errors import AppError, ReplyTruncated, ReplyUnparseable, UnknownAction

THOUSANDTHS = Space()
_SPECIAL = re.compile(
    r"<\|(?:user|assistant|system|observation|endoftext|begin_of_box|end_of_box)\|>"
)
_MARKS = re.compile(rf"</?(?:think|answer)>|{_SPECIAL.pattern}")
_OPENS_WITH_THOUGHT = re.compile(rf"(?:\s|{_SPECIAL.pattern})*<think>")
_OPENS_WITH_ACTION = re.compile(
    rf"(?:\s|{_SPECIAL.pattern}|</?answer>|```\w*)*(?:(?:do|finish)\s*[(（]|[{{\[])"
)
_LEAD = re.compile(rf"(?:\s|{_SPECIAL.pattern}|</?answer>|```\w*)*")
_SURELY_OVER = 2
"""Characters behind a call that show that it stands alone: `.x` would chain another to it."""
MAX_REPLY = 50_000
"""Characters; a longer reply is not read."""


def parse_reply(text: str, *, truncated: bool = False, space: Space = THOUSANDTHS) -> Decision:
    """Read a complete reply.

    `truncated` says that the engine stopped at its token limit (finish_reason "length").

    Raises:
        ReplyTruncated: the reply was cut before a complete action.
        ReplyUnparseable: no action, or one that cannot be read.
        UnknownAction: an action that is not in the protocol.
        ActionOutOfBounds: coordinates outside `space`.
    """
    if len(text) > MAX_REPLY:
        raise ReplyUnparseable(f"the reply is longer than {MAX_REPLY} characters")
    try:
        thinking, answer, tag = _split(text)
        call = first_call(answer) if tag else None
        calls = [call] if call else find_calls(answer)
    except CallError as exc:
        raise _unreadable(f"the action cannot be read: {exc}", truncated) from exc
    if not calls and not truncated and (call := _behind_open_thought(text)):
        return Decision(
            plain_text(text[: call.start]), text[call.start : call.end], _build(call, space), text
        )
    if not calls:
        raise _unreadable("the reply contains no action", truncated)
    last = calls[-1]
    if truncated and (call is None or tag != "final"):
        # The model had not come to its end: what stands last may be a thought about an action.
        raise ReplyTruncated("the reply was cut before its end")
    if call is None and last.name == "finish" and _amid_words(answer, last):
        raise ReplyUnparseable("finish(...) is in the middle of a sentence")
    thought = thinking or answer[: calls[0].start]
    return Decision(plain_text(thought), answer[last.start : last.end], _build(last, space), text)


def _behind_open_thought(text: str) -> Call | None:
    """The `do(...)` that is the whole last line of a thought without end, made when the model
    stopped. Never a finish: the model has not said that its thought is over."""
    try:
        calls = find_calls(text)
    except CallError:
        return None
    if not calls or calls[-1].name != "do":
        return None
    last = calls[-1]
    before = text[: last.start].rpartition("\n")
    alone = before[1] and not before[2].strip() and not plain_text(text[last.end :])
    return last if alone and _OPENS_WITH_THOUGHT.match(text) else None


def holds_action(text: str) -> bool:
    """Whether what follows in this half reply can no longer change what it means.

    `parse_reply` then gives the same for the half reply and for the whole one.
    """
    return rest_behind(text) is not None


def rest_behind(text: str) -> int | None:
    """Characters behind the point from which on `text` holds its action; None when it does not."""
    if "</think>" not in text and "<answer>" not in text:
        return None
    try:
        _, answer, tag = _split(text)
        call = first_call(answer) if tag == "final" else None
    except CallError:
        return None
    rest = len(answer) - call.end - _SURELY_OVER if call else -1
    return rest if rest >= 0 else None


def _amid_words(answer: str, call: Call) -> bool:
    """Whether there are words before and behind a call on its line: it is spoken of, not made."""
    before = answer[: call.start].rpartition("\n")[2]
    behind = answer[call.end :].partition("\n")[0]
    return all(re.search(r"\w", plain_text(words)) for words in (before, behind))


def first_call(answer: str) -> Call | None:
    """The call that an answer begins with; None when it begins with anything else.

    Raises CallError when that call cannot be read.
    """
    lead = _LEAD.match(answer)
    return call_at(answer, lead.end() if lead else 0)


def split_thinking(text: str) -> tuple[str, str]:
    """(thinking, answer) of a reply with or without tags.

    A tag that stands inside the string of a readable call is text, not a tag. An unclosed
    `<think>` is all thought. Raises CallError for a text that is full of broken calls.
    """
    thinking, answer, _ = _split(text)
    return thinking, answer


def _split(text: str) -> tuple[str, str, Literal["", "early", "final"]]:
    """As `split_thinking`, and the tag that says where the answer begins: "" for none, "early" for
    an `<answer>` amid text, which a later `</think>` would show to be a part of the thinking."""
    opened = _OPENS_WITH_THOUGHT.match(text)
    calls = readable_calls(text)
    if not opened and (lead := _OPENS_WITH_ACTION.match(text)):
        answered = "<answer>" in lead.group()
        end = -1 if answered else _find_outside(text, "</think>", calls)
        if end < 0:
            return "", _without_thoughts(text), "final" if answered else ""
        # A template that opens the thinking itself: what looks like an action is a thought of one.
        # Behind a call that cannot be read the tag may be a part of its text, though.
        find_calls(text[:end])
    for tag in ("</think>", "<answer>"):
        at = _find_outside(text, tag, calls)
        if at >= 0:
            sure: Literal["early", "final"] = "final" if tag == "</think>" else "early"
            return text[:at], _without_thoughts(text[at + len(tag) :]), sure
    return (text, "", "") if opened else ("", _without_thoughts(text), "")


def _without_thoughts(answer: str) -> str:
    """`answer` without the `<think>` blocks that some models put behind the first one."""
    calls = readable_calls(answer) if "<think>" in answer else []
    kept, position = [], 0
    while (start := _find_outside(answer, "<think>", calls, position)) >= 0:
        kept.append(answer[position:start])
        end = answer.find("</think>", start)
        position = end + len("</think>") if end >= 0 else len(answer)
    return "\n".join([*kept, answer[position:]])


def _find_outside(text: str, tag: str, calls: list[Call], position: int = 0) -> int:
    """Where `tag` first stands outside all `calls`, which are in order, or -1."""
    while (at := text.find(tag, position)) >= 0:
        before = bisect(calls, at, key=lambda call: call.start)
        if not before or calls[before - 1].end <= at:
            return at
        position = calls[before - 1].end
    return -1


def plain_text(text: str) -> str:
    """The text without the tags and special tokens of the protocol.

    A space stands in their place, so that what stood around one cannot become another.
    """
    return _MARKS.sub(" ", text).strip()


def _unreadable(message: str, truncated: bool) -> AppError:
    if truncated:
        return ReplyTruncated("the reply was cut before its action was complete")
    return ReplyUnparseable(message)


def _with_positional(call: Call, first: str) -> dict[str, Value]:
    if len(call.positional) > 1 or (call.positional and first in call.keywords):
        raise ReplyUnparseable("the action has arguments without names")
    return {**({first: call.positional[0]} if call.positional else {}), **call.keywords}


def _build(call: Call, space: Space) -> Action:
    if call.name == "finish":
        return Finish(message=given.text(_with_positional(call, "message"), "message"))
    arguments = _with_positional(call, "action")
    name = arguments.get("action")
    if not isinstance(name, str):
        raise ReplyUnparseable("the reply names no action")
    builder = _BUILDERS.get(re.sub(r"[\s_]", "", name).casefold())
    if builder is None:
        raise UnknownAction(f"unknown action {name[:80]!r}", f"Actions are: {_NAMES}.")
    return builder(arguments, space)


_BUILDERS: dict[str, Callable[[Mapping[str, Any], Space], Action]] = {
    "launch": lambda a, s: Launch(app=given.app(a)),
    "tap": lambda a, s: Tap(element=given.point(a, "element", s), message=given.text(a, "message")),
    "type": lambda a, s: TypeText(text=given.text(a, "text", required=True)),
    "typename": lambda a, s: TypeText(text=given.text(a, "text", required=True)),
    "swipe": lambda a, s: Swipe(start=given.point(a, "start", s), end=given.point(a, "end", s)),
    "longpress": lambda a, s: LongPress(element=given.point(a, "element", s)),
    "doubletap": lambda a, s: DoubleTap(element=given.point(a, "element", s)),
    "back": lambda a, s: Back(),
    "home": lambda a, s: Home(),
    "wait": lambda a, s: Wait(seconds=given.seconds(a, "duration")),
    "note": lambda a, s: Note(message=given.text(a, "message")),
    "callapi": lambda a, s: CallApi(instruction=given.text(a, "instruction")),
    "interact": lambda a, s: Interact(message=given.text(a, "message")),
    "takeover": lambda a, s: TakeOver(message=given.text(a, "message")),
}
_NAMES = (
    "Launch, Tap, Type, Swipe, Long Press, Double Tap, Back, Home, Wait, Note, Call_API, Interact, "
    "Take_over, and finish(message=...) when all is done"
)
