"""The conversation with the model, and its size in the context.

Every reply reports the number of tokens in its prompt and in itself. The next prompt is the old
prompt, plus the reply, plus one turn of text, because the picture of a turn is dropped when the
next one arrives. So the budget needs no tokenizer, and is exact except for that text.

When the context fills up, the oldest exchanges become lines of a record. This changes the beginning
of the prompt, so the engine has to evaluate it again. It therefore happens rarely, and removes half
of what can go; in between, the prompt only grows at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.agent.dialects.base import Conversation, Dialect, Exchange, Part, image_part
from app.agent.ports import Message

KEPT_EXCHANGES = 2
"""The last exchanges, which are never folded: the latest action and its result."""
RECORD_LINES = 40
NEXT_TURN = 96
"""Tokens of a user turn without its picture: the screen info, a line of feedback, the template."""
MAX_RESERVE_SHARE = 4
"""At most a quarter of the context is kept free for the reply."""
_CHARACTERS_A_TOKEN = 3


class History:
    """The exchanges of one task, oldest first, in one dialect.

    `earlier` are the exchanges of the task that this one follows, or its own if it `goes_on`; in
    that case they already hold the goal.
    """

    def __init__(
        self,
        dialect: Dialect,
        system: str,
        goal: str,
        earlier: Sequence[Exchange] = (),
        *,
        goes_on: bool = False,
    ) -> None:
        self.dialect = dialect
        self._system = system
        self._goal = goal
        self._asked = 1 if goes_on else 0
        self._record: list[str] = []
        self._dropped = 0
        self.exchanges: list[Exchange] = list(earlier)

    def pending_text(self, app: str, told: str = "") -> str:
        """Return the text of the next turn; `told` as in `Dialect.user_text`."""
        return self.dialect.user_text(self._goal, app, told, first=not self._asked)

    def messages(self, text: str, picture: bytes) -> list[Message]:
        """Return the request: the conversation, then the turn with the screen and `text`."""
        return self._messages(text, image_part(picture))

    def prefix(self) -> list[Message]:
        """Return what the next request begins with, whatever the next screen shows."""
        screen: Part = {"type": "text", "text": ""}  # a placeholder, in the turn that is cut off
        return [*self._messages("", screen)[:-1], {"role": "user", "content": ""}]

    def _messages(self, text: str, picture: Part) -> list[Message]:
        gone = [f"({self._dropped} steps before these)"] if self._dropped else []
        record = [*gone, *self._record]
        said = Conversation(self._system, self._goal, self.exchanges, record)
        return self.dialect.messages(said, text, picture)

    @property
    def gathers_pictures(self) -> bool:
        """Whether the current turn's picture can stay next to the picture of the next turn."""
        kept = sum(exchange.picture is not None for exchange in self.exchanges)
        return kept < self.dialect.pictures - 1

    def answered(
        self,
        user: str,
        assistant: str,
        summary: str = "",
        tokens: int = 0,
        picture: bytes | None = None,
    ) -> None:
        """Record the answered turn; `picture` is the picture that it was about."""
        keeps = self.dialect.pictures - 1
        part = image_part(picture) if picture is not None and keeps > 0 else None
        goal = not self._asked
        self.exchanges.append(Exchange(user, assistant, summary, tokens, goal, part))
        for at in range(len(self.exchanges) - keeps):
            if self.exchanges[at].picture is not None:
                self.exchanges[at] = replace(self.exchanges[at], picture=None)
        self._asked += 1

    def weigh_last(self, tokens: int) -> None:
        """Set the last exchange's tokens in the context, once the engine has counted them."""
        if self.exchanges:
            self.exchanges[-1] = replace(self.exchanges[-1], tokens=tokens)

    def take_back(self) -> None:
        """Remove the last exchange, as if it had not been asked."""
        self.exchanges.pop()
        self._asked -= 1

    def fold(self, tokens: int) -> int:
        """Turn the oldest exchanges into lines of the record, until at least `tokens` are freed and
        half of what can go is gone. Return the tokens freed, 0 if nothing can be folded.

        They become one exchange: the text that holds the goal, and the reply of the last of them,
        so that user and assistant still alternate.
        """
        foldable = self.exchanges[: max(0, len(self.exchanges) - KEPT_EXCHANGES)]
        count, freed = 1, 0
        while count < len(foldable) and (freed < tokens or count <= len(foldable) // 2):
            freed += foldable[count].tokens
            count += 1
        folded = foldable[:count]
        if len(folded) < 2:
            return 0
        holder = next((one for one in reversed(folded) if one.goal), folded[0])
        lines = [one.summary for one in folded[:-1] if one.summary]
        self._record += lines
        self._dropped += max(0, len(self._record) - RECORD_LINES)
        self._record = self._record[-RECORD_LINES:]
        self.exchanges[:count] = [replace(folded[-1], user=holder.user, goal=True)]
        return max(1, freed - sum(map(len, lines)) // _CHARACTERS_A_TOKEN)


@dataclass
class ContextBudget:
    """`size` is the context in tokens, 0 if unknown; `reply` is the most that a reply may use."""

    size: int
    reply: int
    image: int = 0
    """Tokens of the image that is dropped with the next turn."""
    last_image: int = 0
    """Tokens of the last image."""
    _expected: int = 0

    @property
    def limit(self) -> int:
        """The largest prompt that leaves room for a reply."""
        return self.size - min(self.reply, self.size // MAX_RESERVE_SHARE)

    def counted(self, prompt: int, completion: int, image: int) -> None:
        """Record the engine's counts for the answered turn; 0 if it reported none."""
        if prompt:
            self._expected, self.image = prompt + completion + NEXT_TURN, image

    def freed(self, tokens: int) -> None:
        """Subtract this many tokens, which were folded away."""
        self._expected = max(0, self._expected - tokens)

    def excess(self, image: int) -> int:
        """Tokens by which the next prompt, with an image of this size, would exceed the limit."""
        if not self.size or not self._expected:
            return 0
        return self._expected - self.image + image - self.limit
