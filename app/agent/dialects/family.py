"""What the dialects of other families have in common; each adds its own messages and its reader.

Their replies end with the action, so a reply is read when it is whole. The rules are the same for
all of them: thought is never executed; what was begun as an action and cannot be read spoils the
reply; of several actions the first is done, since the others were planned for a screen that nobody
has seen; and the end of a task counts only where the reply ends with it.
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
from app.agent.ports import Message
from app.agent.step import Decision
from app.errors import PolicyError, ReplyTruncated, ReplyUnparseable

QWEN3_CELLS = PictureRule(cell=32, min_cells=1024, max_cells=4096)
"""Qwen3-VL and what is made from it: below 1024 it points badly, beyond 4096 llama.cpp shrinks."""
QWEN2_CELLS = PictureRule(cell=28, min_cells=100, max_cells=4096)
RECORD_HEADING = "Done so far:"


@dataclass(frozen=True)
class Family(ABC):
    """See `Dialect`.

    `cells` says how a screen is resized, `pictures` how many of them a request holds. With `pixels`
    the model says where in pixels of the picture it was sent, otherwise in thousandths. With
    `answer_ends` an answer to the person is the end of the task. `form` names the grammar of its
    replies, "" for none, `closers` are what a reply ends with where its form has an end.
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
        """These models are not told the app in front. The goal stands where `messages` puts it."""
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
        """Read a whole reply; raises PolicyError."""

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

    def grammar(self) -> str:
        if not self.form:
            return ""
        path = resources.files("app.agent") / "dialects" / f"{self.form}.gbnf"
        return path.read_text(encoding="utf-8")

    def sent_size(self, width: int, height: int) -> Size:
        return self.cells.size(width, height)

    def image_tokens(self, width: int, height: int) -> int:
        return self.cells.tokens(width, height)

    def first(self, actions: Sequence[Action], *, quoted: bool) -> Action:
        """The one of several actions that is done; `quoted` says that others are spoken of.

        Raises ReplyUnparseable for the end of a task that is not the plain end of its reply.
        """
        action = actions[0]
        if isinstance(action, Finish | GiveUp) and (len(actions) > 1 or quoted):
            raise ReplyUnparseable("the task is ended amid other actions of the same reply")
        return action

    def answered(self, text: str) -> Answer | Finish:
        """An answer to the person, as the profile has it."""
        return Finish(message=text) if self.answer_ends else Answer(message=text)


def text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def user(*parts: str | Part | None) -> list[Message]:
    """A user turn of these parts, in this order; none for a turn without any."""
    content = [text_part(part) if isinstance(part, str) else part for part in parts if part]
    return [{"role": "user", "content": content}] if content else []


def system(text: str) -> list[Message]:
    return [{"role": "system", "content": text}] if text else []


def recorded(goal: str, record: Sequence[str]) -> str:
    """The goal, with a line for each step that no longer fits into the context."""
    return "\n".join([goal, "", RECORD_HEADING, *record]) if record else goal


def earlier_goal(exchange: Exchange, goal: str) -> str:
    """What the person wanted first, in a conversation that goes on with another goal."""
    other = exchange.goal and goal not in exchange.user
    return exchange.user if other else ""


def told(text: str, goal: str) -> str:
    """What a turn says besides the goal, which stands elsewhere."""
    return text.removesuffix(goal).strip()
