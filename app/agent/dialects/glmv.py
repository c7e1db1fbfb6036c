"""GLM-4.1V, 4.5V and 4.6V, in their own form for phones.

    Memory: what has to be kept
    Reason: why this comes next
    Action: {"action_type": "click", "box_2d": [[100,200,300,260]]}

One user message holds the prompt, the goal, the steps so far with all three lines, and the
picture. The action may be written as JSON or as a Python literal. A swipe names the finger's
direction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.agent.actions import (
    Action,
    Back,
    Finish,
    GiveUp,
    Home,
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
from app.agent.dialects.gestures import finger_swipe
from app.agent.dialects.objects import Fields, object_at
from app.agent.dialects.scan import BEGINS, plain, scan, unreadable
from app.agent.dialects.space import PictureRule, Space
from app.agent.dialects.syntax import CallError
from app.agent.ports import Message
from app.agent.step import Decision
from app.errors import ReplyUnparseable, UnknownAction

CELLS = PictureRule(cell=28, min_cells=8, max_cells=4096)
_BOX = r"(?:\s|<\|begin_of_box\|>|```\w*)*(?=\{)"
_HEAD = rf"(?:(?:^|{BEGINS})[ \t*]*Action:[ \t*]*|{BEGINS}){_BOX}"
_LABEL = re.compile(r"^[ \t*]*Action:", re.MULTILINE | re.IGNORECASE)
_TAIL = re.compile(r"(?:\s|<\|end_of_box\|>|```|<\|user\|>)*")
_LINES = re.compile(r"^\s*(Memory|Reason):", re.MULTILINE)


@dataclass(frozen=True)
class GlmV(Family):
    def assistant_text(self, thought: str, answer: str) -> str:
        return f"<think>{thought}</think>\n{answer}" if thought else answer

    def messages(
        self, conversation: Conversation, text: str, picture: Part | None
    ) -> list[Message]:
        steps = []
        for number, exchange in enumerate(conversation.past, 1):
            if goal := earlier_goal(exchange, conversation.goal):
                steps.append(f"(The person first asked: {goal})")
            elif note := told(exchange.user, conversation.goal):
                steps.append(f"({note})")
            kept = exchange.assistant.rpartition("</think>")[2].strip()
            steps.append(f"Step {number}:\n{kept}")
        parts = [
            conversation.system,
            f"Task: {recorded(conversation.goal, conversation.record)}",
            "\n".join(["History:", *(steps or ["none"])]),
            told(text, conversation.goal),
        ]
        return user("\n\n".join(part for part in parts if part), picture)

    def decision(self, text: str, space: Space) -> Decision:
        try:
            found = scan(text, _HEAD, _read)
        except CallError as exc:
            raise unreadable(exc) from exc
        calls = found.found
        if not calls:
            raise ReplyUnparseable("no action stands behind Action:")
        if len(calls) > 1:
            raise ReplyUnparseable("the reply holds several lines that begin with Action:")
        call = calls[0]
        tail = _TAIL.match(text, call.end)
        rest = text[tail.end() if tail else call.end :]
        if re.search(r"\w", plain(rest)):
            raise ReplyUnparseable("words stand behind the action")
        action = self.first([self._action(call.call, space)], quoted=bool(found.quoted))
        lead = text[found.begin : call.start]
        kept = _LINES.search(lead)
        memory = lead[kept.start() :].strip() if kept else ""
        written = text[call.start : call.end].strip()
        written = plain(_LABEL.sub("", written, count=1))
        answer = f"{plain(memory)}\nAction: {written}".strip()
        thought = plain(f"{found.thought}\n{lead[: kept.start()] if kept else lead}")
        return Decision(thought, answer, action, text)

    def _action(self, fields: Fields, space: Space) -> Action:
        name = fields.get("action_type")
        if not isinstance(name, str):
            raise ReplyUnparseable("the action has no action_type")
        builder = _BUILDERS.get(name.strip().casefold())
        if builder is None:
            raise UnknownAction(f"unknown action {name[:80]!r}", f"Actions are: {_NAMES}.")
        return builder(self, fields, space)


def _read(text: str, head: re.Match[str]) -> tuple[Fields, int]:
    return object_at(text, head.end())


# -- the fields of an action

Arguments = Mapping[str, Any]


def _status(arguments: Arguments) -> Finish | GiveUp:
    goal = arguments.get("goal_status")
    if goal == "complete":
        return Finish()
    if goal == "infeasible":
        return GiveUp()
    raise ReplyUnparseable("goal_status must be complete or infeasible")


def _input(arguments: Arguments, space: Space) -> TypeText:
    """The action taps the field, types, and presses Enter."""
    override = arguments.get("override")
    return TypeText(
        text=given.text(arguments, "text", required=True),
        clear=override in (True, "True", "true"),
        submit=True,
        element=given.point(arguments, "box_2d", space) if _placed(arguments) else None,
    )


def _swipe(arguments: Arguments, space: Space) -> Swipe:
    start = given.point(arguments, "box_2d", space) if _placed(arguments) else None
    return finger_swipe(arguments.get("direction"), start)


def _placed(arguments: Arguments) -> bool:
    return arguments.get("box_2d") is not None


_BUILDERS: dict[str, Callable[[GlmV, Arguments, Space], Action]] = {
    "status": lambda d, a, s: _status(a),
    "answer": lambda d, a, s: d.answered(given.text(a, "text", required=True)),
    "click": lambda d, a, s: Tap(element=given.point(a, "box_2d", s)),
    "long_press": lambda d, a, s: LongPress(element=given.point(a, "box_2d", s)),
    "input_text": lambda d, a, s: _input(a, s),
    "keyboard_enter": lambda d, a, s: Key(key="enter"),
    "navigate_home": lambda d, a, s: Home(),
    "navigate_back": lambda d, a, s: Back(),
    "swipe": lambda d, a, s: _swipe(a, s),
    "open_app": lambda d, a, s: Launch(app=given.app({"app": a.get("app_name")})),
    "wait": lambda d, a, s: Wait(seconds=given.seconds(a, "time")),
}
_NAMES = ", ".join(_BUILDERS)

GLMV = GlmV("glmv", "glmv_mobile", CELLS, form="glmv")
