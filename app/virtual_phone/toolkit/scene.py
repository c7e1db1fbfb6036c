"""A painted screen: the pixels, and the meaningful spots on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from app.virtual_phone.display import SCREEN, Canvas, Rect

Touch = Callable[[float, float], None]


@dataclass(frozen=True)
class Spot:
    """One place on the screen: its kind, its name, its value; for a field also its text, and
    whether it is for a password.

    `on_tap` and `on_hold` get the touched point, in screen pixels; a spot without them only
    describes what is there and lets the touch through to what is below. `on_swipe` gets the point
    where the finger was lifted.
    """

    kind: str
    name: str
    rect: Rect
    value: str = ""
    text: str = ""
    password: bool = False
    on_tap: Touch | None = None
    on_hold: Touch | None = None
    on_swipe: Touch | None = None


@dataclass
class Scene:
    """The result of painting. `clip` bounds the spots that are added while it is set."""

    canvas: Canvas
    spots: list[Spot] = field(default_factory=list)
    clip: Rect = SCREEN
    scroll_range: int = 0
    scrollable: Rect | None = None

    def add(
        self,
        kind: str,
        name: str,
        rect: Rect,
        value: str = "",
        *,
        text: str = "",
        password: bool = False,
        on_tap: Touch | None = None,
        on_hold: Touch | None = None,
        on_swipe: Touch | None = None,
    ) -> None:
        visible = rect.clip(self.clip)
        if visible.width > 0 and visible.height > 0:
            self.spots.append(
                Spot(kind, name, visible, value, text, password, on_tap, on_hold, on_swipe)
            )

    def at(self, x: float, y: float) -> list[Spot]:
        """The spots under a point, topmost first."""
        return [spot for spot in reversed(self.spots) if spot.rect.contains(x, y)]

    def find(self, kind: str, name: str) -> Spot | None:
        """The topmost spot of that kind and name, if it is on the screen."""
        return next((s for s in reversed(self.spots) if (s.kind, s.name) == (kind, name)), None)


class Widget(Protocol):
    """A piece of a screen. Heights and rectangles are in screen pixels."""

    def height(self, canvas: Canvas) -> int: ...

    def paint(self, scene: Scene, rect: Rect) -> None: ...
