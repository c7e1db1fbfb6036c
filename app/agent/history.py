"""The conversation with the model, and how much of it still fits into the context.

Every reply tells how many tokens its prompt had and how many it has itself; the next prompt is the
old one, plus the reply, plus one more turn of text, because the picture of a turn leaves when the
next one comes. So the budget needs no tokenizer of its own, and is exact but for that text.

When the context fills, the oldest exchanges become lines of a record. That changes the beginning of
the prompt, which the engine then has to evaluate again; so it is done rarely and by half of what
can go, and between two such moments the prompt only grows at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.agent.dialects.base import Conversation, Dialect, Exchange, Part, image_part
from app.agent.ports import Message

KEPT_EXCHANGES = 2
"""The last exchanges that are never folded: what was just done, and what came of it."""
RECORD_LINES = 40
NEXT_TURN = 96
"""Tokens of a user turn without its picture: the screen info, a line of feedback, the template."""
MAX_RESERVE_SHARE = 4
"""At most a quarter of the context is kept free for the reply."""
_CHARACTERS_A_TOKEN = 3


class History:
    """The exchanges of one task, oldest first, in one dialect.

    `earlier` are those of the task that it follows, or its own when it `goes_on`: then the goal
    stands in them already.
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
        """The text of the turn that is about to be asked; `told` as in `Dialect.user_text`."""
        return self.dialect.user_text(self._goal, app, told, first=not self._asked)

    def messages(self, text: str, png: bytes) -> list[Message]:
        """The request: what came before, then the turn with the screen and `text`."""
        return self._messages(text, image_part(png))

    def prefix(self) -> list[Message]:
        """What the next request begins with, whatever the next screen shows."""
        screen: Part = {"type": "text", "text": ""}  # stands for it, in the turn that is left out
        return [*self._messages("", screen)[:-1], {"role": "user", "content": ""}]

    def _messages(self, text: str, picture: Part) -> list[Message]:
        gone = [f"({self._dropped} steps before these)"] if self._dropped else []
        record = [*gone, *self._record]
        said = Conversation(self._system, self._goal, self.exchanges, record)
        return self.dialect.messages(said, text, picture)

    @property
    def gathers_pictures(self) -> bool:
        """Whether there is room for the picture of the turn that is asked beside the next one."""
        kept = sum(exchange.picture is not None for exchange in self.exchanges)
        return kept < self.dialect.pictures - 1

    def answered(
        self,
        user: str,
        assistant: str,
        summary: str = "",
        tokens: int = 0,
        png: bytes | None = None,
    ) -> None:
        """The turn was answered; `png` is the picture that was asked about."""
        keeps = self.dialect.pictures - 1
        picture = image_part(png) if png is not None and keeps > 0 else None
        goal = not self._asked
        self.exchanges.append(Exchange(user, assistant, summary, tokens, goal, picture))
        for at in range(len(self.exchanges) - keeps):
            if self.exchanges[at].picture is not None:
                self.exchanges[at] = replace(self.exchanges[at], picture=None)
        self._asked += 1

    def weigh_last(self, tokens: int) -> None:
        """What the last exchange takes in the context, once the engine has counted it."""
        if self.exchanges:
            self.exchanges[-1] = replace(self.exchanges[-1], tokens=tokens)

    def take_back(self) -> None:
        """Forget the last exchange, as if it had not been asked."""
        self.exchanges.pop()
        self._asked -= 1

    def fold(self, tokens: int) -> int:
        """Turn the oldest exchanges into lines of the record, until at least `tokens` are freed and
        half of what can go is gone; returns the tokens freed, 0 when nothing can be folded.

        They become one exchange: the text that holds the goal, and the reply of the last of them,
        so that user and assistant still take turns.
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
    """`size` tokens of context, 0 when it is not known; `reply` the most that a reply may take."""

    size: int
    reply: int
    image: int = 0
    """Tokens of the image that leaves with the next turn."""
    last_image: int = 0
    """Tokens of the last image."""
    _expected: int = 0

    @property
    def limit(self) -> int:
        """The largest prompt that leaves room for a reply."""
        return self.size - min(self.reply, self.size // MAX_RESERVE_SHARE)

    def counted(self, prompt: int, completion: int, image: int) -> None:
        """The engine's counts of the turn that was just answered; 0 where it told none."""
        if prompt:
            self._expected, self.image = prompt + completion + NEXT_TURN, image

    def freed(self, tokens: int) -> None:
        """So many were folded away."""
        self._expected = max(0, self._expected - tokens)

    def excess(self, image: int) -> int:
        """By how much the next prompt, with an image of so many tokens, would pass the limit."""
        if not self.size or not self._expected:
            return 0
        return self._expected - self.image + image - self.limit
