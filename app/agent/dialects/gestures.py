"""Swipes by direction. Each dialect says whether it means the finger's way or the content's."""

from __future__ import annotations

from app.agent.actions import Point, Swipe
from app.errors import ReplyUnparseable

_WAYS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
_OPPOSITE = {"up": "down", "down": "up", "left": "right", "right": "left"}
_LENGTH = 400
"""Thousandths of the screen: most of a page, so that nothing between two looks is passed over."""
_EDGE = 50
"""How near to an edge a finger goes: nearer, Android takes the gesture for itself."""


def finger_swipe(direction: object, start: Point | None = None) -> Swipe:
    """The finger goes that way, from `start` or across the middle of the screen.

    Raises ReplyUnparseable for what is no direction.
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
    """To see what is further that way, the finger goes the other way."""
    known = isinstance(direction, str) and _OPPOSITE.get(direction.strip().casefold())
    return finger_swipe(known or direction, start)


def _inside(value: float, step: int) -> float:
    return round(min(max(value, _EDGE), 1000 - _EDGE), 3) if step else value
