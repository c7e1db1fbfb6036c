"""Finds the text at a touched place, in the phone's own list of texts.

The list is flat and an app can fill it with anything, so nothing here makes more than one pass over
it, and every text is cut.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.agent.screen import ShownText

MAX_TEXT = 200
"""Characters kept of one text; labels are shorter."""
MAX_NEARBY = 12
PASSWORD = "Password"
"""The label given to a field that hides its text."""
_MAX_OWN = 4
"""Most texts in a touched box that form its label; with more it is a page, not a button."""
_PAGE = 0.5
"""The share of the screen from which on a box is a page and not a label."""
_ROW_GAP, _BELOW_GAP, _DIALOG_GAP = 0.25, 0.06, 0.4
"""How far a text may be from a touched place and still belong to it, as a share of the screen's
width (in a row) or height (below an icon, in a dialog)."""

Box = tuple[int, int, int, int]
Reach = Callable[[Box], float | None]
"""Distance of a text from a place in pixels; None if it does not belong to it."""


@dataclass(frozen=True)
class Touched:
    """`target` is the text under the finger, "" if there is none. `nearby` are the texts that
    belong to the place: those of the dialog or card around a known target, those next to or just
    below an unknown one."""

    target: str = ""
    nearby: tuple[str, ...] = ()


def touched(texts: Sequence[ShownText], x: int, y: int) -> Touched:
    """Return the text where a finger touches; x and y are pixels of a screenshot."""
    width, height = _extent(texts)
    place: ShownText | None = None
    named: ShownText | None = None
    for each in texts:
        area = _area(each.box)
        if not _holds(each.box, x, y) or not 0 < area < _PAGE * width * height:
            continue
        if each.clickable and (place is None or area < _area(place.box)):
            place = each
        if each.text and (named is None or area < _area(named.box)):
            named = each
    box = place.box if place is not None else (x, y, x, y)
    own = _inside(texts, box) if place is not None else []
    if own and len(own) <= _MAX_OWN:
        target = "\n".join(text.text[:MAX_TEXT] for text in own)[: 2 * MAX_TEXT]
    elif named is not None:
        own, target, box = [named], named.text[:MAX_TEXT], named.box
    else:
        target = ""
    if (named or place) and any(each.password for each in (named, place) if each):
        target = target or PASSWORD
    reach = _around(box, height) if target else _beside(box, width, height)
    return Touched(target, _nearest(texts, own if target else [], reach))


def focused(texts: Sequence[ShownText]) -> Touched:
    """Return the focused field: its text, or "Password" if it hides it; `nearby` are the texts next
    to it and above it."""
    field = next((each for each in texts if each.focused), None)
    if field is None:
        return Touched()
    _, height = _extent(texts)
    target = PASSWORD if field.password else field.text[:MAX_TEXT]
    return Touched(target, _nearest(texts, [field], _around(field.box, height / 4)))


def _extent(texts: Sequence[ShownText]) -> tuple[int, int]:
    return (
        max((each.box[2] for each in texts), default=0),
        max((each.box[3] for each in texts), default=0),
    )


def _inside(texts: Sequence[ShownText], box: Box) -> list[ShownText]:
    """Return the texts centred in a box, top to bottom; at most one more than a label can have."""
    inside = (each for each in texts if each.text and _holds(box, *_middle(each.box)))
    return heapq.nsmallest(_MAX_OWN + 1, inside, key=lambda each: (each.box[1], each.box[0]))


def _nearest(texts: Sequence[ShownText], own: Sequence[ShownText], reach: Reach) -> tuple[str, ...]:
    others = (each for each in texts if each.text and not any(each is mine for mine in own))
    near = ((distance, each) for each in others if (distance := reach(each.box)) is not None)
    nearest = heapq.nsmallest(MAX_NEARBY, near, key=lambda pair: pair[0])
    return tuple(each.text[:MAX_TEXT] for _, each in nearest)


def _around(box: Box, height: float) -> Reach:
    """Reach of the dialog or card around a label: close to it, above or below."""

    def distance(other: Box) -> float | None:
        gap = _gap(box[1], box[3], other[1], other[3])
        return gap if gap <= _DIALOG_GAP * height else None

    return distance


def _beside(box: Box, width: int, height: int) -> Reach:
    """Reach of an icon: its row, or just below it."""

    def distance(other: Box) -> float | None:
        across = _gap(box[0], box[2], other[0], other[2])
        down = _gap(box[1], box[3], other[1], other[3])
        in_row = down == 0 and across <= _ROW_GAP * width
        below = across == 0 and other[1] >= box[3] and down <= _BELOW_GAP * height
        return across + down if in_row or below else None

    return distance


def _gap(start: int, end: int, other_start: int, other_end: int) -> int:
    """Pixels between two intervals; 0 if they touch."""
    return max(other_start - end, start - other_end, 0)


def _holds(box: Box, x: int, y: int) -> bool:
    left, top, right, bottom = box
    return left <= x < right and top <= y < bottom


def _middle(box: Box) -> tuple[int, int]:
    return (box[0] + box[2]) // 2, (box[1] + box[3]) // 2


def _area(box: Box) -> int:
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)
