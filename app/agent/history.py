"""The conversation with the model: its texts to the letter, and exactly one image in a request.

The texts are those of the AutoGLM-Phone protocol: the first user turn is the goal and the current
app, each later one a heading and the current app; the image stands before the text, and leaves the
conversation once its turn is answered.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """One answered turn: the text that went with the image, and the reply as it is kept."""

    user: str
    assistant: str


def screen_info(current_app: str) -> str:
    return json.dumps({"current_app": current_app}, ensure_ascii=False)


def user_text(goal: str, current_app: str, *, first: bool) -> str:
    """The text of a user turn; only the first one holds the goal."""
    info = screen_info(current_app)
    return f"{goal}\n\n{info}" if first else f"** Screen Info **\n\n{info}"


def assistant_text(thought: str, action_text: str) -> str:
    """A reply as it stands in the history, with each tag exactly once."""
    return f"<think>{thought}</think><answer>{action_text}</answer>"


class History:
    """The turns of one task, oldest first."""

    def __init__(self, system: str, goal: str) -> None:
        self._system = system
        self._goal = goal
        self.turns: list[Turn] = []

    def pending_text(self, current_app: str, feedback: str = "") -> str:
        """The text of the turn that is about to be asked.

        `feedback` says what went wrong with the last action; the protocol has no place for it, so
        it stands as a line of its own before the rest.
        """
        text = user_text(self._goal, current_app, first=not self.turns)
        return f"{feedback}\n\n{text}" if feedback else text

    def messages(self, text: str, png: bytes) -> list[Message]:
        """The request: all answered turns without their images, then image and `text`."""
        messages: list[Message] = [{"role": "system", "content": self._system}]
        for turn in self.turns:
            messages.append({"role": "user", "content": [{"type": "text", "text": turn.user}]})
            messages.append({"role": "assistant", "content": turn.assistant})
        url = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
        image = {"type": "image_url", "image_url": {"url": url}}
        messages.append({"role": "user", "content": [image, {"type": "text", "text": text}]})
        return messages

    def answered(self, user: str, assistant: str) -> None:
        self.turns.append(Turn(user, assistant))
