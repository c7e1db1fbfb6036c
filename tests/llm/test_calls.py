"""Requests take turns by caller, and a phone comes back to the slot that has its prompt."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

from hypothesis import given
from hypothesis import strategies as st

from app.llm.slots import Calls


async def slot_of(calls: Calls, caller: str) -> int | None:
    async with calls.hold(caller) as slot:
        return slot


async def test_a_phone_comes_back_to_its_slot() -> None:
    calls = Calls(2, pinned=True)
    async with calls.hold("a") as first, calls.hold("b") as second:
        assert {first, second} == {0, 1}
    assert await slot_of(calls, "b") == second
    assert await slot_of(calls, "c") == first  # the one that was used longest ago
    assert await slot_of(calls, "a") == first


async def test_a_request_that_is_not_ours_to_change_leaves_the_choice_to_the_engine() -> None:
    calls = Calls(2, pinned=True)
    async with calls.hold("program", pin=False) as slot:
        assert slot is None
        assert await slot_of(calls, "a") is None  # that request may be in any slot
    assert await slot_of(calls, "a") == 0


async def test_one_caller_with_many_requests_delays_another_by_one() -> None:
    calls, order = Calls(1), []

    async def ask(caller: str) -> None:
        async with calls.hold(caller):
            order.append(caller)
            await asyncio.sleep(0)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(calls.hold("phone"))
        waiting = [asyncio.create_task(ask(caller)) for caller in ["program"] * 5 + ["phone"] * 2]
        await asyncio.sleep(0)
        assert (calls.running, calls.waiting, calls.full) == (1, 7, True)
    await asyncio.gather(*waiting)
    assert order == ["program", "phone", "program", "phone", "program", "program", "program"]
    assert (calls.running, calls.waiting) == (0, 0)


async def test_without_a_limit_nobody_waits() -> None:
    calls = Calls(0)
    async with calls.hold("a") as one, calls.hold("a") as two:
        assert (one, two, calls.full) == (None, None, False)


@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 4)), max_size=25),
)
def test_cancelled_requests_give_their_turn_on(
    limit: int, requests: list[tuple[str, bool, int]]
) -> None:
    async def run() -> None:
        calls, most = Calls(limit, pinned=True), 0

        async def ask(caller: str, rounds: int) -> None:
            nonlocal most
            async with calls.hold(caller):
                most = max(most, calls.running)
                for _ in range(rounds):
                    await asyncio.sleep(0)

        jobs = []
        for caller, cancelled, rounds in requests:
            job = asyncio.create_task(ask(caller, rounds))
            jobs.append(job)
            await asyncio.sleep(0)
            if cancelled:
                job.cancel()
        for job in jobs:
            with suppress(asyncio.CancelledError):
                await job
        assert (calls.running, calls.waiting) == (0, 0)
        assert most <= limit
        async with AsyncExitStack() as stack:
            held = [await stack.enter_async_context(calls.hold(str(n))) for n in range(limit)]
            assert sorted(slot for slot in held if slot is not None) == [*range(limit)]

    asyncio.run(run())
