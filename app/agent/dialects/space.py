"""Where a model says that something is, and how large the picture is that it looks at."""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.agent.actions import Point
from app.errors import ActionOutOfBounds

Size = tuple[int, int]
"""Width and height in pixels."""
_UNKNOWN = 100_000
_DECIMALS = 3
"""Of a thousandth: too little to confuse two pixels of any screen."""


@dataclass(frozen=True)
class Space:
    """The numbers in which a model says where: 0 at the left or upper edge, `width` and `height`
    at the others.

    With `pixels` they count the pixels of the picture that was sent, and mean the middle of one.
    """

    width: int = 1000
    height: int = 1000
    pixels: bool = False

    def point(self, x: float, y: float) -> Point:
        """In thousandths, as actions have it. Raises ActionOutOfBounds for a point outside."""
        if not (0 <= x <= self.width and 0 <= y <= self.height):
            unit = "pixels of the picture" if self.pixels else "thousandths of the screen"
            raise ActionOutOfBounds(
                f"[{_shown(x)}, {_shown(y)}] is outside the screen: positions are {unit}, from "
                f"[0, 0] to [{self.width - 1}, {self.height - 1}]"
            )
        return self._thousandths(x, self.width), self._thousandths(y, self.height)

    def _thousandths(self, value: float, size: int) -> int | float:
        part = (min(value, size - 1) + (0.5 if self.pixels else 0)) * 1000 / size
        rounded = round(part, _DECIMALS)
        return int(rounded) if rounded.is_integer() else rounded


def pixels_of(sent: Size | None) -> Space:
    """The pixels of a picture; of any picture where nobody knows its size any more."""
    width, height = sent or (_UNKNOWN, _UNKNOWN)
    return Space(width, height, pixels=True)


def _shown(value: float) -> str:
    return f"{value:.6g}"


@dataclass(frozen=True)
class PictureRule:
    """The pictures that a family of models sees as they are sent: sides of whole cells, each of
    them one token, and between `min_cells` and `max_cells` cells in all."""

    cell: int
    min_cells: int
    max_cells: int

    def size(self, width: int, height: int) -> Size:
        """The picture to send for a screen of this size, of the same shape as near as cells allow.

        A picture of that size stays as it is.
        """
        columns, rows = max(1, round(width / self.cell)), max(1, round(height / self.cell))
        if columns * rows > self.max_cells:
            shrink = math.sqrt(self.max_cells / (width * height))
            columns, rows = max(1, int(width * shrink)), max(1, int(height * shrink))
            # One cell at least, even of a strip that is too long for its width.
            columns, rows = min(columns, self.max_cells), min(rows, self.max_cells // columns)
        elif columns * rows < self.min_cells:
            grow = math.sqrt(self.min_cells / (width * height))
            columns, rows = math.ceil(width * grow), math.ceil(height * grow)
        return columns * self.cell, rows * self.cell

    def tokens(self, width: int, height: int) -> int:
        """What a picture of so many pixels takes in the context."""
        cells = max(1, round(width / self.cell)) * max(1, round(height / self.cell))
        return min(max(cells, self.min_cells), self.max_cells)
