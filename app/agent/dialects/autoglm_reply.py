"""Parses AutoGLM's replies: model text to one action, or an error. The only way to the phone.

The rules: thinking is never executed. A call directly after `</think>` or after a leading
`<answer>` is the action, and nothing after it is read, so that the stream can be closed there. In a
reply without such a call, the last complete call outside the thinking counts, except a finish in
the middle of a sentence. An unreadable call spoils the whole reply, because what follows may be
inside its strings. Only a well-formed `finish(...)` ends a task as done.
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
"""Characters after a call that show that it is complete: `.x` would chain another call to it."""
MAX_REPLY = 50_000
"""Longest reply that is parsed, in characters."""


def parse_reply(text: str, *, truncated: bool = False, space: Space = THOUSANDTHS) -> Decision:
    """Parse a complete reply.

    `truncated`: the engine stopped at its token limit (finish_reason "length").

    Raises:
        ReplyTruncated: the reply was cut before a complete action.
        ReplyUnparseable: there is no action, or an unreadable one.
        UnknownAction: the action is not in the protocol.
        ActionOutOfBounds: the coordinates are outside `space`.
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
        # The model had not finished: the last call may be a thought about an action.
        raise ReplyTruncated("the reply was cut before its end")
    if call is None and last.name == "finish" and _amid_words(answer, last):
        raise ReplyUnparseable("finish(...) is in the middle of a sentence")
    thought = thinking or answer[: calls[0].start]
    return Decision(plain_text(thought), answer[last.start : last.end], _build(last, space), text)


def _behind_open_thought(text: str) -> Call | None:
    """Return the `do(...)` that is the whole last line of an unclosed thought; the model stopped
    after it. Never a finish: the model has not said that its thought is over."""
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
    """Whether the action of this partial reply is final, whatever follows.

    `parse_reply` then returns the same for the partial and for the complete reply.
    """
    return rest_behind(text) is not None


def rest_behind(text: str) -> int | None:
    """Characters after the point at which the action in `text` is final; None if it is not yet."""
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
    """Whether the call's line has words before and after it: a mention, not an action."""
    before = answer[: call.start].rpartition("\n")[2]
    behind = answer[call.end :].partition("\n")[0]
    return all(re.search(r"\w", plain_text(words)) for words in (before, behind))


def first_call(answer: str) -> Call | None:
    """Return the call that the answer begins with; None if it begins with anything else.

    Raises CallError if that call is unreadable.
    """
    lead = _LEAD.match(answer)
    return call_at(answer, lead.end() if lead else 0)


def split_thinking(text: str) -> tuple[str, str]:
    """Return (thinking, answer) of a reply with or without tags.

    A tag inside a string of a readable call is text, not a tag. If `<think>` is never closed, the
    whole reply is thinking. Raises CallError for a text full of broken calls.
    """
    thinking, answer, _ = _split(text)
    return thinking, answer


def _split(text: str) -> tuple[str, str, Literal["", "early", "final"]]:
    """Like `split_thinking`, plus how the answer's start was found: "" without a tag, "early" for
    an `<answer>` in the middle of text, which a later `</think>` would turn into thinking, else
    "final"."""
    opened = _OPENS_WITH_THOUGHT.match(text)
    calls = readable_calls(text)
    if not opened and (lead := _OPENS_WITH_ACTION.match(text)):
        answered = "<answer>" in lead.group()
        end = -1 if answered else _find_outside(text, "</think>", calls)
        if end < 0:
            return "", _without_thoughts(text), "final" if answered else ""
        # A chat template that opens the thinking itself: what looks like an action is a thought
        # about one. After an unreadable call, however, the tag may be part of its text.
        find_calls(text[:end])
    for tag in ("</think>", "<answer>"):
        at = _find_outside(text, tag, calls)
        if at >= 0:
            sure: Literal["early", "final"] = "final" if tag == "</think>" else "early"
            return text[:at], _without_thoughts(text[at + len(tag) :]), sure
    return (text, "", "") if opened else ("", _without_thoughts(text), "")


def _without_thoughts(answer: str) -> str:
    """Remove the `<think>` blocks that some models write after the first one."""
    calls = readable_calls(answer) if "<think>" in answer else []
    kept, position = [], 0
    while (start := _find_outside(answer, "<think>", calls, position)) >= 0:
        kept.append(answer[position:start])
        end = answer.find("</think>", start)
        position = end + len("</think>") if end >= 0 else len(answer)
    return "\n".join([*kept, answer[position:]])


def _find_outside(text: str, tag: str, calls: list[Call], position: int = 0) -> int:
    """Return the first index of `tag` outside all `calls`, which are in order, or -1."""
    while (at := text.find(tag, position)) >= 0:
        before = bisect(calls, at, key=lambda call: call.start)
        if not before or calls[before - 1].end <= at:
            return at
        position = calls[before - 1].end
    return -1


def plain_text(text: str) -> str:
    """Remove the tags and special tokens of the protocol.

    Each is replaced by a space, so that the text around it cannot form a new one.
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
