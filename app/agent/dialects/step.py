r"""GELab-Zero and Step-GUI: `<THINK>...</THINK>\nexplain:...\taction:CLICK\tpoint:1,2\tsummary:...`

Tabs separate the fields. The model remembers nothing except the summary that it wrote last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.agent.actions import (
    Action,
    DoubleTap,
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
from app.agent.dialects.base import Conversation, Part
from app.agent.dialects.buttons import button
from app.agent.dialects.family import Family, earlier_goal, told, user
from app.agent.dialects.scan import plain, scan
from app.agent.dialects.space import Space
from app.agent.ports import Message
from app.agent.step import Decision
from app.errors import ReplyUnparseable, UnknownAction

_FIELD = re.compile(r"\s*([a-z_]\w{0,20}):", re.IGNORECASE)
_SUMMARY = re.compile(r"(?:^|\t)summary:([^\t]*)", re.MULTILINE)
_NEVER = r"(?!)"
_AMID_FIELDS = re.compile(
    r"\t\s*(?:explain|action|value|point\d?|summary|return|note|verify):", re.I
)
"""A closing tag after one of these fields may be part of its text."""
MAX_FIELDS = 20
MAX_TOKEN = 44
"""Longest special token, in characters."""


@dataclass(frozen=True)
class StepGui(Family):
    def assistant_text(self, thought: str, answer: str) -> str:
        return f"<THINK>{thought}</THINK>\n{answer}"

    def messages(
        self, conversation: Conversation, text: str, picture: Part | None
    ) -> list[Message]:
        """The picture comes between the task and the request for a reply."""
        last = conversation.past[-1] if conversation.past else None
        found = _SUMMARY.findall(last.assistant) if last else []
        history = found[-1].strip() if found else (last.summary if last else "")
        said = told(text, conversation.goal)
        if last and (goal := earlier_goal(last, conversation.goal)):
            history = f"(The person first asked: {goal}) {history}"
        memory = " ".join(part for part in (history, said) if part) or "none"
        before = f"Task: {conversation.goal}\nHistory: {memory}\nThe screen now:"
        head = "\n\n".join(part for part in (conversation.system, before) if part)
        return user(head, picture, _ASKED)

    def decision(self, text: str, space: Space) -> Decision:
        found = scan(text, _NEVER, lambda text, head: (None, head.end()))
        if _AMID_FIELDS.search(found.thought):
            raise ReplyUnparseable("the fields of an action stand in the thought")
        body = _without_tokens(found.body)
        fields = _fields(body)
        name = fields.get("action", "").strip()
        builder = _BUILDERS.get(name.upper())
        if builder is None:
            raise (
                UnknownAction(f"unknown action {name[:80]!r}", f"Actions are: {_NAMES}.")
                if name
                else ReplyUnparseable("the reply names no action")
            )
        thought = plain(found.thought) or fields.get("explain", "").strip()
        return Decision(thought, body, builder(fields, space), text)


def _without_tokens(body: str) -> str:
    """Strip the fence and the special tokens around the fields; nothing inside is removed."""
    body = body.strip("`\n ")
    while body.endswith("|>") and (begin := body.rfind("<|", -MAX_TOKEN)) >= 0:
        body = body[:begin].strip("`\n ")
    return body


def _fields(body: str) -> dict[str, str]:
    """Return the fields by name. Raises ReplyUnparseable for one without a name or given twice."""
    fields: dict[str, str] = {}
    for part in body.split("\t"):
        name = _FIELD.match(part)
        if name is None:
            raise ReplyUnparseable("expected fields such as action:CLICK, with tabs between them")
        key = name[1].casefold()
        if key in fields or len(fields) >= MAX_FIELDS:
            raise ReplyUnparseable(f"the field {key} stands twice")
        fields[key] = part[name.end() :].strip()
    return fields


# -- the fields of an action

Fields = Mapping[str, str]


def _type(fields: Fields, space: Space) -> TypeText:
    place = "point" in fields
    return TypeText(
        text=given.text(fields, "value", required=True),
        element=given.point(fields, "point", space) if place else None,
    )


def _result(fields: Fields) -> str:
    """Without this field, the reply may have been cut after the name of the action."""
    if not fields.get("return"):
        raise ReplyUnparseable("COMPLETE needs the field return")
    return fields["return"]


def _slide(fields: Fields, space: Space) -> Swipe:
    start, end = (given.point(fields, key, space) for key in ("point1", "point2"))
    return Swipe(start=start, end=end)


_BUILDERS: dict[str, Callable[[Fields, Space], Action]] = {
    "CLICK": lambda f, s: Tap(element=given.point(f, "point", s)),
    "DOUBLE_CLICK": lambda f, s: DoubleTap(element=given.point(f, "point", s)),
    "LONGPRESS": lambda f, s: LongPress(element=given.point(f, "point", s)),
    "TYPE": _type,
    "SLIDE": _slide,
    "AWAKE": lambda f, s: Launch(app=given.app({"app": f.get("value")})),
    "WAIT": lambda f, s: Wait(seconds=given.seconds(f, "value")),
    "INFO": lambda f, s: Interact(message=given.text(f, "value")),
    "CALL_USER": lambda f, s: TakeOver(message=given.text(f, "value")),
    "HOT_KEY": lambda f, s: button(f.get("key") or f.get("value")),
    "BACK": lambda f, s: button("back"),
    "HOME": lambda f, s: button("home"),
    "COMPLETE": lambda f, s: Finish(message=_result(f)),
    "ABORT": lambda f, s: GiveUp(message=given.text(f, "value")),
}
_NAMES = ", ".join(_BUILDERS)
_ASKED = (
    "Write your thought between <THINK> and </THINK>, and behind it one line of fields with a tab "
    "between them: explain, action, the fields of the action, and summary, which is all that you "
    "will remember."
)

STEP = StepGui("step-gui", "step_mobile", form="step")
