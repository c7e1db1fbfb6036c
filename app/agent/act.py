"""Carries out a decision: touches the phone, or asks a person or the model instead."""

from __future__ import annotations

import time

from app.agent.actions import (
    Action,
    Answer,
    CallApi,
    Finish,
    GiveUp,
    Interact,
    Note,
    TakeOver,
    Wait,
)
from app.agent.claim import Claims
from app.agent.conduct import Conduct
from app.agent.consent import Consent
from app.agent.execute import execute
from app.agent.notes import Notes
from app.agent.outcome import Outcome
from app.agent.ports import Device, Policy
from app.agent.sight import Sight
from app.agent.step import Next, Question, QuestionKind, StepRecord
from app.errors import AppError, AppNotFound, CommandFailed, DeviceError, TextRefused

MAX_UNREADABLE = 2
"""Consecutive replies without a usable action before the task stops: the model gets one repair."""

MAX_ANSWERS = 10
"""Most answers of one task that its last message repeats."""

TOLD_TO_MODEL = (CommandFailed, AppNotFound, TextRefused)


class Actor:
    """Carries out the decisions of one task."""

    def __init__(self, device: Device, policy: Policy, conduct: Conduct, sight: Sight) -> None:
        self._device = device
        self._policy = policy
        self._conduct = conduct
        self._consent = Consent(device, conduct, sight)
        self._claims = Claims(policy, conduct)
        self._notes = Notes(conduct)
        self._unreadable = 0
        self._answers: list[str] = []
        """What the model has told the person so far."""

    async def act(self, step: StepRecord) -> Next | Outcome:
        """Carry out the step's decision and return what happens next.

        Raises DeviceError for faults that only the phone's return or a person can fix.
        """
        if step.decision is None:
            return self._misread(step.error)
        self._unreadable = 0
        action = step.decision.action
        if self._conduct.mode == "dry_run":
            return Outcome("dry_run", f"Nothing was done. The next action: {action.describe()}.")
        match action:
            case Finish():
                return await self._claims.judge(step, self._with_answers(action))
            case GiveUp():
                return Outcome("gave_up", action.message or "The model gave up.")
            case Answer():
                self._answers = [*self._answers, action.message][-MAX_ANSWERS:]
                return Next("The person has read your answer. Finish if all is done.", action)
            case TakeOver() | Interact():
                return await self._hand_over(action)
            case Note():
                return await self._notes.take(step, action)
            case CallApi():
                return await self._notes.sum_up(step, action)
        try:
            verdict = await self._consent.given(step, action)
            if verdict != "allowed":
                return verdict
            await self._do(step, action)
        except TOLD_TO_MODEL as exc:
            step.error = exc
            return Next(f"The last action failed: {exc.message}", action, touched=True)
        except DeviceError as exc:
            step.error = exc
            raise
        return Next(step.answer, action, touched=True)

    async def _do(self, step: StepRecord, action: Action) -> None:
        begun = time.perf_counter()
        work = execute(action, self._device, step.observation.frame)
        try:
            if isinstance(action, Wait):
                await self._conduct.control.unless_paused(work)
            else:
                step.means = await work
        finally:
            step.timings_ms["act"] = (time.perf_counter() - begun) * 1000

    def _with_answers(self, action: Finish) -> Finish:
        """Repeat the answers given earlier in the task in its last message."""
        told = [text for text in self._answers if text not in action.message]
        if not told:
            return action
        return Finish(message="\n".join([*told, action.message]).strip())

    def _misread(self, error: AppError | None) -> Next | Outcome:
        """Report a reply without an action to the model once; stop the task the second time."""
        self._unreadable += 1
        reason = error.message if error else "the reply contains no action"
        if self._unreadable >= MAX_UNREADABLE:
            return Outcome("unparseable", f"The model's reply could not be used: {reason}.", error)
        return Next(self._policy.misread(reason))

    async def _hand_over(self, action: TakeOver | Interact) -> Next | Outcome:
        """Hand a login or a choice to the person; the task continues with what they did or said."""
        asked = action.message or "The model asks a person to go on."
        kind: QuestionKind = "take_over" if isinstance(action, TakeOver) else "question"
        answer = await self._conduct.ask(Question(kind, asked, said=action.message))
        if not answer.allowed:
            return Outcome("gave_up", f"{asked} ({answer.reason})" if answer.reason else asked)
        done = "The person has done it." if kind == "take_over" else "The person answers:"
        return Next(f"{done} {answer.text}".strip(), by_hand=True)
