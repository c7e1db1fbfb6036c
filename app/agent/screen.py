"""What a phone shows, as the loop needs it: a picture, the app in front, the texts.

Protocols only; `app/adb` has the real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Frame(Protocol):
    """One screenshot; sizes in pixels, `taken_at` in UTC."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def png(self) -> bytes: ...

    def scaled_png(self, width: int, height: int) -> bytes: ...

    def scaled_jpeg(self, width: int, height: int, quality: int) -> bytes: ...

    def jpeg(self, max_side: int, quality: int = 80) -> bytes: ...

    def masked(self, boxes: Sequence[tuple[int, int, int, int]]) -> Frame:
        """The screen with these boxes (left, top, right, bottom in pixels) painted over."""

    def fingerprint(self) -> bytes:
        """A small picture of the screen, for comparing two frames byte by byte."""


class Foreground(Protocol):
    @property
    def package(self) -> str: ...

    @property
    def activity(self) -> str: ...

    @property
    def label(self) -> str | None: ...


class ShownText(Protocol):
    """A text on the screen, or a control without text that can be touched; `box` is left, top,
    right and bottom in pixels."""

    @property
    def text(self) -> str: ...

    @property
    def box(self) -> tuple[int, int, int, int]: ...

    @property
    def password(self) -> bool: ...

    @property
    def focused(self) -> bool: ...

    @property
    def clickable(self) -> bool: ...
