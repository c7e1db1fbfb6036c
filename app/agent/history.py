"""The conversation with the model: its texts to the letter, and exactly one image in a request.

The texts are those of the AutoGLM-Phone protocol: the first user turn is the goal and the current
app, each later one a heading and the current app; the image stands before the text, and leaves the
conversation once its turn is answered.

When the context fills, the oldest turns become lines of a record that stands in the first turn.
That changes the beginning of the prompt, which the engine then has to evaluate again; so it is done
rarely and by half of what can go, and between two such moments the prompt only grows at its end.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.agent.ports import Message

KEPT_TURNS = 2
"""The last turns that are never folded: what was just done, and what came of it."""
RECORD_LINES = 40
RECORD_HEADING = "** Done so far **"
_CHARACTERS_A_TOKEN = 3


@dataclass(frozen=True)
class Turn:
    """One answered turn: the text that went with the image, and the reply as it is kept.

    `summary` is its line in the record, `tokens` what it takes in the context, and `goal` says
    that its text is the one that holds a goal.
    """

    user: str
    assistant: str
    summary: str = ""
    tokens: int = 0
    goal: bool = False


def screen_info(current_app: str) -> str:
    return json.dumps({"current_app": current_app}, ensure_ascii=False)


def user_text(goal: str, current_app: str, *, first: bool) -> str:
    """The text of a user turn; only the first one holds the goal."""
    info = screen_info(current_app)
    return f"{goal}\n\n{info}" if first else f"** Screen Info **\n\n{info}"


def assistant_text(thought: str, action_text: str) -> str:
    """A reply as it stands in the history, with each tag exactly once."""
    return f"<think>{thought}</think><answer>{action_text}</answer>"


def image_part(png: bytes) -> dict[str, Any]:
    """A picture as part of a user message."""
    url = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}


class History:
    """The turns of one task, oldest first.

    `earlier` are those of the task that it follows, or its own when it `goes_on`: then the goal
    stands in them already.
    """

    def __init__(
        self, system: str, goal: str, earlier: Sequence[Turn] = (), *, goes_on: bool = False
    ) -> None:
        self._system = system
        self._goal = goal
        self._asked = 1 if goes_on else 0
        self._record: list[str] = []
        self._dropped = 0
        self.turns: list[Turn] = list(earlier)

    def pending_text(self, current_app: str, feedback: str = "") -> str:
        """The text of the turn that is about to be asked.

        `feedback` says what went wrong with the last action; the protocol has no place for it, so
        it stands as a line of its own before the rest.
        """
        text = user_text(self._goal, current_app, first=not self._asked)
        return f"{feedback}\n\n{text}" if feedback else text

    def messages(self, text: str, png: bytes) -> list[Message]:
        """The request: all answered turns without their images, then image and `text`."""
        messages: list[Message] = [{"role": "system", "content": self._system}]
        for number, turn in enumerate(self.turns):
            user = turn.user if number or not self._record else self._recorded(turn.user)
            messages.append({"role": "user", "content": [{"type": "text", "text": user}]})
            messages.append({"role": "assistant", "content": turn.assistant})
        content = [image_part(png), {"type": "text", "text": text}]
        messages.append({"role": "user", "content": content})
        return messages

    def prefix(self) -> list[Message]:
        """What the next request begins with, whatever the next screen shows."""
        return [*self.messages("", b"")[:-1], {"role": "user", "content": ""}]

    def _recorded(self, first: str) -> str:
        gone = [f"({self._dropped} steps before these)"] if self._dropped else []
        return "\n".join([first, "", RECORD_HEADING, *gone, *self._record])

    def answered(self, user: str, assistant: str, summary: str = "", tokens: int = 0) -> None:
        self.turns.append(Turn(user, assistant, summary, tokens, goal=not self._asked))
        self._asked += 1

    def weigh_last(self, tokens: int) -> None:
        """What the last turn takes in the context, once the engine has counted it."""
        if self.turns:
            self.turns[-1] = replace(self.turns[-1], tokens=tokens)

    def take_back(self) -> None:
        """Forget the last answered turn, as if it had not been asked."""
        self.turns.pop()
        self._asked -= 1

    def fold(self, tokens: int) -> int:
        """Turn the oldest turns into lines of the record, until at least `tokens` are freed and
        half of what can go is gone; returns the tokens freed, 0 when nothing can be folded.

        They become one turn: the text that holds the goal, with the record under it, and the reply
        of the last of them, so that user and assistant still take turns.
        """
        foldable = self.turns[: max(0, len(self.turns) - KEPT_TURNS)]
        count, freed = 1, 0
        while count < len(foldable) and (freed < tokens or count <= len(foldable) // 2):
            freed += foldable[count].tokens
            count += 1
        folded = foldable[:count]
        if len(folded) < 2:
            return 0
        holder = next((turn for turn in reversed(folded) if turn.goal), folded[0])
        lines = [turn.summary for turn in folded[:-1] if turn.summary]
        self._record += lines
        self._dropped += max(0, len(self._record) - RECORD_LINES)
        self._record = self._record[-RECORD_LINES:]
        self.turns[:count] = [replace(folded[-1], user=holder.user, goal=True)]
        return max(1, freed - sum(map(len, lines)) // _CHARACTERS_A_TOKEN)
