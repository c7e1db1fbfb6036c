"""Who sees what of a phone's screen, and what it costs: one picture for all who watch."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import count
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

    async def glimpse(self, max_age_s: float) -> PlainFrame:
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


@dataclass(frozen=True, eq=False)
class CountedFrame(PlainFrame):
    """Counts in `encoded` how often it was made a JPEG, by size."""

    encoded: Counter[tuple[bytes, int]] = field(default_factory=Counter)

    def jpeg(self, max_side: int, quality: int = 80) -> bytes:
        self.encoded[self.content, max_side] += 1
        return f"jpeg {max_side} ".encode() + self.content


class ChangingPhone:
    """Shows another picture at each look."""

    def __init__(self) -> None:
        self.looks = count()
        self.taken = 0
        self.encoded: Counter[tuple[bytes, int]] = Counter()

    async def glimpse(self, max_age_s: float) -> CountedFrame:
        self.taken += 1
        return CountedFrame(content=b"%d" % next(self.looks), encoded=self.encoded)


async def test_all_who_watch_share_each_picture_and_each_size_of_it() -> None:
    phone: Any = ChangingPhone()

    async def get(serial: str) -> Any:
        return phone

    async def phone_of(serial: str) -> str:
        return "the same phone"

    screens = LiveScreens(get, phone_of)

    async def watch(serial: str, max_side: int, fps: float) -> list[bytes]:
        watching: Any = screens.watch(serial, max_side, fps)
        async with aclosing(watching) as parts:
            return [await anext(parts) for _ in range(4)]

    async with asyncio.timeout(20):
        films = await asyncio.gather(
            *(watch(route, side, 10) for route in ("usb", "wifi") for side in (320, 330, 800))
        )
    assert phone.taken <= 8  # not 6 times as many
    assert all(len(set(parts)) == 4 for parts in films)
    assert {side for _, side in phone.encoded} == {320, 800}
    assert set(phone.encoded.values()) == {1}
    taken = phone.taken
    await asyncio.sleep(0.3)
    assert (phone.taken, screens._films) == (taken, {})  # nobody looks: nothing is taken


async def test_what_was_seen_before_a_task_with_secrets_began_is_not_shown_after() -> None:
    plain: Any = ChangingPhone()
    discreet: Any = ChangingPhone()
    discreet.looks = count(1000)
    shown = [plain, discreet]

    async def get(serial: str) -> Any:
        return shown[0] if len(shown) == 1 else shown.pop(0)

    frame = await LiveScreens(get).frame("a")
    assert frame.jpeg(64) == b"jpeg 64 1000"
