"""A film ends when its phone is gone, whatever the reason, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.api.live_screen import LiveScreens
from app.errors import DeviceNotFound
from tests.agent.doubles import PlainFrame


class Phone:
    """Shows one picture, and then fails."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault
        self.frames = [PlainFrame()]

    async def screenshot(self) -> PlainFrame:
        if not self.frames:
            raise self.fault
        return self.frames.pop()


@pytest.mark.parametrize("fault", [DeviceNotFound("gone"), RuntimeError("odd")])
async def test_a_film_whose_phone_fails_ends_for_all_who_watch(fault: Exception) -> None:
    phone: Any = Phone(fault)

    async def get(serial: str) -> Any:
        return phone

    screens = LiveScreens(get)

    async def watch() -> list[bytes]:
        return [part async for part in screens.watch("a", 100, 10)]

    async with asyncio.timeout(10):
        films = await asyncio.gather(watch(), watch())
    assert all(len(parts) <= 1 for parts in films)
    assert screens._films == {}
