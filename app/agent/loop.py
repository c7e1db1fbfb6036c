"""Observe, decide, act, until the goal is reached or there is a reason to stop.

A stop is a value with a reason, not an exception. Only the model's own well-formed `finish(...)`
gives the reason "finished". Cancelling the coroutine cancels the phone call or the request that is
under way at once; nothing is done on the phone afterwards.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from app.agent.actions import Action, CallApi, Finish, Interact, Note, TakeOver, Tap
from app.agent.execute import execute
from app.agent.policy import Attempt, VisionPolicy
from app.agent.ports import Device, Observation, Recorder, StepRecord
from app.agent.settle import still_frame, window_after
from app.errors import (
    AdbServerUnreachable,
    AppError,
    AppNotFound,
    CommandFailed,
    ContextOverflow,
    DeviceDisconnected,
    DeviceError,
    DeviceLocked,
    DeviceNotFound,
    DeviceOffline,
    DeviceTimeout,
    DeviceUnauthorized,
    EngineError,
    InputRefused,
    SecureScreen,
    TextRefused,
)

StopReason = Literal[
    "finished",
    "gave_up",
    "unparseable",
    "step_budget",
    "time_budget",
    "stalled",
    "refused",
    "cancelled",
    "device_lost",
    "engine_lost",
    "context_full",
    "crashed",
]

MAX_UNREADABLE = 2
"""Replies in a row that hold no usable action before the task stops."""

MAX_DROPS = 3
"""Steps in a row in which the phone dropped off before the task stops."""

MAY_COME_BACK = (
    AdbServerUnreachable,
    DeviceDisconnected,
    DeviceNotFound,
    DeviceOffline,
    DeviceTimeout,
)
TOLD_TO_MODEL = (CommandFailed, AppNotFound, TextRefused)
PERSON_MUST_ACT = (DeviceUnauthorized, DeviceLocked, InputRefused, SecureScreen)


@dataclass(frozen=True)
class Limits:
    """`return_s` is how long a phone that dropped off may be away, in seconds."""

    max_steps: int
    timeout_s: float
    return_s: float = 45.0


@dataclass(frozen=True)
class Outcome:
    """Why a task ended; `message` is for the person."""

    reason: StopReason
    message: str = ""
    error: AppError | None = None


async def run_loop(
    device: Device, policy: VisionPolicy, recorder: Recorder, limits: Limits
) -> Outcome:
    """Work on the goal that `policy` knows. Raises only CancelledError and programming errors."""
    try:
        async with asyncio.timeout(limits.timeout_s):
            return await _Loop(device, policy, recorder, limits).run()
    except TimeoutError:
        return Outcome("time_budget", f"The goal was not reached in {limits.timeout_s:g} s.")
    except PERSON_MUST_ACT as exc:
        return Outcome("refused", exc.message, exc)
    except DeviceError as exc:
        return Outcome("device_lost", exc.message, exc)
    except ContextOverflow as exc:
        return Outcome("context_full", exc.message, exc)
    except EngineError as exc:
        return Outcome("engine_lost", exc.message, exc)


class _Loop:
    def __init__(
        self, device: Device, policy: VisionPolicy, recorder: Recorder, limits: Limits
    ) -> None:
        self._device = device
        self._limits = limits
        self._policy = policy
        self._recorder = recorder
        self._feedback = ""
        self._unreadable = 0
        self._drops = 0
        self._last: Action | None = None
        self._awake = False

    async def run(self) -> Outcome:
        max_steps = self._limits.max_steps
        for number in range(1, max_steps + 1):
            outcome = await self._step(number)
            if outcome is not None:
                return outcome
        return Outcome("step_budget", f"The goal was not reached in {max_steps} steps.")

    async def _step(self, number: int) -> Outcome | None:
        step = await self._observe(number)
        await self._recorder.observed(step)
        feedback, self._feedback = self._feedback, ""
        attempt = await self._policy.decide(
            step.observation, feedback, lambda text: self._recorder.thought(number, text)
        )
        _take(step, attempt)
        await self._recorder.decided(step)
        try:
            return await self._act(step)
        finally:
            await self._recorder.stepped(step)

    async def _observe(self, number: int) -> StepRecord:
        """Look until a look succeeds: a phone that drops off meanwhile is waited for."""
        while True:
            try:
                return await self._look(number)
            except MAY_COME_BACK as exc:
                await self._returned(exc)

    async def _look(self, number: int) -> StepRecord:
        started_at, begun = datetime.now(UTC), time.perf_counter()
        if not self._awake:
            await self._device.wake()
            self._awake = True
        if self._last is None:
            frame = await self._device.screenshot()
        else:
            frame = await still_frame(self._device, window_after(self._last))
        seen = time.perf_counter()
        app = await self._device.current_app()
        step = StepRecord(number, started_at, Observation(frame, app.label or app.package))
        step.timings_ms["screenshot"] = (seen - begun) * 1000
        step.timings_ms["current_app"] = (time.perf_counter() - seen) * 1000
        return step

    async def _returned(self, error: DeviceError) -> None:
        """Wait until the phone is back; raises `error` when it is not, or drops off too often."""
        self._drops += 1
        if self._drops > MAX_DROPS:
            raise error
        await self._device.wait_ready(self._limits.return_s)

    async def _act(self, step: StepRecord) -> Outcome | None:
        if step.decision is None:
            return self._misread(step.error)
        self._unreadable = 0
        action = step.decision.action
        match action:
            case Finish():
                return Outcome("finished", action.message)
            case TakeOver() | Interact():
                return Outcome("gave_up", action.message or "The model asks a person to go on.")
            case Tap() if action.message:
                return Outcome(
                    "refused", f"The model asks before a sensitive tap: {action.message}"
                )
            case Note() | CallApi():
                self._feedback = "There is no notebook here. Go on without it."
                return None
        begun = time.perf_counter()
        try:
            await execute(action, self._device, step.observation.frame)
        except TOLD_TO_MODEL as exc:
            step.error = exc
            self._feedback = f"The last action failed: {exc.message}"
        except MAY_COME_BACK as exc:
            # Whether the phone still did it is not known, so it is never done again unasked: the
            # next look shows.
            step.error = exc
            await self._returned(exc)
            self._feedback = "The phone dropped off during the last action; see what it did."
        except DeviceError as exc:
            step.error = exc
            raise
        else:
            self._drops = 0
        step.timings_ms["act"] = (time.perf_counter() - begun) * 1000
        self._last = action
        return None

    def _misread(self, error: AppError | None) -> Outcome | None:
        """The reply was no action: say so to the model once, then stop."""
        self._unreadable += 1
        reason = error.message if error else "the reply holds no action"
        if self._unreadable >= MAX_UNREADABLE:
            return Outcome("unparseable", f"The model's reply could not be used: {reason}.", error)
        self._feedback = (
            f"Your last answer could not be used: {reason}. "
            "Answer with exactly one do(...) or finish(...)."
        )
        return None


def _take(step: StepRecord, attempt: Attempt) -> None:
    step.raw = attempt.raw
    step.decision = attempt.decision
    step.error = attempt.error
    step.timings_ms |= attempt.timings_ms
    step.tokens = attempt.tokens
