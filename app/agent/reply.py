"""Model text to one action, or an error: the only way from a reply to the phone.

The rules: thinking is never executed; outside it the last complete call counts; a call that was
begun and cannot be read spoils the reply, because what follows may lie inside its strings; and
nothing but a well-formed `finish(...)` ends a task as done.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.agent.actions import (
    MAX_WAIT_S,
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
    Point,
    Swipe,
    TakeOver,
    Tap,
    TypeText,
    Wait,
)
from app.agent.call import Call, CallError, Value, find_calls
from app.errors import ActionOutOfBounds, ReplyTruncated, ReplyUnparseable, UnknownAction

_SPECIAL = re.compile(
    r"<\|(?:user|assistant|system|observation|endoftext|begin_of_box|end_of_box)\|>"
)
_TAGS = re.compile(r"</?(?:think|answer)>")
_QUOTES = str.maketrans("“”‘’（），［］＝", "\"\"''(),[]=")  # noqa: RUF001
_WAIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")
_MAX_REPLY = 100_000


@dataclass(frozen=True)
class Decision:
    """What the model thinks and what it wants done; `raw` is its reply, untouched."""

    thought: str
    action: Action
    raw: str


def parse_reply(text: str, *, truncated: bool = False) -> Decision:
    """Read a complete reply.

    `truncated` says that the engine stopped at its token limit (finish_reason "length").

    Raises:
        ReplyTruncated: the reply was cut before a complete action.
        ReplyUnparseable: no action, or one that cannot be read.
        UnknownAction: an action that is not in the protocol.
        ActionOutOfBounds: coordinates that are not thousandths of the screen.
    """
    thinking, answer = split_thinking(text[:_MAX_REPLY])
    try:
        name, arguments = _last_call(answer)
    except ReplyUnparseable as exc:
        if truncated:
            raise ReplyTruncated("the reply was cut before its action was complete") from exc
        raise
    thought = thinking or _before_call(answer)
    return Decision(_clean(thought), _build(name, arguments), text)


def split_thinking(text: str) -> tuple[str, str]:
    """(thinking, answer) of a reply with or without its tags; an unclosed `<think>` is all thought."""
    if "</think>" in text:
        thinking, _, answer = text.partition("</think>")
        return thinking, answer
    if "<answer>" in text:
        thinking, _, answer = text.partition("<answer>")
        return thinking, answer
    if "<think>" in text:
        return text, ""
    return "", text


def _clean(text: str) -> str:
    return _SPECIAL.sub("", _TAGS.sub("", text)).strip()


def _before_call(answer: str) -> str:
    head = re.search(r"(?<![\w.])(?:do|finish)\s*\(|\{", answer)
    return answer[: head.start()] if head else ""


def _last_call(answer: str) -> tuple[str, Mapping[str, Value]]:
    try:
        calls = find_calls(answer)
    except CallError as exc:
        # Full-width punctuation is mended only when the text cannot be read as it stands, so
        # that a Type keeps the quotes it was given.
        calls = _mended_calls(answer, exc)
    if not calls:
        calls = _json_calls(answer)
    if not calls:
        raise ReplyUnparseable("the reply holds no action")
    call = calls[-1]
    if call.name == "finish":
        return "finish", _with_positional(call, "message")
    arguments = _with_positional(call, "action")
    action = arguments.get("action")
    if not isinstance(action, str):
        raise ReplyUnparseable("the reply names no action")
    return action, arguments


def _mended_calls(answer: str, error: CallError) -> list[Call]:
    try:
        return find_calls(answer.translate(_QUOTES))
    except CallError:
        raise ReplyUnparseable(f"the action cannot be read: {error}") from error


def _with_positional(call: Call, first: str) -> dict[str, Value]:
    if len(call.positional) > 1 or (call.positional and first in call.keywords):
        raise ReplyUnparseable("the action has arguments without names")
    return {**({first: call.positional[0]} if call.positional else {}), **call.keywords}


def _json_calls(answer: str) -> list[Call]:
    """A JSON object such as `{"action": "Tap", "element": [1, 2]}`, if the answer is one."""
    body = _TAGS.sub("", _SPECIAL.sub("", answer)).strip()
    body = re.sub(r"^```\w*\s*|\s*```$", "", body)
    start = body.find("{")
    if start < 0:
        return []
    try:
        found, _ = json.JSONDecoder().raw_decode(body[start:])
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, dict) or not isinstance(found.get("action"), str):
        return []
    name = "finish" if found["action"].casefold() == "finish" else "do"
    return [Call(name, (), found)]


def _build(name: str, arguments: Mapping[str, Value]) -> Action:
    builder = _BUILDERS.get(re.sub(r"[\s_]", "", name).casefold())
    if builder is None:
        raise UnknownAction(f"there is no action {name[:80]!r}")
    return builder(arguments)


def _text(arguments: Mapping[str, Value], key: str, *, required: bool = False) -> str:
    value = arguments.get(key)
    if value is None and not required:
        return ""
    if isinstance(value, str) and (value or not required):
        return value
    if isinstance(value, bool | int | float) and not required:
        return str(value)
    raise ReplyUnparseable(f"{key} must be text")


def _point(arguments: Mapping[str, Value], key: str) -> Point:
    """A point or the centre of a box, in thousandths; out of range is clamped to the edge."""
    value = arguments.get(key)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if isinstance(value, str):
        value = _numbers(value)
    if not isinstance(value, list) or len(value) not in (2, 4):
        raise ReplyUnparseable(f"{key} must be [x,y]")
    numbers = [_number(item, key) for item in value]
    if all(0 <= n <= 1 for n in numbers) and any(isinstance(item, float) for item in value):
        raise ActionOutOfBounds(f"{key} must be in thousandths of the screen, not fractions")
    if len(numbers) == 4:
        numbers = [(numbers[0] + numbers[2]) / 2, (numbers[1] + numbers[3]) / 2]
    return _clamp(numbers[0]), _clamp(numbers[1])


def _numbers(text: str) -> list[Value]:
    parts = re.findall(r"[-+]?\d+(?:\.\d+)?", text)
    return [float(part) if "." in part else int(part[:20]) for part in parts]


def _number(value: Value, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ReplyUnparseable(f"{key} must hold numbers")
    return float(value)


def _clamp(value: float) -> int:
    return min(max(round(value), 0), 999)


def _wait(arguments: Mapping[str, Value]) -> Wait:
    value = arguments.get("duration", 1)
    if isinstance(value, str):
        found = _WAIT.fullmatch(value[:40])
        if not found:
            raise ReplyUnparseable("duration must be a number of seconds")
        unit = found.group(2).casefold()
        value = float(found.group(1)) * (60 if unit.startswith("min") else 1)
        if unit == "ms":
            value /= 1000
    seconds = _number(value, "duration")
    return Wait(seconds=min(max(seconds, 0.0), MAX_WAIT_S))


_BUILDERS: dict[str, Callable[[Mapping[str, Any]], Action]] = {
    "launch": lambda a: Launch(app=_text(a, "app", required=True)),
    "tap": lambda a: Tap(element=_point(a, "element"), message=_text(a, "message")),
    "type": lambda a: TypeText(text=_text(a, "text", required="text" not in a)),
    "typename": lambda a: TypeText(text=_text(a, "text", required="text" not in a)),
    "swipe": lambda a: Swipe(start=_point(a, "start"), end=_point(a, "end")),
    "longpress": lambda a: LongPress(element=_point(a, "element")),
    "doubletap": lambda a: DoubleTap(element=_point(a, "element")),
    "back": lambda a: Back(),
    "home": lambda a: Home(),
    "wait": _wait,
    "note": lambda a: Note(message=_text(a, "message")),
    "callapi": lambda a: CallApi(instruction=_text(a, "instruction")),
    "interact": lambda a: Interact(message=_text(a, "message")),
    "takeover": lambda a: TakeOver(message=_text(a, "message")),
    "finish": lambda a: Finish(message=_text(a, "message")),
}
