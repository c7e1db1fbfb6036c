"""Eight phones driven at once: each does what it was told, and nothing of what the others were.

A twin of each phone, in this process, gets the same actions; in the end the states must be equal.
`PHONEPILOT_TEST_ACTIONS=1000` makes it long.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice

import psutil
import pytest

from app.adb.device import Device
from app.adb.fleet import Fleet
from app.virtual_phone.phone import KEY_BACK, KEY_HOME, Phone
from tests.phones import PhoneProcess, phone_process

PHONES = 8
ACTIONS = int(os.environ.get("PHONEPILOT_TEST_ACTIONS", "60"))
GROWTH = 1.25
"""How much larger the process may be after the second half than after the first, when the caches of
the twins are full; each frame that leaks is 8 MB."""


def tap(x: int, y: int) -> Move:
    return Move(lambda device: device.tap(x, y), lambda phone: phone.tap(x, y))


def swipe(x: int, y: int, x2: int, y2: int) -> Move:
    return Move(
        lambda device: device.swipe(x, y, x2, y2, 300), lambda phone: phone.swipe(x, y, x2, y2, 300)
    )


def launch(package: str) -> Move:
    return Move(lambda device: device.launch(package), lambda phone: phone.launch(package))


@dataclass(frozen=True)
class Move:
    """One action on the real way and the same on the twin."""

    real: Callable[[Device], Awaitable[object]]
    twin: Callable[[Phone], object]


def moves(choose: random.Random) -> Iterator[Move]:
    """Random things that a person may do, wild taps included."""
    while True:
        x, y = choose.randrange(1080), choose.randrange(2400)
        x2, y2 = choose.randrange(1080), choose.randrange(2400)
        package = choose.choice(("com.android.settings", "org.phonepilot.notes"))
        yield choose.choice(
            (
                tap(x, y),
                tap(x, y),
                swipe(x, y, x2, y2),
                Move(lambda d: d.back(), lambda p: p.press_key(KEY_BACK)),
                Move(lambda d: d.home(), lambda p: p.press_key(KEY_HOME)),
                launch(package),
                Move(lambda d: d.screenshot(), lambda p: None),
            )
        )


async def drive(device: Device, twin: Phone, stream: Iterator[Move]) -> None:
    for move in islice(stream, ACTIONS // 2):
        await move.real(device)
        move.twin(twin)


@pytest.mark.timeout(900)
async def test_eight_phones_do_not_mix(fleet: Fleet) -> None:
    with ExitStack() as running:
        seeds = range(100, 100 + PHONES)
        phones: list[PhoneProcess] = [running.enter_context(phone_process(seed=s)) for s in seeds]
        twins = [Phone(seed) for seed in seeds]
        devices = [await fleet.connect(phone.serial) for phone in phones]
        streams = [moves(random.Random(f"moves {seed}")) for seed in seeds]
        sizes = []
        for _half in range(2):
            async with asyncio.TaskGroup() as group:
                for device, twin, stream in zip(devices, twins, streams, strict=True):
                    group.create_task(drive(device, twin, stream))
            sizes.append(psutil.Process().memory_info().rss)
        for phone, twin in zip(phones, twins, strict=True):
            assert phone.state() == twin.state.model_dump(mode="json")
        for device in devices:
            await fleet.disconnect(device.serial)
    assert sizes[1] < GROWTH * sizes[0], [size >> 20 for size in sizes]
