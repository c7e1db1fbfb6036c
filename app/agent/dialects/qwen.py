"""The tool-call dialects: Qwen3-VL and later, GUI-Owl 1.5, MAI-UI, MobileForge.

Thought: what the screen shows
Action: "Tap the search bar."
<tool_call>
{"name": "mobile_use", "arguments": {"action": "click", "coordinate": [447, 81]}}
</tool_call>

They differ in how the conversation is laid out, and in whether an answer ends the task. A call in
the flat form of MobileForge, or as XML, as newer Qwen templates write it, is read in all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.agent.actions import (
    MAX_WAIT_S,
    Action,
    DoubleTap,
    Drag,
    Finish,
    GiveUp,
    Interact,
    Launch,
    LongPress,
    Swipe,
    TakeOver,
    Tap,
    TypeText,
    Wait,
)
from app.agent.dialects import arguments as given
from app.agent.dialects.base import Conversation, Exchange, Part
from app.agent.dialects.buttons import button
from app.agent.dialects.family import (
    Family,
    earlier_goal,
    recorded,
    system,
    told,
    user,
)
from app.agent.dialects.gestures import finger_swipe
from app.agent.dialects.scan import plain, unreadable
from app.agent.dialects.space import Space
from app.agent.dialects.syntax import CallError
from app.agent.dialects.toolcall import ToolCall, first_of, tool_calls
from app.agent.ports import Message
from app.agent.step import Decision
from app.errors import ReplyUnparseable, UnknownAction

FUNCTION = "mobile_use"
_SUCCESS = ("success", "complete", "completed")
_FAILURE = ("failure", "fail", "failed", "infeasible", "impossible")
_ACTION_LINE = re.compile(r"^\s*Action:\s*(.+)$", re.MULTILINE)
_THOUGHT_LABEL = re.compile(r"^\s*Thought:\s*")

Layout = Literal["list", "owl", "turns"]
"""How past steps are presented: as a list in the only user turn; as the last turns with their
pictures, with earlier ones as a list; or as turns, the last of which keep their pictures."""


@dataclass(frozen=True)
class Qwen(Family):
    """See `Family`. `layout` is how past steps are presented; `thinks` is the tag around a kept
    thought, or "" for the lines `Thought:` and `Action:`."""

    layout: Layout = "list"
    thinks: str = ""

    def assistant_text(self, thought: str, answer: str) -> str:
        if self.thinks and thought:
            return f"<{self.thinks}>\n{thought}\n</{self.thinks}>\n{answer}"
        return f"{thought}\n{answer}".strip()

    def messages(
        self, conversation: Conversation, text: str, picture: Part | None
    ) -> list[Message]:
        layouts: dict[Layout, Callable[[Conversation, str, Part | None], list[Message]]]
        layouts = {"list": _as_list, "owl": self._as_owl, "turns": _as_turns}
        return [
            *system(conversation.system),
            *layouts[self.layout](conversation, text, picture),
        ]

    def _as_owl(self, conversation: Conversation, text: str, picture: Part | None) -> list[Message]:
        """The text comes before the picture of the first turn that is kept; the other turns contain
        only what the model must be told."""
        kept = list(conversation.past)[-(self.pictures - 1) :] if self.pictures > 1 else []
        older = list(conversation.past)[: len(conversation.past) - len(kept)]
        head = _listed(conversation, older, "Previous actions:")
        turns = [
            *((told(each.user, conversation.goal), each.picture) for each in kept),
            (told(text, conversation.goal), picture),
        ]
        messages: list[Message] = []
        for number, (said, shown) in enumerate(turns):
            first = f"{head}\n\n{said}".strip() if number == 0 else said
            messages += user(first, shown)
            if number < len(kept):
                messages.append({"role": "assistant", "content": kept[number].assistant})
        return messages

    def decision(self, text: str, space: Space) -> Decision:
        try:
            found = tool_calls(text)
        except CallError as exc:
            raise unreadable(exc) from exc
        if not found.found:
            raise ReplyUnparseable("the reply holds no tool call behind its thought")
        first = first_of(text, found)
        actions = [self._action(each.call, space) for each in found.found]
        action = self.first(actions, quoted=bool(found.quoted))
        lead = text[found.begin : first.start].strip()
        thought = _THOUGHT_LABEL.sub("", plain(f"{found.thought}\n{lead}"))
        line = _ACTION_LINE.search(lead)
        answer = text[first.start : first.end]
        if line is not None:
            answer = f"Action: {line[1].strip()}\n{answer}"
            thought = thought.replace(line[0].strip(), "").strip()
        return Decision(thought, answer, action, text)

    def _action(self, call: ToolCall, space: Space) -> Action:
        if call.name not in ("", FUNCTION):
            raise UnknownAction(
                f"there is no function {call.name[:80]!r}", f"The only function is {FUNCTION}."
            )
        name = call.arguments.get("action")
        if not isinstance(name, str):
            raise ReplyUnparseable("the call names no action")
        builder = _BUILDERS.get(re.sub(r"[\s_]", "", name).casefold())
        if builder is None:
            raise UnknownAction(f"unknown action {name[:80]!r}", f"Actions are: {_NAMES}.")
        return builder(self, call.arguments, space)


def _as_list(conversation: Conversation, text: str, picture: Part | None) -> list[Message]:
    """One user turn: the goal, a list of the steps done, and then the picture."""
    head = _listed(conversation, conversation.past, "Steps so far:")
    said = told(text, conversation.goal)
    return user(f"{head}\n\n{said}".strip(), picture)


def _listed(conversation: Conversation, past: Sequence[Exchange], heading: str) -> str:
    lines = list(conversation.record)
    for exchange in past:
        if goal := earlier_goal(exchange, conversation.goal):
            lines.append(f"(The person first asked: {goal})")
        line = _ACTION_LINE.search(exchange.assistant)
        done = line[1].strip().strip('"') if line else exchange.summary
        note = told(exchange.user, conversation.goal) if not exchange.goal else ""
        if note:
            lines.append(f"({note})")
        if done:
            lines.append(done)
    steps, number = [], 0
    for each in lines:
        number += not each.startswith("(")
        steps.append(each if each.startswith("(") else f"Step {number}: {each}")
    return "\n".join([conversation.goal, "", heading, *(steps or ["none"])])


def _as_turns(conversation: Conversation, text: str, picture: Part | None) -> list[Message]:
    """The goal in a turn of its own, followed by one turn per step."""
    messages = user(recorded(conversation.goal, conversation.record))
    for exchange in conversation.past:
        said = earlier_goal(exchange, conversation.goal) or told(exchange.user, conversation.goal)
        messages += user(said, exchange.picture)
        messages.append({"role": "assistant", "content": exchange.assistant})
    return messages + user(told(text, conversation.goal), picture)


# -- the arguments of a call

Arguments = Mapping[str, Any]


def _swipe(arguments: Arguments, space: Space, first: str = "coordinate") -> Swipe:
    starts = (first, "start_coordinate", "start")
    ends = ("coordinate2", "end_coordinate", "end")
    start, end = (_one_of(arguments, names) for names in (starts, ends))
    if end:
        if not start:
            raise ReplyUnparseable("the swipe has no start")
        return Swipe(
            start=given.point(arguments, start, space), end=given.point(arguments, end, space)
        )
    at = given.point(arguments, start, space) if start else None
    return finger_swipe(arguments.get("direction"), at)


def _drag(arguments: Arguments, space: Space) -> Drag:
    swipe = _swipe(arguments, space)
    return Drag(start=swipe.start, end=swipe.end)


def _one_of(arguments: Arguments, names: tuple[str, ...]) -> str:
    return next((name for name in names if arguments.get(name) is not None), "")


def _long_press(arguments: Arguments, space: Space) -> LongPress:
    element = given.point(arguments, "coordinate", space)
    if arguments.get("time") is None:
        return LongPress(element=element)
    return LongPress(element=element, ms=given.millis(arguments, "time"))


def _type(arguments: Arguments, space: Space) -> TypeText:
    place = arguments.get("coordinate") is not None
    return TypeText(
        text=given.text(arguments, "text", required=True),
        clear=arguments.get("clear") in (True, "true", "True"),
        element=given.point(arguments, "coordinate", space) if place else None,
    )


def _terminate(arguments: Arguments) -> Finish | GiveUp:
    status = given.text(arguments, "status", required=True).strip().casefold()
    message = given.text(arguments, _one_of(arguments, ("message", "text", "answer")) or "message")
    if status in _SUCCESS:
        return Finish(message=message)
    if status in _FAILURE:
        return GiveUp(message=message)
    raise ReplyUnparseable("status must be success or failure")


def _wait(arguments: Arguments) -> Wait:
    key = _one_of(arguments, ("time", "duration", "seconds")) or "time"
    return Wait(seconds=min(given.seconds(arguments, key), MAX_WAIT_S))


def _ask(arguments: Arguments) -> Interact:
    return Interact(
        message=given.text(arguments, _one_of(arguments, ("text", "question")) or "text")
    )


def _open(arguments: Arguments) -> Launch:
    key = _one_of(arguments, ("text", "app", "app_name")) or "text"
    return Launch(app=given.app({"app": arguments.get(key)}))


_BUILDERS: dict[str, Callable[[Qwen, Arguments, Space], Action]] = {
    "click": lambda d, a, s: Tap(element=given.point(a, "coordinate", s)),
    "doubleclick": lambda d, a, s: DoubleTap(element=given.point(a, "coordinate", s)),
    "longpress": lambda d, a, s: _long_press(a, s),
    "swipe": lambda d, a, s: _swipe(a, s),
    "scroll": lambda d, a, s: _swipe(a, s),
    "drag": lambda d, a, s: _drag(a, s),
    "type": lambda d, a, s: _type(a, s),
    "answer": lambda d, a, s: d.answered(given.text(a, "text", required=True)),
    "systembutton": lambda d, a, s: button(a.get("button")),
    "key": lambda d, a, s: button(a.get("text")),
    "open": lambda d, a, s: _open(a),
    "wait": lambda d, a, s: _wait(a),
    "terminate": lambda d, a, s: _terminate(a),
    "interact": lambda d, a, s: _ask(a),
    "askuser": lambda d, a, s: _ask(a),
    "calluser": lambda d, a, s: TakeOver(message=given.text(a, "text")),
}
_NAMES = (
    "click, long_press, swipe, drag, type, answer, system_button, open, wait, interact, and "
    "terminate with a status"
)

_CLOSERS = ("</tool_call>",)
QWEN = Qwen("qwen", "qwen_mobile", form="qwen", closers=_CLOSERS)
OWL = Qwen(
    "gui-owl", "owl_mobile", form="qwen", closers=_CLOSERS, pictures=5, answer_ends=True,
    layout="owl",
)  # fmt: skip
MAI = Qwen(
    "mai-ui", "mai_mobile", form="qwen", closers=_CLOSERS, pictures=3, answer_ends=True,
    layout="turns", thinks="thinking",
)  # fmt: skip
FORGE = Qwen(
    "mobileforge", "mobileforge", form="qwen", closers=_CLOSERS, layout="turns", thinks="thinking"
)
