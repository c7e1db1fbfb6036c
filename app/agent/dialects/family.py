"""What the dialects of the other families share; each adds its own messages and parser.

Their replies end with the action, so a reply is parsed once it is complete. The rules are the same
for all: thought is never executed. An unreadable beginning of an action spoils the reply. Of
several actions the first is done, because the others were planned for a screen that nobody has
seen. The end of a task counts only if the reply ends with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from app.agent.actions import Action, Answer, Finish, GiveUp
from app.agent.dialects.base import Conversation, Exchange, Part
from app.agent.dialects.reading import WholeReading
from app.agent.dialects.scan import plain, readable
from app.agent.dialects.space import PictureRule, Size, Space, pixels_of
from app.agent.dialects.thought_limit import with_limit
from app.agent.ports import Message
from app.agent.step import Decision
from app.errors import PolicyError, ReplyTruncated, ReplyUnparseable

QWEN3_CELLS = PictureRule(cell=32, min_cells=1024, max_cells=4096)
"""Qwen3-VL and its derivatives: below 1024 it points badly, above 4096 llama.cpp shrinks it."""
QWEN2_CELLS = PictureRule(cell=28, min_cells=100, max_cells=4096)
RECORD_HEADING = "Done so far:"


@dataclass(frozen=True)
class Family(ABC):
    """See `Dialect`.

    `cells` is how a screen is resized, `pictures` how many of them a request holds. With `pixels`
    the model gives places in pixels of the picture it was sent, otherwise in thousandths. With
    `answer_ends` an answer to the person ends the task. `form` names the grammar of its replies, ""
    for none; `closers` are the strings that end a complete reply, if its form has any.
    """

    name: str
    prompt: str
    cells: PictureRule = QWEN3_CELLS
    pictures: int = 1
    pixels: bool = False
    answer_ends: bool = False
    form: str = ""
    closers: tuple[str, ...] = ()

    def user_text(self, goal: str, app: str, told: str = "", *, first: bool) -> str:
        """These models do not get the app in front. `messages` decides where the goal goes."""
        return "\n\n".join(part for part in (told, goal if first else "") if part)

    @abstractmethod
    def assistant_text(self, thought: str, answer: str) -> str: ...

    @abstractmethod
    def messages(
        self, conversation: Conversation, text: str, picture: Part | None
    ) -> list[Message]: ...

    def reading(self, sent: Size | None = None) -> WholeReading:
        return WholeReading(self.read, sent, self.closers)

    def read(self, text: str, *, truncated: bool = False, sent: Size | None = None) -> Decision:
        readable(text, truncated=truncated)
        return self.decision(text, pixels_of(sent) if self.pixels else Space())

    @abstractmethod
    def decision(self, text: str, space: Space) -> Decision:
        """Parse a complete reply; raises PolicyError."""

    def words(self, reply: str) -> str:
        try:
            action = self.read(reply).action
        except (PolicyError, ReplyTruncated):
            return plain(reply.rpartition("</think>")[2].rpartition("</thinking>")[2])
        if isinstance(action, Finish | Answer | GiveUp):
            return action.message
        return action.describe()

    def misread(self, reason: str) -> str:
        return (
            f"Your last answer could not be used: {reason}. "
            "Answer in the form that was described, with exactly one action."
        )

    def grammar(self, max_thought: int = 0) -> str:
        if not self.form:
            return ""
        path = resources.files("app.agent") / "dialects" / f"{self.form}.gbnf"
        return with_limit(path.read_text(encoding="utf-8"), max_thought)

    def sent_size(self, width: int, height: int) -> Size:
        return self.cells.size(width, height)

    def image_tokens(self, width: int, height: int) -> int:
        return self.cells.tokens(width, height)

    def first(self, actions: Sequence[Action], *, quoted: bool) -> Action:
        """Return which of several actions is done; `quoted` is true if others are only mentioned.

        Raises ReplyUnparseable for the end of a task that is not the plain end of its reply.
        """
        action = actions[0]
        if isinstance(action, Finish | GiveUp) and (len(actions) > 1 or quoted):
            raise ReplyUnparseable("the task is ended amid other actions of the same reply")
        return action

    def answered(self, text: str) -> Answer | Finish:
        """An answer to the person; ends the task if the profile says so."""
        return Finish(message=text) if self.answer_ends else Answer(message=text)


def text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def user(*parts: str | Part | None) -> list[Message]:
    """A user turn with these parts in this order; no turn if there are none."""
    content = [text_part(part) if isinstance(part, str) else part for part in parts if part]
    return [{"role": "user", "content": content}] if content else []


def system(text: str) -> list[Message]:
    return [{"role": "system", "content": text}] if text else []


def recorded(goal: str, record: Sequence[str]) -> str:
    """The goal, followed by a line for each step that no longer fits into the context."""
    return "\n".join([goal, "", RECORD_HEADING, *record]) if record else goal


def earlier_goal(exchange: Exchange, goal: str) -> str:
    """The goal of an exchange that was made under another goal, "" for the current goal."""
    other = exchange.goal and goal not in exchange.user
    return exchange.user if other else ""


def told(text: str, goal: str) -> str:
    """The text of a turn without the goal, which is placed elsewhere."""
    return text.removesuffix(goal).strip()
