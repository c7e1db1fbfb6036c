"""Fingers on the screen over time: events in, taps, long presses, scrolls and swipes out.

A finger that stays is a long press while it is still down. A list follows a finger that moves, and
goes on moving if the finger is lifted in motion; after a rest it stops (`VelocityTracker`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.virtual_phone import fingers
from app.virtual_phone.fingers import HOLD_MS, TOUCH_SLOP, Point

if TYPE_CHECKING:
    from app.virtual_phone.surface import Surface

MOST = 10
_STOPPED_S = 0.04
"""A finger that has not moved for this long has stopped."""
_FLING = 0.25
"""Seconds of the last movement that a flung list goes on."""


@dataclass
class _Finger:
    start: Point
    at: Point
    begun: float
    moved_at: float
    speed: float = 0.0
    """Pixels per second down the screen, of the last movement."""
    far: bool = False
    """Whether it has left the place where it went down."""
    held: bool = False
    scrolled: float = 0.0
    timer: asyncio.TimerHandle | None = None


class Touches:
    """The fingers on one phone's screen. Events of a finger that is not down are ignored."""

    def __init__(self, phone: Surface, clock: Callable[[], float]) -> None:
        self._phone = phone
        self._clock = clock
        self._down: dict[int, _Finger] = {}

    def down(self, finger: int, point: Point) -> bool:
        """A finger goes down. False if there are too many."""
        if finger in self._down:
            self._phone.log("touch", problem="the finger is down already", x=point[0], y=point[1])
            self.cancel(finger)
        if len(self._down) >= MOST:
            return False
        now = self._clock()
        new = self._down[finger] = _Finger(point, point, now, now)
        loop = asyncio.get_running_loop()
        new.timer = loop.call_later(HOLD_MS / 1000, self._hold, new)
        return True

    def move(self, finger: int, point: Point) -> None:
        now = self._down.get(finger)
        if now is None:
            self._phone.log("touch", problem="no finger moves", x=point[0], y=point[1])
            return
        moved = point[1] - now.at[1]
        if point != now.at:
            time = self._clock()
            now.speed = moved / max(time - now.moved_at, 0.001)
            now.moved_at = time
        now.at = point
        if not now.far and _distance(now) > TOUCH_SLOP:
            now.far = True
            _stop(now)
        if now.far and not now.held and self._scrolls(now):
            by = now.start[1] - point[1]
            fingers.scroll(self._phone, now.start, by - now.scrolled)
            now.scrolled = by
            self._phone.changed()

    def up(self, finger: int, point: Point) -> None:
        """A finger is lifted, which completes its gesture."""
        now = self._down.get(finger)
        if now is None:
            self._phone.log("touch", problem="no finger is lifted", x=point[0], y=point[1])
            return
        rested = self._clock() - now.moved_at >= _STOPPED_S
        self.move(finger, point)
        del self._down[finger]
        _stop(now)
        ms = round((self._clock() - now.begun) * 1000)
        if not now.far:
            if now.held:
                (x1, y1), (x2, y2) = now.start, point
                self._phone.log("swipe", x1=x1, y1=y1, x2=x2, y2=y2, duration_ms=ms)
            else:
                fingers.tap(self._phone, *now.start)
        elif now.scrolled:
            (x1, y1), (x2, y2) = now.start, point
            self._phone.log("swipe", x1=x1, y1=y1, x2=x2, y2=y2, duration_ms=ms)
            if not rested:
                fingers.scroll(self._phone, now.start, -now.speed * _FLING)
            self._phone.changed()
        else:
            fingers.swipe(self._phone, now.start, point, ms)

    def cancel(self, finger: int) -> None:
        """The finger's gesture ends without effect."""
        if (now := self._down.pop(finger, None)) is not None:
            _stop(now)

    def cancel_all(self) -> None:
        """Every finger is gone, with the program that made them."""
        for finger in list(self._down):
            self.cancel(finger)

    def _hold(self, finger: _Finger) -> None:
        finger.held = True
        self._phone.log("hold", x=finger.start[0], y=finger.start[1])
        if self._phone.state.power.awake:
            fingers.hold(self._phone, finger.start)
            self._phone.changed()

    def _scrolls(self, finger: _Finger) -> bool:
        """Whether a list under the finger follows it."""
        across = abs(finger.at[0] - finger.start[0]) > abs(finger.at[1] - finger.start[1])
        return (finger.scrolled != 0 or not across) and fingers.scrolls(self._phone, finger.start)


def _distance(finger: _Finger) -> float:
    return max(abs(finger.at[0] - finger.start[0]), abs(finger.at[1] - finger.start[1]))


def _stop(finger: _Finger) -> None:
    if finger.timer is not None:
        finger.timer.cancel()
