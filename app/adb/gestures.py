"""Gestures: what a finger does over time, and the `input` commands that do about the same; pure.

Times are those of people and of Android's own limits: a tap is a touch of less than the long-press
timeout (400 to 500 ms, `ViewConfiguration`); two taps within 300 ms and at least 40 ms apart are a
double tap; a finger that has rested for 40 ms when it is lifted does not fling
(`VelocityTracker`, ASSUME_POINTER_STOPPED_TIME).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from app.errors import InputError

MIN_DRAG_MS = 1500
MAX_GESTURE_MS = 10_000
_TAP_MS = 50
_BETWEEN_TAPS_MS = 100
_STEP_MS = 12
"""Between two moves of a finger: a touch panel reports 60 to 120 times a second."""
_REST_MS = 100
_LONG_PRESS_MS = 700
"""What `draganddrop` and every phone take for a long press, with something to spare."""

Phase = Literal["down", "move", "up"]


@dataclass(frozen=True, slots=True)
class Touch:
    """A finger's event, `at_ms` after the beginning of its gesture, in pixels of the display."""

    at_ms: float
    phase: Phase
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Gesture:
    """`name` as in messages; `touches` in the order of their times; `commands` for `input`."""

    name: str
    touches: tuple[Touch, ...]
    commands: tuple[tuple[str, ...], ...]


def tap(x: int, y: int) -> Gesture:
    _check(x, y)
    return Gesture("tap", tuple(_tap(0, x, y)), (("input", "tap", str(x), str(y)),))


def double_tap(x: int, y: int) -> Gesture:
    """Two taps; as `input` in one command line, because two would be too far apart in time."""
    _check(x, y)
    second = _tap(_TAP_MS + _BETWEEN_TAPS_MS, x, y)
    command = ("input", "tap", str(x), str(y))
    return Gesture("double tap", (*_tap(0, x, y), *second), (command, command))


def long_press(x: int, y: int, ms: int) -> Gesture:
    """A touch that stays for `ms`, at most MAX_GESTURE_MS."""
    _check(x, y)
    _check_duration(ms, 1)
    touches = Touch(0, "down", x, y), Touch(ms, "up", x, y)
    return Gesture("long press", touches, (_command("swipe", x, y, x, y, ms),))


def swipe(x1: int, y1: int, x2: int, y2: int, ms: int, *, height: int = 0) -> Gesture:
    """A finger from one point to another in `ms`, at most MAX_GESTURE_MS.

    A vertical one ends with a rest, so that a list stops under the finger. A sideways one does not:
    it turns a page or throws a card away, as one from the edge of a screen of `height` pixels opens
    what is behind the edge; there a rest means something else.
    """
    _check(x1, y1, x2, y2)
    _check_duration(ms, 1)
    sideways = abs(x2 - x1) >= abs(y2 - y1)
    from_edge = bool(height) and not height // 20 <= y1 < height - height // 20
    rest = 0 if sideways or from_edge else min(_REST_MS, ms / 2)
    touches = [Touch(0, "down", x1, y1), *_moves(0, ms - rest, (x1, y1), (x2, y2))]
    if rest:
        # A finger at rest still reports: without, some lists extrapolate its last movement.
        touches.append(Touch(ms - rest / 2, "move", x2, y2))
    touches.append(Touch(ms, "up", x2, y2))
    return Gesture("swipe", tuple(touches), (_command("swipe", x1, y1, x2, y2, ms),))


def drag(x1: int, y1: int, x2: int, y2: int, ms: int) -> Gesture:
    """Hold the item at the first point, and release it at the second.

    `ms` includes the long press at the beginning; below MIN_DRAG_MS no time is left for moving.
    """
    _check(x1, y1, x2, y2)
    if not MIN_DRAG_MS <= ms <= MAX_GESTURE_MS:
        raise InputError(f"a drag takes {MIN_DRAG_MS} to {MAX_GESTURE_MS} ms")
    moves = _moves(_LONG_PRESS_MS, ms - _REST_MS, (x1, y1), (x2, y2))
    touches = Touch(0, "down", x1, y1), *moves, Touch(ms, "up", x2, y2)
    return Gesture("drag", touches, (_command("draganddrop", x1, y1, x2, y2, ms),))


def _tap(at_ms: float, x: int, y: int) -> tuple[Touch, Touch]:
    return Touch(at_ms, "down", x, y), Touch(at_ms + _TAP_MS, "up", x, y)


def _moves(
    begin_ms: float, end_ms: float, start: tuple[int, int], end: tuple[int, int]
) -> Iterator[Touch]:
    """Yield the moves at a steady speed, the last one at the end."""
    count = max(1, int((end_ms - begin_ms) / _STEP_MS))
    for number in range(1, count + 1):
        part = number / count
        yield Touch(
            begin_ms + (end_ms - begin_ms) * part,
            "move",
            round(start[0] + (end[0] - start[0]) * part),
            round(start[1] + (end[1] - start[1]) * part),
        )


def _command(name: str, *numbers: int) -> tuple[str, ...]:
    return ("input", name, *map(str, numbers))


def _check_duration(ms: int, least: int) -> None:
    if not least <= ms <= MAX_GESTURE_MS:
        raise InputError(f"a gesture takes {least} to {MAX_GESTURE_MS} ms, not {ms}")


def _check(*values: int) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InputError(f"{value!r} is not a coordinate; use whole pixels from 0 up")
