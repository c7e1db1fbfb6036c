"""Coordinate spaces of the models, and the size of the picture that each model sees."""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.agent.actions import Point
from app.errors import ActionOutOfBounds

Size = tuple[int, int]
"""Width and height in pixels."""
_UNKNOWN = 100_000
_DECIMALS = 3
"""Decimals of a thousandth that are kept: enough to tell any two pixels of a screen apart."""


@dataclass(frozen=True)
class Space:
    """The coordinates of a model: 0 at the left or upper edge, `width` and `height` at the other.

    With `pixels` they count the pixels of the picture that was sent, and mean a pixel's centre.
    """

    width: int = 1000
    height: int = 1000
    pixels: bool = False

    def point(self, x: float, y: float) -> Point:
        """Return the point in thousandths, as actions use it. Raises ActionOutOfBounds."""
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
    """The pixels of a picture; of an arbitrary picture if its size is no longer known."""
    width, height = sent or (_UNKNOWN, _UNKNOWN)
    return Space(width, height, pixels=True)


def _shown(value: float) -> str:
    return f"{value:.6g}"


@dataclass(frozen=True)
class PictureRule:
    """The pictures that a model family sees unscaled: sides of whole cells, one token per cell, and
    `min_cells` to `max_cells` cells in total."""

    cell: int
    min_cells: int
    max_cells: int

    def size(self, width: int, height: int) -> Size:
        """Return the size to send for a screen of this size, close to its shape in whole cells.

        A picture that already has this size is unchanged.
        """
        columns, rows = max(1, round(width / self.cell)), max(1, round(height / self.cell))
        if columns * rows > self.max_cells:
            shrink = math.sqrt(self.max_cells / (width * height))
            columns, rows = max(1, int(width * shrink)), max(1, int(height * shrink))
            # At least one cell, even for a strip that is too long for its width.
            columns, rows = min(columns, self.max_cells), min(rows, self.max_cells // columns)
        elif columns * rows < self.min_cells:
            grow = math.sqrt(self.min_cells / (width * height))
            columns, rows = math.ceil(width * grow), math.ceil(height * grow)
        return columns * self.cell, rows * self.cell

    def tokens(self, width: int, height: int) -> int:
        """Context tokens used by a picture of this size in pixels."""
        cells = max(1, round(width / self.cell)) * max(1, round(height / self.cell))
        return min(max(cells, self.min_cells), self.max_cells)
