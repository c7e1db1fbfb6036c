"""Blocking work in threads of our own: what it gives, what it raises, and when nobody waits."""

from __future__ import annotations

import asyncio
import threading

import pytest

from app.adb.threads import run_in_thread


async def test_the_result_and_the_error_of_the_work_arrive() -> None:
    def fail() -> int:
        raise ValueError("no")

    assert await run_in_thread(lambda: 5) == 5
    with pytest.raises(ValueError, match="no"):
        await run_in_thread(fail)


async def test_work_that_nobody_waits_for_any_more_ends_unheard() -> None:
    go, ended = threading.Event(), asyncio.Event()
    loop, faults = asyncio.get_running_loop(), list[object]()
    loop.set_exception_handler(lambda _, context: faults.append(context))

    def work() -> None:
        go.wait(10)
        loop.call_soon_threadsafe(ended.set)
        raise ValueError("late")

    future = run_in_thread(work)
    future.cancel()
    go.set()
    await asyncio.wait_for(ended.wait(), 10)
    await run_in_thread(lambda: None)  # of the same loop: what was said before has been heard
    assert future.cancelled()
    assert faults == []
