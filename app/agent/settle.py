"""Waiting until the screen is still instead of sleeping."""

from __future__ import annotations

import asyncio
import time

from app.agent.ports import Device, Frame

MAXIMUM_S = 2.0
PAUSE_S = 0.05


async def still_frame(device: Device, maximum_s: float = MAXIMUM_S) -> Frame:
    """A frame that equals the one before it, or the last one after `maximum_s` seconds.

    Raises DeviceError as `Device.screenshot` does.
    """
    end = time.monotonic() + maximum_s
    frame = await device.screenshot()
    while time.monotonic() < end:
        await asyncio.sleep(PAUSE_S)
        later = await device.screenshot()
        if later.fingerprint() == frame.fingerprint():
            return later
        frame = later
    return frame
