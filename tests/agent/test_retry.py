"""A request is repeated after an error that passes, and not after any other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from app.agent.conduct import Conduct
from app.agent.dialects.autoglm import AUTOGLM
from app.agent.history import History
from app.agent.loop import run_loop
from app.agent.outcome import Limits, Outcome
from app.agent.policy import VisionPolicy
from app.agent.retry import AT_ONCE, BACK_OFF_S, LONGEST_S, Retry, Wait
from app.errors import (
    EngineBrokeOff,
    EngineError,
    EngineKeyRefused,
    EngineNotReady,
    EngineOverloaded,
    EngineRateLimited,
    EngineRequestFailed,
    EngineServerError,
    EngineUnpaid,
    EngineUnreachable,
)
from tests.agent.doubles import Notebook, RememberingDevice, ScriptedChat

DONE = 'finish(message="done")'


def limited(seconds: float | None) -> EngineRateLimited:
    error = EngineRateLimited("rate limited")
    error.wait_s = seconds
    return error


class Asked(ScriptedChat):
    """Fails with the errors in order, then answers; keeps the waits instead of waiting."""

    def __init__(self, *errors: EngineError, pauses: Sequence[float] = BACK_OFF_S) -> None:
        super().__init__()
        self.errors = list(errors)
        self.pauses = pauses
        self.others: list[str] = []
        """The engines that can be asked instead."""
        self.slept: list[float] = []
        self.told: list[Wait] = []

    async def ask_once(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def switch(self, error: EngineError) -> str:
        return self.others.pop(0) if self.others else ""

    async def answer(self) -> str:
        """What a task gets that asks."""
        return await self.retry()(self, self.ask_once)

    def retry(self) -> Retry:
        return Retry(self.told.append, self.sleep)


async def test_the_pauses_double() -> None:
    asked = Asked(limited(None), EngineOverloaded("x"), EngineServerError("x"), EngineBrokeOff("x"))
    assert await asked.answer() == "answer"
    assert asked.slept == [2.0, 4.0, 8.0, 16.0]
    assert [wait.error.code for wait in asked.told][:2] == [
        "engine_rate_limited",
        "engine_overloaded",
    ]


async def test_the_host_names_the_pause_and_the_person_reads_it() -> None:
    asked = Asked(limited(20.0), limited(0.0))
    await asked.answer()
    assert asked.slept == [20.0, 4.0]  # "at once" is answered with our own pause
    assert asked.told[0].text == "The engine asks to wait 20 s: rate limited"
    assert asked.told[1].text == "The engine is asked again in 4 s: rate limited"


async def test_an_error_that_stays_is_raised_after_the_last_pause() -> None:
    asked = Asked(*(EngineUnreachable(str(n)) for n in range(9)))
    with pytest.raises(EngineUnreachable, match="4"):
        await asked.answer()
    assert len(asked.slept) == len(BACK_OFF_S)


@pytest.mark.parametrize(
    "error",
    [
        EngineUnpaid("no money"),
        EngineKeyRefused("no"),
        EngineRequestFailed("no"),
        EngineNotReady("stopped"),
        limited(LONGEST_S + 1),
    ],
)
async def test_what_does_not_pass_is_raised_at_once(error: EngineError) -> None:
    asked = Asked(error)
    with pytest.raises(type(error)):
        await asked.answer()
    assert asked.slept == []


async def test_an_engine_of_our_own_is_asked_again_without_a_pause() -> None:
    asked = Asked(EngineUnreachable("gone"), pauses=AT_ONCE)
    assert await asked.answer() == "answer"
    assert asked.slept == [0.0]


async def test_another_engine_is_asked_when_the_first_is_lost_and_the_person_is_told() -> None:
    asked = Asked(EngineUnpaid("no money"), EngineKeyRefused("no"))
    asked.others = ["second", "third"]
    assert await asked.answer() == "answer"
    assert asked.slept == []
    assert [wait.text for wait in asked.told] == [
        "The engine second is asked instead: no money",
        "The engine third is asked instead: no",
    ]


def running(chat: ScriptedChat, retry: Retry, timeout_s: float) -> asyncio.Task[Outcome]:
    policy = VisionPolicy(chat, History(AUTOGLM, "system", "goal"), None, retry=retry)
    limits = Limits(max_steps=3, timeout_s=timeout_s)
    return asyncio.create_task(run_loop(RememberingDevice(), policy, Notebook(), limits, Conduct()))


async def test_the_time_of_the_task_ends_a_wait() -> None:
    async with asyncio.timeout(5):
        outcome = await running(ScriptedChat(limited(200.0), DONE), Retry(), 0.05)
    assert outcome.reason == "time_budget"


async def test_a_cancellation_ends_a_wait_at_once() -> None:
    waits = asyncio.Event()
    retry = Retry(on_wait=lambda wait: waits.set())
    task = running(ScriptedChat(limited(200.0), DONE), retry, 600.0)
    async with asyncio.timeout(5):
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_task_goes_on_after_a_wait() -> None:
    asked = Asked()
    chat = ScriptedChat(limited(20.0), EngineServerError("x"), DONE)
    chat.pauses = BACK_OFF_S
    outcome = await running(chat, asked.retry(), 60.0)
    assert outcome.reason == "finished"
    assert asked.slept == [20.0, 4.0]
