"""Waiting until the screen is still instead of sleeping.

Existing clients sleep a second or more after each action. Here two frames in a row that look the
same end the wait, within limits that depend on the action: a screen that was still all along costs
one more screenshot, an app that starts gets the seconds it needs.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from app.agent.actions import Action, Launch, Swipe, TypeText, Wait
from app.agent.ports import Device, Frame

PAUSE_S = 0.05
"""Between two looks; a transition of Android lasts some 300 ms, so it moves between them."""


@dataclass(frozen=True)
class Window:
    """When to look first after an action, and when to stop waiting, in seconds."""

    first_s: float
    last_s: float


USUAL = Window(0.03, 2.0)
"""Long enough for the phone to have begun its answer to a touch, and to have ended it."""

_WINDOWS: dict[type[Action], Window] = {
    Launch: Window(0.1, 5.0),  # a cold start shows its splash screen for seconds
    Swipe: Window(0.03, 3.0),  # a list rolls on after the finger has gone
    TypeText: Window(0.0, 1.0),
    Wait: Window(0.0, 0.0),  # the model has waited as long as it wanted
}


def window_after(action: Action) -> Window:
    return _WINDOWS.get(type(action), USUAL)


async def still_frame(device: Device, window: Window) -> Frame:
    """A frame that looks like the one before it, or the last one when the window closes.

    Raises DeviceError as `Device.screenshot` does.
    """
    end = time.monotonic() + window.last_s
    await asyncio.sleep(window.first_s)
    frame = await device.screenshot()
    while time.monotonic() < end:
        await asyncio.sleep(PAUSE_S)
        later = await device.screenshot()
        if later.fingerprint() == frame.fingerprint():
            return later
        frame = later
    return frame
