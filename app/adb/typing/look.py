"""A small grey picture of the screen, to see whether a typed text changed it; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """A small grey picture of the screen, row by row; `columns` per row."""

    cells: bytes
    columns: int

    def differs(self, other: Look, *, wider_than: int = 0) -> bool:
        """Whether the differing columns span more than `wider_than` columns."""
        if self.columns != other.columns or len(self.cells) != len(other.cells):
            return True
        pairs = enumerate(zip(self.cells, other.cells, strict=True))
        columns = {index % self.columns for index, (a, b) in pairs if a != b}
        return bool(columns) and max(columns) - min(columns) >= wider_than


Looking = Callable[[], Look | None]
"""Looks at the screen; returns None if it shows nothing: a secure window, a display that is off."""
