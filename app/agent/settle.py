"""Waits until the screen is still, instead of sleeping.

Existing clients sleep a second or more after each action. Here the wait ends once two consecutive
screenshots are the same. They begin some time apart, so that moving content differs between them; a
phone that needs longer than that for a screenshot causes no extra wait. If nothing has changed
since before the action, the phone gets a little longer to begin: an app may be slow to respond to a
touch.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from app.agent.actions import (
    Action,
    Back,
    DoubleTap,
    Drag,
    Home,
    Key,
    Launch,
    LongPress,
    Swipe,
    Tap,
    TypeText,
    Wait,
)
from app.agent.ports import Device
from app.agent.screen import Frame

APART_S = 0.05
"""Seconds between the beginnings of two screenshots; an Android transition takes about 300 ms."""


@dataclass(frozen=True)
class Window:
    """`begin_s` is how long an unchanged screen may take to start changing, `last_s` when the wait
    ends at the latest; both in seconds after the action."""

    begin_s: float
    last_s: float


TOUCH = Window(0.25, 2.0)
NONE = Window(0.0, 0.0)

_WINDOWS: dict[type[Action], Window] = {
    Tap: TOUCH,
    DoubleTap: TOUCH,
    LongPress: TOUCH,
    Drag: TOUCH,
    Key: TOUCH,
    Back: TOUCH,
    Home: TOUCH,
    Launch: Window(0.8, 5.0),  # a cold start shows nothing for a while, then its splash screen
    Swipe: Window(0.25, 3.0),  # a list keeps scrolling after the finger is lifted
    Wait: NONE,  # the model has waited as long as it wanted
}
TYPED = Window(0.0, 1.0)
"""Typed text is known to have arrived before its action ends."""


def window_after(action: Action) -> Window:
    if isinstance(action, TypeText) and action.submit:
        return TOUCH
    return _WINDOWS.get(type(action), TYPED)


async def still_frame(device: Device, window: Window, before: bytes | None = None) -> Frame:
    """Return a frame that equals the one before it, or the last one when the window closes.

    `before` is the fingerprint of the screen on which the action was done. Raises DeviceError like
    `Device.screenshot`.
    """
    begun = time.monotonic()
    frame = await device.screenshot()
    looked = begun
    while (now := time.monotonic()) < begun + window.last_s:
        if (pause := looked + APART_S - now) > 0:
            await asyncio.sleep(pause)
        looked = time.monotonic()
        later = await device.screenshot()
        still = later.fingerprint() == frame.fingerprint()
        if still and (later.fingerprint() != before or looked >= begun + window.begin_s):
            return later
        frame = later
    return frame
