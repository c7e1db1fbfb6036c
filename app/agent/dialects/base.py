"""The protocol between the loop and a model's own language: its requests and its replies.

A dialect owns both directions: it builds the messages of a request from the conversation, and
parses the reply as it streams in. Everything else (policy, history, tasks, export) knows only this
protocol, so another model family is another module next to `autoglm.py`.
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
    """One answered turn: the text sent with the picture, and the reply as it is kept.

    `summary` is its line in the record; `tokens` is its size in the context without the picture;
    `goal` is true if its text holds a goal. `picture` is what the model saw, for as long as the
    dialect keeps it.
    """

    user: str
    assistant: str
    summary: str = ""
    tokens: int = 0
    goal: bool = False
    picture: Part | None = None


@dataclass(frozen=True)
class Conversation:
    """What a request is built from, besides the current turn.

    `system` is the system prompt, "" for none. `record` has a line for each exchange that no longer
    fits into the context; these happened before `past`, which is oldest first.
    """

    system: str
    goal: str
    past: Sequence[Exchange] = ()
    record: Sequence[str] = ()


class Reading(Protocol):
    """One reply while it streams in. The cost of parsing is linear in its length."""

    @property
    def text(self) -> str:
        """The reply so far, preceded by what the engine separated as thought."""

    @property
    def over(self) -> bool:
        """Whether the action is complete and nothing that follows can change it."""

    @property
    def behind(self) -> int:
        """Characters received after the reply was over."""

    @property
    def closed(self) -> bool:
        """Whether the reply itself shows that it has ended."""

    def feed(self, piece: str, *, reasoning: bool = False) -> str:
        """Add a piece of the reply and return what it adds to the thought, without tags.

        `reasoning` is true if the engine itself marked the piece as thought.
        """

    def decision(self, *, truncated: bool = False) -> Decision:
        """Like `Dialect.read`, for the text so far."""


class Dialect(Protocol):
    """The language of one model family. Stateless; one object serves all tasks."""

    @property
    def name(self) -> str:
        """The name used in `profile.dialect`."""

    @property
    def prompt(self) -> str:
        """The system prompt to use when the profile names none."""

    @property
    def pictures(self) -> int:
        """Most pictures in a request, including the one of the current turn."""

    def user_text(self, goal: str, app: str, told: str = "", *, first: bool) -> str:
        """The text of a turn. `told` is what the model must know about its last action; `first` is
        true if no earlier turn holds this goal."""

    def assistant_text(self, thought: str, answer: str) -> str:
        """A reply as it is kept in the conversation; `answer` as in `Decision`."""

    def messages(
        self, conversation: Conversation, text: str, picture: Part | None
    ) -> list[Message]:
        """The messages of a request; the last one is the current turn."""

    def reading(self, sent: Size | None = None) -> Reading:
        """`sent` is the size of the picture that the reply refers to."""

    def read(self, text: str, *, truncated: bool = False, sent: Size | None = None) -> Decision:
        """Parse a complete reply.

        `truncated`: the engine stopped at its token limit (finish_reason "length").
        Without `sent` the coordinates of a model that answers in pixels are meaningless; its
        words are not.

        Raises:
            ReplyTruncated: the reply was cut before a complete action.
            ReplyUnparseable: there is no action, or an unreadable one.
            UnknownAction: the action is not in the protocol.
            ActionOutOfBounds: the coordinates are not on the screen.
        """

    def words(self, reply: str) -> str:
        """The words of a reply to a plain question, whatever form the model used."""

    def misread(self, reason: str) -> str:
        """What the model is told after an unusable reply."""

    def grammar(self, max_thought: int = 0) -> str:
        """A GBNF grammar that admits only replies of this dialect; "" if there is none.

        `max_thought` is the most characters of thought that it admits, 0 for any number.
        """

    def sent_size(self, width: int, height: int) -> Size:
        """The size, in pixels, at which a screen of this size is sent."""

    def image_tokens(self, width: int, height: int) -> int:
        """Context tokens used by a picture of this size in pixels."""


_JPEG = b"\xff\xd8\xff"


def image_part(picture: bytes) -> Part:
    """A picture, PNG or JPEG, as part of a user message."""
    kind = "jpeg" if picture.startswith(_JPEG) else "png"
    url = f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}
