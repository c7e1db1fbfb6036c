"""Observes, decides and acts, until the goal is reached or there is a reason to stop.

Only the model's own well-formed `finish(...)` gives the reason "finished", and a second look or the
person may still doubt it. Cancelling the coroutine cancels the phone call or request under way at
once; nothing is done on the phone afterwards.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime

from app.agent.act import Actor
from app.agent.actions import Action, Finish, Swipe, TypeText, Wait
from app.agent.conduct import Conduct
from app.agent.outcome import PERSON_MUST_ACT, Limits, Outcome
from app.agent.ports import Device, Policy, Recorder
from app.agent.settle import still_frame, window_after
from app.agent.sight import Sight
from app.agent.stall import StallWatch
from app.agent.step import Next, Observation, Question, StepRecord
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
"""Consecutive steps with a disconnected phone before the task stops."""

MAY_COME_BACK = (
    AdbServerUnreachable,
    DeviceDisconnected,
    DeviceNotFound,
    DeviceOffline,
    DeviceTimeout,
)
_KEEPS_THE_APP = (Wait, TypeText, Swipe)
"""Actions that open no other app: an app that appears during one opened by itself."""


async def run_loop(
    device: Device,
    policy: Policy,
    recorder: Recorder,
    limits: Limits,
    conduct: Conduct | None = None,
) -> Outcome:
    """Work on the goal that `policy` knows.

    Raises CancelledError, the recorder's errors and programming errors.
    """
    conduct = conduct or Conduct()
    clock = asyncio.timeout(limits.timeout_s)
    try:
        async with clock as conduct.clock:
            return await _Loop(device, policy, recorder, limits, conduct).run()
    except TimeoutError:
        if not clock.expired():  # someone else's timeout, not the time budget
            raise
        return Outcome("time_budget", f"The goal was not reached in {limits.timeout_s:g} s.")
    except (DeviceError, EngineError) as exc:
        return Outcome.of(exc)


class _Loop:
    """Holds what is known between steps; what the model is told is passed as an argument."""

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
        self._sight = Sight(device, conduct.guard)
        self._actor = Actor(device, policy, conduct, self._sight)
        self._stall = StallWatch()
        self._last: Action | None = None
        """The action whose effect has to settle."""
        self._before: bytes | None = None
        """The fingerprint of the screen on which it was done."""
        self._drops = 0
        self._package = ""
        self._awake = False
        self._warming: asyncio.Task[None] | None = None

    async def run(self) -> Outcome:
        told, max_steps = self._conduct.opening, self._limits.max_steps
        try:
            for number in range(self._limits.first_step, max_steps + 1):
                result = await self._step(number, told)
                if isinstance(result, Outcome):
                    return result
                told = result.told
        finally:
            await self._sight.end()
            if self._warming is not None:
                self._warming.cancel()
                await asyncio.wait({self._warming})
        return Outcome("step_budget", f"The goal was not reached in {max_steps} steps.")

    async def _step(self, number: int, told: str) -> Next | Outcome:
        """Run one observe-decide-act turn. `told` is the last turn's message to the model."""
        step = await self._decided(number, told)
        if isinstance(step, Outcome):
            return step
        if not (step.decision and isinstance(step.decision.action, Finish)):
            self._warming = asyncio.create_task(self._warm())
        await self._recorder.decided(step)
        try:
            result = await self._act(step)
        finally:
            await self._sight.end()
            await self._recorder.stepped(step)
        if isinstance(result, Next):
            self._take_note(step, result)
        return result

    async def _decided(self, number: int, told: str) -> StepRecord | Outcome:
        """Look and decide. Starts over if a pause or a fault of the phone interrupts."""
        while True:
            await self._conduct.gate()
            try:
                step = await self._conduct.control.unless_paused(self._look(number))
            except MAY_COME_BACK as exc:
                await self._back_again(exc)
                continue
            except PERSON_MUST_ACT as exc:
                await self._helped(exc)
                continue
            if step is None:
                continue
            await self._recorder.observed(step)
            if note := self._came_by_itself(step.observation):
                told = f"{told} {note}".strip()
            if sign := self._stall.check(step.observation.frame.fingerprint()):
                stalled = await self._stalled(sign)
                if isinstance(stalled, Outcome):
                    return stalled
                told = stalled
            self._sight.begin(step.observation)
            if await self._conduct.control.unless_paused(self._decide(step, told)):
                return step
            await self._sight.end()

    async def _act(self, step: StepRecord) -> Next | Outcome:
        action = step.decision.action if step.decision else None
        try:
            result = await self._actor.act(step)
        except MAY_COME_BACK as exc:
            # It is unknown whether the phone still did it, so it is never repeated unasked: the
            # next look will show.
            await self._back_again(exc)
            told = "The phone dropped off during the last action; see what it did."
            return Next(told, action, touched=action is not None)
        except PERSON_MUST_ACT as exc:
            await self._helped(exc)
            told = "The last action failed; the person has mended the cause."
            return Next(told, by_hand=True)
        self._drops = 0
        return result

    def _take_note(self, step: StepRecord, result: Next) -> None:
        """Store what the next look must know about this step."""
        screen = step.observation.frame.fingerprint()
        self._last = result.action if result.touched else None
        self._before = screen if result.touched else None
        if result.by_hand:
            self._stall.forgive()
            self._awake, self._package = False, ""
        elif result.action is not None:
            self._stall.acted(screen, result.action)

    async def _look(self, number: int) -> StepRecord:
        started_at, begun = datetime.now(UTC), time.perf_counter()
        if not self._awake:
            await self._device.wake()
            self._awake = True
        if self._last is None:
            frame = await self._device.screenshot()
        else:
            frame = await still_frame(self._device, window_after(self._last), self._before)
        seen = time.perf_counter()
        app = await self._device.current_app()
        observation = Observation(frame, app.label or app.package, app.package, app.activity)
        step = StepRecord(number, started_at, observation)
        step.timings_ms["screenshot"] = (seen - begun) * 1000
        step.timings_ms["current_app"] = (time.perf_counter() - seen) * 1000
        return step

    def _came_by_itself(self, seen: Observation) -> str:
        """Return a note for the model if an app came to the front by itself."""
        before, self._package = self._package, seen.package
        if before in ("", seen.package):
            return ""
        if self._last is not None and not isinstance(self._last, _KEEPS_THE_APP):
            return ""
        return f"{seen.app} came to the front by itself."

    async def _warm(self) -> None:
        with suppress(EngineError):  # the next request will fail too, and report it
            await self._policy.warm()

    async def _decide(self, step: StepRecord, told: str) -> bool:
        """Have the policy decide. Always returns True, unlike a decision that a pause ended."""
        if self._warming is not None:
            # A concurrent request would go to another slot, whose cache is empty.
            await asyncio.wait({self._warming})
        attempt = await self._policy.decide(
            step.observation, told, lambda text: self._recorder.thought(step.number, text)
        )
        step.raw, step.decision, step.error = attempt.raw, attempt.decision, attempt.error
        step.timings_ms |= attempt.timings_ms
        step.tokens = attempt.tokens
        return True

    async def _stalled(self, sign: str) -> str | Outcome:
        """Tell the model the first time; then ask the person, who may stop the task."""
        if not self._stall.warned():
            return f"{sign} Go another way, or finish and say what is in it."
        question = Question("stalled", sign, "Say how to go on, or refuse to stop the task.")
        answer = await self._conduct.ask(question)
        if not answer.allowed:
            return Outcome("stalled", sign)
        self._stall.forgive()
        return f"The person says: {answer.text}" if answer.text else sign

    async def _back_again(self, error: DeviceError) -> None:
        """Wait until the phone is back; if it then needs the person, wait for them."""
        try:
            await self._conduct.control.unless_paused(self._returned(error))
        except PERSON_MUST_ACT as exc:
            await self._helped(exc)

    async def _returned(self, error: DeviceError) -> None:
        """Wait until the phone is back. Raises `error` if it stays away, or drops off too often."""
        if self._drops >= MAX_DROPS:
            raise error
        await self._device.wait_ready(self._limits.return_s)
        self._drops += 1  # a wait that a pause ended starts over, and counts once

    async def _helped(self, error: DeviceError) -> None:
        """Wait until the person has fixed the cause. Raises `error` if they do not."""
        answer = await self._conduct.ask(Question("take_over", error.message, error.hint))
        if not answer.allowed:
            raise error
        self._awake = False
