r"""UI-TARS: `Thought: ...\nAction: click(start_box='(197,525)')`, and the XML of Doubao Seed.

The prompt and the goal are the first user message; each screenshot is a message of its own. UI-TARS
1.5 answers in pixels of the picture that it was sent, its hosted relatives in thousandths. A scroll
names the direction to look in, so the finger moves the opposite way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.agent.actions import (
    Action,
    Back,
    DoubleTap,
    Finish,
    Home,
    Launch,
    LongPress,
    Swipe,
    TakeOver,
    Tap,
    TypeText,
    Wait,
)
from app.agent.dialects import arguments as given
from app.agent.dialects.base import Conversation, Part
from app.agent.dialects.buttons import button
from app.agent.dialects.family import (
    QWEN2_CELLS,
    Family,
    earlier_goal,
    recorded,
    system,
    told,
    user,
)
from app.agent.dialects.gestures import content_scroll
from app.agent.dialects.named_calls import CallReader, words_behind
from app.agent.dialects.scan import BEGINS, Found, Scan, plain, scan, unreadable
from app.agent.dialects.space import PictureRule, Space
from app.agent.dialects.syntax import Call, CallError
from app.agent.dialects.toolcall import HEAD as TOOL_CALL
from app.agent.dialects.toolcall import ToolCall, first_of, read_call
from app.agent.ports import Message
from app.agent.step import Decision
from app.errors import ReplyUnparseable, UnknownAction

_LEAD = r"(?:\s|```\w*)*"
_THOUGHT = re.compile(r"^\s*Thought:\s*")
SEED_CELLS = PictureRule(cell=28, min_cells=100, max_cells=5120)


_Made = ToolCall | list[Found[Call]]
"""A call in tags, or the calls after a label."""


@dataclass(frozen=True)
class Tars(Family):
    """See `Family`. `xml` means that the model was trained with calls as XML; both forms are always
    parsed. With `own_system` the prompt is a system message."""

    xml: bool = False
    own_system: bool = False

    def assistant_text(self, thought: str, answer: str) -> str:
        if self.xml:
            return f"<think>{thought}</think>{answer}"
        return f"Thought: {thought}\nAction: {answer}" if thought else f"Action: {answer}"

    def messages(
        self, conversation: Conversation, text: str, picture: Part | None
    ) -> list[Message]:
        goal = recorded(conversation.goal, conversation.record)
        if self.own_system:
            messages = [*system(conversation.system), *user(goal)]
        else:
            messages = user("\n\n".join(part for part in (conversation.system, goal) if part))
        for exchange in conversation.past:
            said = earlier_goal(exchange, conversation.goal)
            said = said or told(exchange.user, conversation.goal)
            messages += user(said, exchange.picture)
            messages.append({"role": "assistant", "content": exchange.assistant})
        return messages + user(told(text, conversation.goal), picture)

    def grammar(self, max_thought: int = 0) -> str:
        """Thousandths have at most three digits."""
        grammar = super().grammar(max_thought)
        return grammar if self.pixels else grammar.replace("[0-9]? [0-9]? [0-9]?", "[0-9]? [0-9]?")

    def decision(self, text: str, space: Space) -> Decision:
        try:
            found = scan(text, _HEAD, _read)
        except CallError as exc:
            raise unreadable(exc) from exc
        if any(isinstance(each.call, ToolCall) for each in (*found.found, *found.quoted)):
            return self._xml(text, found, space)
        if not found.found:
            raise ReplyUnparseable("no action stands behind Action:")
        if len(found.found) > 1:
            raise ReplyUnparseable("the reply holds several lines that begin with Action:")
        calls, begin = found.found[0].call, found.found[0].start
        assert not isinstance(calls, ToolCall)
        first = calls[0]
        if len(calls) == 1 and words_behind(text, first.end):
            raise ReplyUnparseable("words stand behind the action")
        actions = [self._action(*_named(call.call), space) for call in calls]
        others = bool(found.quoted) or _READER.mentioned(text, found.found[0].end)
        action = self.first(actions, quoted=others)
        thought = _THOUGHT.sub("", plain(f"{found.thought}\n{text[found.begin : begin]}"))
        return Decision(thought, text[first.start : first.end], action, text)

    def _xml(self, text: str, found: Scan[_Made], space: Space) -> Decision:
        made = Scan(
            found.thought,
            found.body,
            found.begin,
            [_as_tool(each) for each in found.found],
            [_as_tool(each) for each in found.quoted],
        )
        if not made.found:
            raise ReplyUnparseable("the reply holds no call behind its thought")
        first = first_of(text, made)
        actions = [self._action(each.call.name, each.call.arguments, space) for each in made.found]
        action = self.first(actions, quoted=bool(found.quoted))
        thought = plain(f"{found.thought}\n{text[found.begin : first.start]}")
        return Decision(thought, text[first.start : first.end], action, text)

    def _action(self, name: str, arguments: Mapping[str, Any], space: Space) -> Action:
        builder = _BUILDERS.get(name.casefold())
        if builder is None:
            raise UnknownAction(f"unknown action {name[:80]!r}", f"Actions are: {_NAMES}.")
        return builder(arguments, space)


def _read(text: str, head: re.Match[str]) -> tuple[_Made, int]:
    """Parse a tool call, or all calls after a label. They are read completely, so that tags in
    their texts do not count."""
    if head["head"].startswith("<"):
        return read_call(text, head)
    first = _READER.call_at(text, head.end())
    if first is None:
        raise CallError("no call stands behind Action:")
    calls = [first, *_READER.calls_behind(text, first.end)]
    return calls, calls[-1].end


def _as_tool(found: Found[_Made]) -> Found[ToolCall]:
    """Raise ReplyUnparseable for a call after a label, next to a call in tags."""
    if not isinstance(found.call, ToolCall):
        raise ReplyUnparseable("the reply writes its actions in two ways")
    return Found(found.call, found.start, found.end)


def _named(call: Call) -> tuple[str, Mapping[str, Any]]:
    if call.positional:
        raise ReplyUnparseable("the action has arguments without names")
    return call.name, call.keywords


# -- the arguments of a call

Arguments = Mapping[str, Any]


def _place(arguments: Arguments, space: Space, *names: str) -> tuple[float, float]:
    key = next((name for name in names if arguments.get(name) is not None), names[0])
    return given.point(arguments, key, space)


def _point(arguments: Arguments, space: Space) -> tuple[float, float]:
    return _place(arguments, space, "point", "start_box", "box", "start_point")


def _ends(arguments: Arguments, space: Space) -> tuple[tuple[float, float], tuple[float, float]]:
    return (
        _place(arguments, space, "start_point", "start_box", "point", "start"),
        _place(arguments, space, "end_point", "end_box", "end"),
    )


def _type(arguments: Arguments) -> TypeText:
    """A newline at the end of the text submits it."""
    text = given.text(arguments, "content", required=True)
    return TypeText(text=text.removesuffix("\n"), clear=False, submit=text.endswith("\n"))


def _scroll(arguments: Arguments, space: Space) -> Swipe:
    placed = any(arguments.get(name) is not None for name in ("point", "start_box", "box"))
    start = _point(arguments, space) if placed else None
    return content_scroll(arguments.get("direction"), start)


def _drag(arguments: Arguments, space: Space) -> Swipe:
    """UI-TARS calls every swipe on a phone a drag."""
    start, end = _ends(arguments, space)
    return Swipe(start=start, end=end)


def _finished(arguments: Arguments) -> Finish:
    return Finish(message=given.text(arguments, "content"))


_BUILDERS: dict[str, Callable[[Arguments, Space], Action]] = {
    "click": lambda a, s: Tap(element=_point(a, s)),
    "left_double": lambda a, s: DoubleTap(element=_point(a, s)),
    "long_press": lambda a, s: LongPress(element=_point(a, s)),
    "type": lambda a, s: _type(a),
    "scroll": _scroll,
    "drag": _drag,
    "swipe": _drag,
    "open_app": lambda a, s: Launch(app=given.app({"app": a.get("app_name")})),
    "press_home": lambda a, s: Home(),
    "press_back": lambda a, s: Back(),
    "hotkey": lambda a, s: button(a.get("key")),
    "wait": lambda a, s: Wait(seconds=given.seconds(a, "time")),
    "call_user": lambda a, s: TakeOver(message=given.text(a, "content")),
    "finished": lambda a, s: _finished(a),
}
_NAMES = ", ".join(_BUILDERS)
_READER = CallReader(tuple(_BUILDERS))
_LABEL = rf"(?:^|{BEGINS})[ \t*]*Action:[ \t*]*{_LEAD}"
_HEAD = rf"{TOOL_CALL}|{_LABEL}|{BEGINS}{_LEAD}(?=(?:{'|'.join(_BUILDERS)})\s*[(（])"

TARS = Tars("ui-tars", "tars_mobile", QWEN2_CELLS, pictures=5, pixels=True, form="tars")
DOUBAO = Tars("doubao-ui-tars", "tars_mobile", SEED_CELLS, pictures=5, form="tars")
SEED = Tars(
    "seed", "seed_mobile", SEED_CELLS, pictures=3, closers=("tool_call>",), xml=True,
    own_system=True,
)  # fmt: skip
