"""How full the context is, by the engine's own counts.

Every reply tells how many tokens its prompt had and how many it has itself; the next prompt is the
old one, plus the reply, plus one more line of text, because the image of a turn leaves when the
next one comes. So the budget needs no tokenizer of its own, and is exact but for that line.
"""

from __future__ import annotations

from dataclasses import dataclass

NEXT_TURN = 96
"""Tokens of a user turn without its image: the screen info, a line of feedback, the template."""
MAX_RESERVE_SHARE = 4
"""At most a quarter of the context is kept free for the reply."""
_CELL = 28
_MIN_IMAGE, _MAX_IMAGE = 8, 4096


def image_tokens(width: int, height: int) -> int:
    """Tokens of an image of so many pixels in a GLM-4V engine.

    Cells of 28 x 28 pixels, sides rounded to whole cells, between 8 and 4096 of them (llama.cpp's
    clip.cpp for Glm4v): 1080x2400 gives 3354.
    """
    cells = max(1, round(width / _CELL)) * max(1, round(height / _CELL))
    return min(max(cells, _MIN_IMAGE), _MAX_IMAGE)


@dataclass
class ContextBudget:
    """`size` tokens of context, 0 when it is not known; `reply` the most that a reply may take."""

    size: int
    reply: int
    image: int = 0
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
