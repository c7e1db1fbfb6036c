"""Observe, decide, act, until the goal is reached or there is a reason to stop.

Only the model's own well-formed `finish(...)` gives the reason "finished", and a second look or the
person may still doubt it. Cancelling the coroutine cancels the phone call or the request that is
under way at once; nothing is done on the phone afterwards.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime

from app.agent.act import Actor, Progress
from app.agent.actions import Finish, Swipe, TypeText, Wait
from app.agent.conduct import Conduct
from app.agent.outcome import PERSON_MUST_ACT, Limits, Outcome
from app.agent.ports import Device, Policy, Recorder
from app.agent.settle import still_frame, window_after
from app.agent.step import Attempt, Observation, Question, StepRecord
from app.errors import (
    AdbServerUnreachable,
    DeviceDisconnected,
    DeviceError,
    DeviceNotFound,
    DeviceOffline,
    DeviceTimeout,
    EngineError,
)

MAX_DROPS = 3
"""Steps in a row in which the phone dropped off before the task stops."""

MAY_COME_BACK = (
    AdbServerUnreachable,
    DeviceDisconnected,
    DeviceNotFound,
    DeviceOffline,
    DeviceTimeout,
)
_KEEPS_THE_APP = (Wait, TypeText, Swipe)
"""Actions that open no other app: one that comes up meanwhile came by itself."""


async def run_loop(
    device: Device,
    policy: Policy,
    recorder: Recorder,
    limits: Limits,
    conduct: Conduct | None = None,
) -> Outcome:
    """Work on the goal that `policy` knows. Raises only CancelledError and programming errors."""
    conduct = conduct or Conduct()
    try:
        async with asyncio.timeout(limits.timeout_s) as conduct.clock:
            return await _Loop(device, policy, recorder, limits, conduct).run()
    except TimeoutError:
        return Outcome("time_budget", f"The goal was not reached in {limits.timeout_s:g} s.")
    except (DeviceError, EngineError) as exc:
        return Outcome.of(exc)


class _Loop:
    def __init__(
        self,
        device: Device,
        policy: Policy,
        recorder: Recorder,
        limits: Limits,
        conduct: Conduct,
    ) -> None:
        self._device = device
        self._limits = limits
        self._policy = policy
        self._recorder = recorder
        self._conduct = conduct
        self._progress = Progress(feedback=conduct.opening)
        self._actor = Actor(device, policy, conduct, self._progress)
        self._drops = 0
        self._package = ""
        self._awake = False
        self._warming: asyncio.Task[None] | None = None

    async def run(self) -> Outcome:
        max_steps = self._limits.max_steps
        try:
            for number in range(self._limits.first_step, max_steps + 1):
                outcome = await self._step(number)
                if outcome is not None:
                    return outcome
        finally:
            if self._warming is not None:
                self._warming.cancel()
                await asyncio.wait({self._warming})
        return Outcome("step_budget", f"The goal was not reached in {max_steps} steps.")

    async def _step(self, number: int) -> Outcome | None:
        step = None
        while step is None:
            await self._conduct.gate()
            step = await self._prepare(number)
        if isinstance(step, Outcome):
            return step
        self._progress.feedback = ""
        if not (step.decision and isinstance(step.decision.action, Finish)):
            self._warming = asyncio.create_task(self._warm())
        await self._recorder.decided(step)
        try:
            outcome = await self._actor.act(step)
            self._drops = 0
            return outcome
        except MAY_COME_BACK as exc:
            # Whether the phone still did it is not known, so it is never done again unasked: the
            # next look shows.
            await self._back_again(exc)
            self._progress.feedback = (
                "The phone dropped off during the last action; see what it did."
            )
        except PERSON_MUST_ACT as exc:
            await self._helped(exc)
            self._progress.feedback = "The last action failed; the person has mended the cause."
        finally:
            await self._recorder.stepped(step)
        return None

    async def _prepare(self, number: int) -> StepRecord | Outcome | None:
        """A decided step, or the end of the task; None when the look must be taken again."""
        try:
            step = await self._conduct.control.unless_paused(self._look(number))
        except MAY_COME_BACK as exc:
            await self._back_again(exc)
            return None
        except PERSON_MUST_ACT as exc:
            await self._helped(exc)
            return None
        if step is None:
            return None
        await self._recorder.observed(step)
        if sign := self._progress.stall.check(step.observation.frame.fingerprint()):
            outcome = await self._stalled(sign)
            if outcome is not None:
                return outcome
        return await self._conduct.control.unless_paused(self._decide(step))

    async def _look(self, number: int) -> StepRecord:
        started_at, begun = datetime.now(UTC), time.perf_counter()
        if not self._awake:
            await self._device.wake()
            self._awake = True
        last = self._progress.last
        if last is None:
            frame = await self._device.screenshot()
        else:
            frame = await still_frame(self._device, window_after(last), self._progress.before)
        seen = time.perf_counter()
        app = await self._device.current_app()
        if self._package not in ("", app.package) and isinstance(last, _KEEPS_THE_APP):
            note = f"{app.label or app.package} came to the front by itself."
            self._progress.feedback = f"{self._progress.feedback} {note}".strip()
        self._package = app.package
        observation = Observation(frame, app.label or app.package, app.package, app.activity)
        step = StepRecord(number, started_at, observation)
        step.timings_ms["screenshot"] = (seen - begun) * 1000
        step.timings_ms["current_app"] = (time.perf_counter() - seen) * 1000
        return step

    async def _warm(self) -> None:
        with suppress(EngineError):  # the next request will meet it too, and say so
            await self._policy.warm()

    async def _decide(self, step: StepRecord) -> StepRecord:
        if self._warming is not None:
            # Another request meanwhile would go to another slot, whose cache is empty.
            await asyncio.wait({self._warming})
        attempt = await self._policy.decide(
            step.observation,
            self._progress.feedback,
            lambda text: self._recorder.thought(step.number, text),
        )
        _take(step, attempt)
        return step

    async def _stalled(self, sign: str) -> Outcome | None:
        """First the model is told, then the person is asked, or the task stops."""
        stall = self._progress.stall
        if not stall.warned():
            self._progress.feedback = f"{sign} Go another way, or finish and say what is in it."
            return None
        question = Question("stalled", sign, "Say how to go on, or refuse to stop the task.")
        answer = await self._conduct.ask(question)
        if not answer.allowed:
            return Outcome("stalled", sign)
        stall.forgive()
        self._progress.feedback = f"The person says: {answer.text}" if answer.text else sign
        return None

    async def _back_again(self, error: DeviceError) -> None:
        """Until the phone is back; one that then wants the person waits for them."""
        try:
            await self._conduct.control.unless_paused(self._returned(error))
        except PERSON_MUST_ACT as exc:
            await self._helped(exc)

    async def _returned(self, error: DeviceError) -> None:
        """Wait until the phone is back; raises `error` when it is not, or drops off too often."""
        self._drops += 1
        if self._drops > MAX_DROPS:
            raise error
        await self._device.wait_ready(self._limits.return_s)

    async def _helped(self, error: DeviceError) -> None:
        """Wait until the person has mended it; raises `error` when they do not."""
        answer = await self._conduct.ask(Question("take_over", error.message, error.hint))
        if not answer.allowed:
            raise error
        self._awake = False


def _take(step: StepRecord, attempt: Attempt) -> None:
    step.raw = attempt.raw
    step.decision = attempt.decision
    step.error = attempt.error
    step.timings_ms |= attempt.timings_ms
    step.tokens = attempt.tokens
