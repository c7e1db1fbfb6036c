"""UI-Venus 1.5: `<think>...</think><action>Click(box=(868,487))</action><conclusion>...`.

One user turn, with the text before the picture; the text contains the last steps as the model wrote
them. `CallUser` either answers the person's question or asks one: content that ends with a question
mark asks.
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
    Drag,
    Finish,
    Home,
    Interact,
    Key,
    Launch,
    LongPress,
    Swipe,
    Tap,
    TypeText,
    Wait,
)
from app.agent.dialects import arguments as given
from app.agent.dialects.base import Conversation, Part
from app.agent.dialects.family import Family, earlier_goal, recorded, told, user
from app.agent.dialects.gestures import content_scroll
from app.agent.dialects.named_calls import CallReader
from app.agent.dialects.scan import alone_on_its_line, plain, scan, unreadable
from app.agent.dialects.space import Space
from app.agent.dialects.syntax import Call, CallError
from app.agent.ports import Message
from app.agent.step import Decision
from app.errors import ReplyUnparseable, UnknownAction

SHOWN_STEPS = 5
"""Past steps that the text contains in full; earlier ones appear as summaries."""
_HEAD = r"<action>(?:\s|```\w*)*"
_TAIL = re.compile(r"(?:\s|```)*</action>", re.IGNORECASE)
_CONCLUSION = re.compile(r"\s*<conclusion>([^<]{0,2000})</conclusion>", re.IGNORECASE)
_QUESTION = re.compile(r"[?？]\s*$")


@dataclass(frozen=True)
class Venus(Family):
    def assistant_text(self, thought: str, answer: str) -> str:
        return f"<think>{thought}</think>{answer}"

    def messages(
        self, conversation: Conversation, text: str, picture: Part | None
    ) -> list[Message]:
        past = list(conversation.past)
        older, shown = past[:-SHOWN_STEPS], past[-SHOWN_STEPS:]
        record = [*conversation.record, *(each.summary for each in older if each.summary)]
        steps = []
        for number, exchange in enumerate(shown, len(older) + 1):
            if goal := earlier_goal(exchange, conversation.goal):
                steps.append(f"(The person first asked: {goal})")
            elif note := told(exchange.user, conversation.goal):
                steps.append(f"({note})")
            steps.append(f"Step {number}: {exchange.assistant}")
        parts = [
            conversation.system,
            f"The task: {recorded(conversation.goal, record)}",
            "\n".join(["Previous steps:", *(steps or ["none"])]),
            told(text, conversation.goal),
        ]
        return user("\n\n".join(part for part in parts if part), picture)

    def decision(self, text: str, space: Space) -> Decision:
        try:
            found = scan(text, _HEAD, _read)
        except CallError as exc:
            raise unreadable(exc) from exc
        if not found.found:
            raise ReplyUnparseable("the reply holds no <action> behind its thought")
        first = found.found[0]
        if not alone_on_its_line(_without_conclusion(text, first.end), first):
            raise ReplyUnparseable("an action stands in the middle of a sentence")
        actions = [self._action(each.call, space) for each in found.found]
        action = self.first(actions, quoted=bool(found.quoted))
        answer = text[first.start : first.end]
        if conclusion := _CONCLUSION.match(text, first.end):
            answer += f"<conclusion>{conclusion[1].strip()}</conclusion>"
        thought = plain(f"{found.thought}\n{text[found.begin : first.start]}")
        return Decision(thought, answer, action, text)

    def _action(self, call: Call, space: Space) -> Action:
        if call.positional:
            raise ReplyUnparseable("the action has arguments without names")
        builder = _BUILDERS.get(call.name.casefold())
        if builder is None:
            raise UnknownAction(f"unknown action {call.name[:80]!r}", f"Actions are: {_NAMES}.")
        return builder(self, call.keywords, space)

    def said(self, content: str) -> Action:
        if _QUESTION.search(content):
            return Interact(message=content)
        return self.answered(content)


def _read(text: str, head: re.Match[str]) -> tuple[Call, int]:
    found = _READER.call_at(text, head.end())
    if found is None:
        raise CallError("no call stands in <action>")
    tail = _TAIL.match(text, found.end)
    if tail is None:
        raise CallError("expected </action> behind the call")
    return found.call, tail.end()


def _without_conclusion(text: str, end: int) -> str:
    """Remove the conclusion, which belongs to the action even if it is on the same line."""
    conclusion = _CONCLUSION.match(text, end)
    return text[:end] + text[conclusion.end() :] if conclusion else text


# -- the arguments of a call

Arguments = Mapping[str, Any]


def _scroll(arguments: Arguments, space: Space) -> Swipe:
    if arguments.get("start") is None:
        return content_scroll(arguments.get("direction"))
    start, end = (given.point(arguments, key, space) for key in ("start", "end"))
    return Swipe(start=start, end=end)


def _drag(arguments: Arguments, space: Space) -> Drag:
    swipe = _scroll(arguments, space)
    return Drag(start=swipe.start, end=swipe.end)


def _finished(arguments: Arguments) -> Finish:
    return Finish(message=given.text(arguments, "content"))


_BUILDERS: dict[str, Callable[[Venus, Arguments, Space], Action]] = {
    "click": lambda d, a, s: Tap(element=given.point(a, "box", s)),
    "doubleclick": lambda d, a, s: DoubleTap(element=given.point(a, "box", s)),
    "longpress": lambda d, a, s: LongPress(element=given.point(a, "box", s)),
    "drag": lambda d, a, s: _drag(a, s),
    "scroll": lambda d, a, s: _scroll(a, s),
    "type": lambda d, a, s: TypeText(text=given.text(a, "content", required=True)),
    "launch": lambda d, a, s: Launch(app=given.app(a)),
    "wait": lambda d, a, s: Wait(seconds=given.seconds(a, "time")),
    "finished": lambda d, a, s: _finished(a),
    "calluser": lambda d, a, s: d.said(given.text(a, "content", required=True)),
    "pressback": lambda d, a, s: Back(),
    "presshome": lambda d, a, s: Home(),
    "pressenter": lambda d, a, s: Key(key="enter"),
    "pressrecent": lambda d, a, s: Key(key="recents"),
}
_NAMES = (
    "Click, LongPress, Drag, Scroll, Type, Launch, Wait, PressBack, PressHome, PressEnter, "
    "PressRecent, CallUser and Finished"
)
_READER = CallReader(tuple(_BUILDERS))

VENUS = Venus("ui-venus", "venus_mobile", form="venus", closers=("</conclusion>",))
