"""Pausing at every phase of a step."""

from __future__ import annotations

import asyncio

import pytest

from app.agent.control import Control


async def test_a_pause_ends_what_does_not_touch_the_phone_and_comes_back_after_it() -> None:
    told: list[bool] = []

    async def on_change(paused: bool) -> None:
        told.append(paused)

    control, begun, ended = Control(on_change), asyncio.Event(), asyncio.Event()

    async def work() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    async def loop() -> str:
        assert await control.unless_paused(work()) is None
        assert ended.is_set()
        await control.gate()
        return "went on"

    running = asyncio.create_task(loop())
    await begun.wait()
    await control.pause()
    assert told == [True]
    assert not running.done()
    control.resume()
    assert await running == "went on"
    assert told == [True, False]


async def test_work_that_ends_gives_its_result_or_its_error() -> None:
    async def fails() -> None:
        raise ValueError("broken")

    control = Control()
    assert await control.unless_paused(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ValueError, match="broken"):
        await control.unless_paused(fails())


async def test_cancelling_ends_the_work_too() -> None:
    control, begun, ended = Control(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.create_task(control.unless_paused(work()))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()


async def test_a_pause_while_the_loop_stands_is_there_at_once() -> None:
    control = Control()
    async with control.standing():
        await asyncio.wait_for(control.pause(), 5)


async def test_pause_resume_pause_before_the_gate_is_a_pause() -> None:
    control = Control()
    async with control.standing():
        await control.pause()
        control.resume()
        await control.pause()
    gate = asyncio.create_task(control.gate())
    await asyncio.wait_for(control.pause(), 5)
    assert not gate.done()
    control.resume()
    await asyncio.wait_for(gate, 5)


async def test_a_pause_that_is_taken_back_while_the_phone_is_touched_is_not_waited_for() -> None:
    control, touched = Control(), asyncio.Event()

    async def loop() -> None:
        await touched.wait()
        await control.gate()
        await asyncio.Event().wait()

    running = asyncio.create_task(loop())
    pausing = asyncio.create_task(control.pause())
    await asyncio.sleep(0)
    control.resume()
    touched.set()
    await asyncio.wait_for(pausing, 5)
    running.cancel()
