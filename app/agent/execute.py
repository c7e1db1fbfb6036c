"""Carries out actions as calls on the phone; the only place where thousandths become pixels."""

from __future__ import annotations

import asyncio
import math

from app.agent.actions import (
    Action,
    Back,
    DoubleTap,
    Drag,
    Home,
    Key,
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
from app.agent.settle import TOUCH, still_frame

SWIPE_MS = 600
"""Slow enough that a list follows the finger instead of being flung, fast enough to be a swipe."""


async def execute(action: Action, device: Device, frame: Frame) -> str:
    """Carry out an action on the phone and return by what; `frame` is what the model saw.

    Raises DeviceError. Actions that do not touch the phone belong to the loop and are rejected with
    ValueError.
    """
    match action:
        case Tap():
            return await device.tap(*to_pixels(action.element, frame))
        case DoubleTap():
            return await device.double_tap(*to_pixels(action.element, frame))
        case LongPress():
            return await device.long_press(*to_pixels(action.element, frame), ms=action.ms)
        case Swipe():
            start, end = to_pixels(action.start, frame), to_pixels(action.end, frame)
            return await device.swipe(*start, *end, duration_ms=SWIPE_MS)
        case Drag():
            return await device.drag(*to_pixels(action.start, frame), *to_pixels(action.end, frame))
        case TypeText():
            return await _type(action, device, frame)
        case Key():
            return await device.press(action.key)
        case Launch():
            await device.launch(action.app)
            return ""
        case Back():
            return await device.back()
        case Home():
            return await device.home()
        case Wait():
            await asyncio.sleep(action.seconds)
            return ""
        case _:
            raise ValueError(f"{action.kind} is not carried out on the phone")


async def _type(action: TypeText, device: Device, frame: Frame) -> str:
    if action.element is not None:
        await device.tap(*to_pixels(action.element, frame))
        # The field has the focus once the screen shows its cursor or the keyboard.
        await still_frame(device, TOUCH, frame.fingerprint())
    means = await device.type_text(action.text, clear=action.clear)
    if action.submit:
        await device.press("enter")
    return means


def to_pixels(point: Point, frame: Frame) -> tuple[int, int]:
    """Convert thousandths to pixels of the frame, which is the phone's coordinate space."""
    return _pixel(point[0], frame.width), _pixel(point[1], frame.height)


def _pixel(thousandths: float, size: int) -> int:
    return min(math.floor(thousandths * size / 1000), size - 1)
