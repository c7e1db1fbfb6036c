"""An action to calls on the phone: the only place where thousandths become pixels."""

from __future__ import annotations

import asyncio

from app.agent.actions import (
    Action,
    Back,
    DoubleTap,
    Home,
    Launch,
    LongPress,
    Point,
    Swipe,
    Tap,
    TypeText,
    Wait,
)
from app.agent.ports import Device
from app.agent.screen import Frame

SWIPE_MS = 600
"""Slow enough that a list follows the finger instead of being flung, fast enough to be a swipe."""


async def execute(action: Action, device: Device, frame: Frame) -> None:
    """Carry out an action that acts on the phone; `frame` is what the model saw.

    Raises DeviceError. Actions that do not touch the phone are the loop's and are refused here.
    """
    match action:
        case Tap():
            await device.tap(*to_pixels(action.element, frame))
        case DoubleTap():
            await device.double_tap(*to_pixels(action.element, frame))
        case LongPress():
            await device.long_press(*to_pixels(action.element, frame))
        case Swipe():
            start, end = to_pixels(action.start, frame), to_pixels(action.end, frame)
            await device.swipe(*start, *end, duration_ms=SWIPE_MS)
        case TypeText():
            await device.type_text(action.text)
        case Launch():
            await device.launch(action.app)
        case Back():
            await device.back()
        case Home():
            await device.home()
        case Wait():
            await asyncio.sleep(action.seconds)
        case _:
            raise ValueError(f"{action.kind} is not carried out on the phone")


def to_pixels(point: Point, frame: Frame) -> tuple[int, int]:
    """Thousandths (0 to 999) to pixels of the frame, which is the coordinate space of the phone."""
    return point[0] * frame.width // 1000, point[1] * frame.height // 1000
