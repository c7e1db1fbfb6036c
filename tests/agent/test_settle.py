"""The wait for a still screen, on a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from app.agent import settle
from app.agent.actions import Launch, Tap, Wait
from app.agent.settle import APART_S, TOUCH, Window, still_frame, window_after
from tests.agent.doubles import PlainFrame, RememberingDevice


@dataclass
class Clock:
    now: float = 0.0
    naps: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


@dataclass
class MovingDevice(RememberingDevice):
    """Shows `frames` one after the other, and the last one for ever."""

    frames: list[bytes] = field(default_factory=list)
    looks: int = 0

    async def screenshot(self) -> PlainFrame:
        self.looks += 1
        index = min(self.looks, len(self.frames)) - 1
        return PlainFrame(content=self.frames[index])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(settle, "time", clock)
    monkeypatch.setattr(settle, "asyncio", clock)
    return clock


async def test_a_screen_that_changed_at_once_costs_one_more_look(clock: Clock) -> None:
    device = MovingDevice(frames=[b"new"])
    frame = await still_frame(device, TOUCH, b"old")
    assert (frame.png(), device.looks) == (b"png new", 2)
    assert clock.now <= APART_S


async def test_a_phone_that_is_slow_to_begin_gets_a_little_longer(clock: Clock) -> None:
    device = MovingDevice(frames=[b"old", b"old", b"old", b"new"])
    frame = await still_frame(device, TOUCH, b"old")
    assert (frame.png(), device.looks) == (b"png new", 5)


async def test_an_action_without_effect_is_not_waited_for_to_the_end(clock: Clock) -> None:
    device = MovingDevice(frames=[b"old"])
    await still_frame(device, TOUCH, b"old")
    assert TOUCH.begin_s <= clock.now < TOUCH.begin_s + 2 * APART_S


async def test_a_slow_screenshot_is_all_the_waiting_that_is_needed(clock: Clock) -> None:
    class SlowDevice(MovingDevice):
        async def screenshot(self) -> PlainFrame:
            clock.now += 0.3
            return await super().screenshot()

    device = SlowDevice(frames=[b"new"])
    await still_frame(device, TOUCH, b"old")
    assert (clock.naps, device.looks) == ([], 2)


async def test_an_animation_is_waited_for_and_its_end_is_what_is_seen(clock: Clock) -> None:
    device = MovingDevice(frames=[b"one", b"two", b"three", b"end"])
    frame = await still_frame(device, TOUCH)
    assert (frame.png(), device.looks) == (b"png end", 5)


async def test_a_screen_that_never_rests_is_taken_as_it_is(clock: Clock) -> None:
    device = MovingDevice(frames=[str(number).encode() for number in range(1000)])
    await still_frame(device, Window(0.0, 1.0))
    assert clock.now == pytest.approx(1.0, abs=0.1)


async def test_after_a_wait_one_look_is_enough(clock: Clock) -> None:
    device = MovingDevice(frames=[b"a", b"b"])
    await still_frame(device, window_after(Wait(seconds=2)))
    assert device.looks == 1


def test_an_app_that_starts_gets_longer_than_a_tap() -> None:
    assert window_after(Launch(app="Notes")).last_s > window_after(Tap(element=(1, 1))).last_s
