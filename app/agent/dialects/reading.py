"""Parses a reply once it is complete."""

from __future__ import annotations

from typing import Protocol

from app.agent.dialects.scan import MAX_REPLY, plain
from app.agent.dialects.space import Size
from app.agent.dialects.thought import ThoughtStream
from app.agent.step import Decision

_ENDS = (
    "</think>", "</thinking>", "</THINK>", "</TINK>", "<tool_call>", "<seed:tool_call>", "<action>",
    "\nAction:", "\nexplain:", "<|begin_of_box|>",
)  # fmt: skip
"""What ends the thought as it is shown to the person; nothing else depends on it."""


class Read(Protocol):
    def __call__(
        self, text: str, *, truncated: bool = False, sent: Size | None = None
    ) -> Decision: ...


class WholeReading:
    """See `Reading`. It is over early only if the reply exceeds MAX_REPLY."""

    def __init__(self, read: Read, sent: Size | None, closers: tuple[str, ...] = ()) -> None:
        self._closers = closers
        self._read = read
        self._sent = sent
        self._shown = ThoughtStream("<think>", _ENDS)
        self._reasoning: list[str] = []
        self._answer: list[str] = []
        self._length = 0
        self._only_reasoned = False

    @property
    def text(self) -> str:
        answer = "".join(self._answer)
        reasoning = "".join(self._reasoning)
        if self._only_reasoned or not reasoning:
            return reasoning or answer
        # All of it is thought, whatever tags it contains.
        return f"<think>{plain(reasoning)}</think>{answer}"

    @property
    def over(self) -> bool:
        return self._length > MAX_REPLY

    @property
    def behind(self) -> int:
        return self._length - MAX_REPLY if self.over else 0

    @property
    def closed(self) -> bool:
        return bool(self._closers) and plain(self.text).endswith(self._closers)

    def feed(self, piece: str, *, reasoning: bool = False) -> str:
        (self._reasoning if reasoning else self._answer).append(piece)
        self._length += len(piece)
        return piece if reasoning else self._shown.feed(piece)

    def decision(self, *, truncated: bool = False) -> Decision:
        """A reply that the engine marked as reasoning throughout is parsed as a reply; its own
        thought is not executed either."""
        reasoned = bool(self._reasoning) and not "".join(self._answer).strip()
        if reasoned and not truncated:
            decision = self._read("".join(self._reasoning), sent=self._sent)
            self._only_reasoned = True
            return decision
        return self._read(self.text, truncated=truncated, sent=self._sent)
