"""A job in the background goes on whatever happens in it, and says once what does."""

from __future__ import annotations

import asyncio
import logging

import pytest

from app import background
from app.background import Background, carried_through


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.001)


async def rounds_of(job: Background, done: asyncio.Event) -> None:
    job.start()
    async with asyncio.timeout(10):
        await done.wait()
    await job.close()


async def test_a_round_that_fails_is_tried_again_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    count, done = 0, asyncio.Event()

    async def round() -> float:
        nonlocal count
        count += 1
        if count < 6:
            raise OSError("the disk is full")
        done.set()
        return 60.0

    caplog.set_level(logging.INFO, "app.background")
    await rounds_of(Background("the test", round, 0.002), done)
    assert count == 6
    faults = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(faults) == 1
    assert "the disk is full" in faults[0].getMessage()
    assert "works again after 5 failures" in caplog.text


async def test_it_is_woken_early_and_closed_in_the_middle() -> None:
    count, news = 0, asyncio.Event()

    async def round() -> float:
        nonlocal count
        count += 1
        news.set()
        if count == 2:
            await asyncio.Event().wait()
        return 3600.0

    job = Background("the test", round)
    job.start()
    job.start()  # it runs already
    await news.wait()
    news.clear()
    job.wake()
    async with asyncio.timeout(10):
        await news.wait()
        await job.close()
    assert count == 2
    assert not job.running


def test_it_may_be_closed_after_its_event_loop() -> None:
    async def round() -> float:
        return 1.0

    job = Background("the test", round)

    async def start() -> None:
        job.start()
        await asyncio.sleep(0)

    asyncio.run(start())
    asyncio.run(job.close())


async def test_what_a_round_waits_for_may_be_cancelled_without_ending_the_job() -> None:
    count, done = 0, asyncio.Event()

    async def round() -> float:
        nonlocal count
        count += 1
        if count == 1:
            shared: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            shared.cancel()
            await shared
        done.set()
        return 60.0

    await rounds_of(Background("the test", round, 0.002), done)
    assert count == 2


async def test_what_is_carried_through_ends_before_the_caller_who_is_cancelled() -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), list[str]()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        done.append("whole")

    caller = asyncio.create_task(carried_through(work()))
    await begun.wait()
    caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert done == ["whole"]
