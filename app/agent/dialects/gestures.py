"""Swipes by direction. A dialect means either the finger's direction or the content's."""

from __future__ import annotations

from app.agent.actions import Point, Swipe
from app.errors import ReplyUnparseable

_WAYS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
_OPPOSITE = {"up": "down", "down": "up", "left": "right", "right": "left"}
_LENGTH = 400
"""Thousandths of the screen: most of a page, so that nothing is skipped between two looks."""
_EDGE = 50
"""Closest that a finger gets to an edge: closer, Android takes the gesture for itself."""


def finger_swipe(direction: object, start: Point | None = None) -> Swipe:
    """Move the finger in that direction, from `start` or across the middle of the screen.

    Raises ReplyUnparseable for an unknown direction.
    """
    way = _WAYS.get(direction.strip().casefold()) if isinstance(direction, str) else None
    if way is None:
        raise ReplyUnparseable("direction must be up, down, left or right")
    if start is None:
        half = _LENGTH // 2
        start = 500 - way[0] * half, 500 - way[1] * half
    ends = (_inside(at + step * _LENGTH, step) for at, step in zip(start, way, strict=True))
    x, y = ends
    return Swipe(start=start, end=(x, y))


def content_scroll(direction: object, start: Point | None = None) -> Swipe:
    """Scroll the content in that direction: the finger moves the opposite way."""
    known = isinstance(direction, str) and _OPPOSITE.get(direction.strip().casefold())
    return finger_swipe(known or direction, start)


def _inside(value: float, step: int) -> float:
    return round(min(max(value, _EDGE), 1000 - _EDGE), 3) if step else value
