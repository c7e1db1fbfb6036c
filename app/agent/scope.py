"""The goals that a small model knows. Whoever gives it another one is told before the phone moves.

A model that was trained on a few goals does something for any other, too, and may call that a
success. So its goals are matched as whole sentences: one that asks for more is not among them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_PLACE = "{x}"


@dataclass(frozen=True)
class GoalKind:
    """Goals of one kind. `sentences` may have `{x}` for one of the `things`, each of which has its
    name for people and other names that the model knows."""

    title: str
    sentences: tuple[str, ...]
    things: Mapping[str, Sequence[str]]

    @property
    def example(self) -> str:
        """The first sentence, about the first thing."""
        return self.sentences[0].replace(_PLACE, next(iter(self.things), ""))

    def pattern(self) -> str:
        """A regular expression for all of its plain sentences."""
        names = [*self.things, *(name for others in self.things.values() for name in others)]
        thing = "|".join(re.escape(_plain(name)) for name in names)
        sentences = (
            f"(?:{thing})".join(re.escape(_plain(part, trim=False)) for part in each.split(_PLACE))
            for each in map(_plain_sentence, self.sentences)
        )
        return "|".join(sentences)


class Scope:
    """All goals that a model knows; without any kinds it may be given any goal."""

    def __init__(self, kinds: Sequence[GoalKind] = ()) -> None:
        self.kinds = tuple(kinds)
        self._known = re.compile("|".join(kind.pattern() for kind in kinds))

    def knows(self, goal: str) -> bool:
        """Whether the model was made for that goal."""
        return not self.kinds or self._known.fullmatch(_plain_sentence(goal)) is not None

    def told(self) -> str:
        """Why a goal is handed back, and what the model can do, in a sentence for people."""
        parts = (
            f"{kind.title.lower()} {', '.join(kind.things)}" if kind.things else kind.title.lower()
            for kind in self.kinds
        )
        return f"The model does not know this goal; it can only {', or '.join(parts)}."


def _plain_sentence(text: str) -> str:
    """Without case, width, doubled spaces, a mark at the end, and "please" around it."""
    plain = _plain(text).rstrip(".!?…。！？ ")
    return plain.removeprefix("please ").removesuffix(" please").strip()


def _plain(text: str, *, trim: bool = True) -> str:
    plain = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).casefold())
    return plain.strip() if trim else plain
