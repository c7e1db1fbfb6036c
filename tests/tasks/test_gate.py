"""The gate between tasks and an exchange of the model."""

from __future__ import annotations

import asyncio

import pytest

from app.tasks.gate import Gate


async def test_nobody_enters_a_gate_that_was_closed_again_before_it_was_their_turn() -> None:
    gate, seen = Gate(), list[str]()

    async def task() -> None:
        async with gate.passing():
            seen.append("task")

    async with gate.closed():
        waiting = asyncio.create_task(task())
        await asyncio.sleep(0)
    async with gate.closed():  # at once, while the waiting task is only about to wake up
        seen.append("closed")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen.append("open again")
    await waiting
    assert seen == ["closed", "open again", "task"]


async def test_a_gate_opens_again_if_whoever_closes_it_gives_up() -> None:
    gate, closing = Gate(), asyncio.Event()

    async def close() -> None:
        closing.set()
        async with gate.closed():
            pytest.fail("somebody was inside")

    async with gate.passing():
        closer = asyncio.create_task(close())
        await closing.wait()
        closer.cancel()
        await asyncio.wait({closer})
        async with asyncio.timeout(5), gate.passing():
            assert gate.inside == 2
