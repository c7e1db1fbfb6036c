"""Watchers share what there is, and a task's picture goes first."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from app.glimpses import WORKING_AGE_S, WORKING_S, Glimpses


class Screen:
    """Takes a picture when it is let to; the pictures are numbers."""

    def __init__(self) -> None:
        self.now = 100.0
        self.begun = 0
        self.given_up = 0
        self.let = asyncio.Event()
        self._numbers = count(1)
        self.glimpses = Glimpses(self.take, lambda: self.now)

    async def take(self) -> int:
        self.begun += 1
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return next(self._numbers)

    def ask(self, max_age_s: float = 0.0) -> asyncio.Task[int]:
        return asyncio.create_task(self.glimpses.get(max_age_s))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_all_who_ask_together_share_one_picture() -> None:
    screen = Screen()
    asked = [screen.ask() for _ in range(100)]
    await settle()
    screen.let.set()
    assert set(await asyncio.gather(*asked)) == {1}
    assert screen.begun == 1


async def test_whoever_asks_gets_no_picture_from_before() -> None:
    screen = Screen()
    first = screen.ask()
    await settle()
    screen.now += 0.1
    later = screen.ask()
    await settle()
    screen.let.set()
    assert (await first, await later) == (1, 2)
    screen.now += 0.1
    assert await screen.ask(0.2) == 2
    assert await screen.ask(0.05) == 3


async def test_a_task_does_not_wait_for_the_watchers_picture() -> None:
    screen = Screen()
    watcher = screen.ask()
    await settle()

    async def tasks_own() -> int:
        return 77

    async with asyncio.timeout(5):
        assert await screen.glimpses.first(tasks_own) == 77
        assert await watcher == 77
    assert screen.given_up == 1


async def test_while_a_task_works_its_pictures_are_enough() -> None:
    screen = Screen()
    screen.let.set()

    async def tasks_own() -> int:
        return 77

    await screen.glimpses.first(tasks_own)
    screen.now += WORKING_AGE_S * 0.9
    assert await screen.ask() == 77
    screen.now += WORKING_AGE_S * 0.2
    assert await screen.ask() == 1  # the task takes its time
    screen.now += WORKING_S
    screen.let.clear()
    fresh = screen.ask()
    await settle()
    assert not fresh.done()  # it does nothing any more
    screen.let.set()
    assert await fresh == 2


async def test_a_watcher_waits_for_the_task_whose_picture_fails() -> None:
    screen, failing = Screen(), asyncio.Event()
    screen.let.set()

    async def fails() -> int:
        await failing.wait()
        raise OSError("gone")

    task = asyncio.create_task(screen.glimpses.first(fails))
    await settle()
    watcher = screen.ask()
    await settle()
    assert screen.begun == 0
    failing.set()
    with pytest.raises(OSError, match="gone"):
        await task
    assert await watcher == 1


async def test_a_fault_is_told_to_all_who_wait() -> None:
    async def fails() -> int:
        raise OSError("gone")

    glimpses = Glimpses(fails)
    found = await asyncio.gather(*(glimpses.get(0) for _ in range(3)), return_exceptions=True)
    assert [str(each) for each in found] == ["gone"] * 3


async def test_nothing_is_taken_when_nobody_looks_any_more() -> None:
    screen = Screen()
    watchers = [screen.ask(), screen.ask()]
    await settle()
    watchers[0].cancel()
    await settle()
    assert screen.given_up == 0
    watchers[1].cancel()
    await settle()
    assert screen.given_up == 1
