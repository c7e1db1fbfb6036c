"""What the loop needs to know of a model's own language: how it is asked, and how it answers.

A dialect owns both directions. It makes the messages of a request from the conversation, and reads
the reply while it streams in. Everything else (policy, history, tasks, export) knows only this
protocol, so that another family of models is another module beside `autoglm.py`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.agent.dialects.space import Size as Size
from app.agent.ports import Message
from app.agent.step import Decision

Part = dict[str, Any]
"""One part of a message's content: a text or a picture."""


@dataclass(frozen=True)
class Exchange:
    """One answered turn: the text that went with the picture, and the reply as it is kept.

    `summary` is its line in the record, `tokens` what it takes in the context, its picture left
    out, and `goal` says that its text is the one that holds a goal. `picture` is what the model
    saw, as long as its dialect keeps it.
    """

    user: str
    assistant: str
    summary: str = ""
    tokens: int = 0
    goal: bool = False
    picture: Part | None = None


@dataclass(frozen=True)
class Conversation:
    """What a request is made from besides the turn that is asked.

    `system` is the system prompt, "" for none. `record` has a line for each exchange that no longer
    fits into the context; they happened before `past`, which is oldest first.
    """

    system: str
    goal: str
    past: Sequence[Exchange] = ()
    record: Sequence[str] = ()


class Reading(Protocol):
    """One reply while it is read. The cost of reading a reply is linear in its length."""

    @property
    def text(self) -> str:
        """The reply so far, with what the engine split off as thought in front of it."""

    @property
    def over(self) -> bool:
        """Whether the action is whole and nothing that follows can change it."""

    @property
    def behind(self) -> int:
        """Characters that came after the reply was over."""

    @property
    def closed(self) -> bool:
        """Whether the reply shows by itself that it has come to its end."""

    def feed(self, piece: str, *, reasoning: bool = False) -> str:
        """Take a piece of the reply and return what it adds to the thought, without tags.

        `reasoning` says that the engine itself marked it as thought.
        """

    def decision(self, *, truncated: bool = False) -> Decision:
        """As `Dialect.read`, for the text so far."""


class Dialect(Protocol):
    """The language of one family of models. Has no state; one object serves all tasks."""

    @property
    def name(self) -> str:
        """As `profile.dialect` has it."""

    @property
    def prompt(self) -> str:
        """The system prompt where the profile names none."""

    @property
    def pictures(self) -> int:
        """How many pictures a request may hold, that of the turn that is asked included."""

    def user_text(self, goal: str, app: str, told: str = "", *, first: bool) -> str:
        """The text of a turn. `told` is what the model has to know of its last action, `first`
        says that no turn before it holds this goal."""

    def assistant_text(self, thought: str, answer: str) -> str:
        """A reply as it stays in the conversation; `answer` as in `Decision`."""

    def messages(
        self, conversation: Conversation, text: str, picture: Part | None
    ) -> list[Message]:
        """The messages of a request; the last one is the turn that is asked."""

    def reading(self, sent: Size | None = None) -> Reading:
        """`sent` is the size of the picture that the reply is about."""

    def read(self, text: str, *, truncated: bool = False, sent: Size | None = None) -> Decision:
        """Read a complete reply.

        `truncated` says that the engine stopped at its token limit (finish_reason "length").
        Without `sent` the places of a model that answers in pixels mean nothing; its words do.

        Raises:
            ReplyTruncated: the reply was cut before a complete action.
            ReplyUnparseable: no action, or one that cannot be read.
            UnknownAction: an action that is not in the protocol.
            ActionOutOfBounds: coordinates that are not on the screen.
        """

    def words(self, reply: str) -> str:
        """The words of a reply to a plain question, whatever form the model gave it."""

    def misread(self, reason: str) -> str:
        """What the model is told after a reply that could not be used."""

    def grammar(self) -> str:
        """GBNF that lets only replies of this dialect come; "" where there is none."""

    def sent_size(self, width: int, height: int) -> Size:
        """The size in which a screen of so many pixels is sent."""

    def image_tokens(self, width: int, height: int) -> int:
        """Tokens that a picture of so many pixels takes in the context."""


def image_part(png: bytes) -> Part:
    """A picture as part of a user message."""
    url = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}
