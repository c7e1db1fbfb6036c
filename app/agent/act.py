"""From a decision to what comes of it: who must be asked is asked, then the phone is touched."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from app.agent.actions import (
    Action,
    CallApi,
    DoubleTap,
    Finish,
    Interact,
    Launch,
    LongPress,
    Note,
    Point,
    Swipe,
    TakeOver,
    Tap,
    TypeText,
    Wait,
)
from app.agent.conduct import Conduct
from app.agent.execute import execute, to_pixels
from app.agent.guard import FREE, Ruling, Scene
from app.agent.labels import focused, touched
from app.agent.memory import Memory, PageNote
from app.agent.outcome import Outcome
from app.agent.ports import Device, Policy
from app.agent.reader import Verdict
from app.agent.stall import StallWatch
from app.agent.step import Question, QuestionKind, StepRecord
from app.agent.verify import MAX_DOUBTS
from app.errors import (
    AppError,
    AppNotFound,
    CommandFailed,
    DeviceError,
    EngineError,
    ScreenshotUnavailable,
    TextRefused,
)

MAX_UNREADABLE = 2
"""Replies in a row that hold no usable action before the task stops: one repair is asked for."""

TOLD_TO_MODEL = (CommandFailed, AppNotFound, TextRefused)
_NO_TEXT = ("", "true", "false", "none")
"""What stands for a note's text when the model wants the page itself noted."""


@dataclass
class Progress:
    """What one step leaves to the next. `feedback` is what the model is told with the next screen,
    `last` the action whose effect has to settle, `before` the fingerprint of the screen on which it
    was done, `agreed` one that the person has just allowed."""

    feedback: str = ""
    last: Action | None = None
    before: bytes | None = None
    agreed: Action | None = None
    stall: StallWatch = field(default_factory=StallWatch)
    memory: Memory = field(default_factory=Memory)
    unreadable: int = 0
    doubts: int = 0


class Actor:
    """Carries out the decisions of one task."""

    def __init__(
        self, device: Device, policy: Policy, conduct: Conduct, progress: Progress
    ) -> None:
        self._device = device
        self._policy = policy
        self._conduct = conduct
        self._progress = progress

    async def act(self, step: StepRecord) -> Outcome | None:
        """Do what the step decided; the outcome when the task is over.

        Raises DeviceError for what only the phone's return or a person can mend.
        """
        if step.decision is None:
            return self._misread(step.error)
        self._progress.unreadable = 0
        action = step.decision.action
        if self._conduct.mode == "dry_run":
            return Outcome("dry_run", f"Nothing was done. The next action: {action.describe()}.")
        match action:
            case Finish():
                return await self._finish(step, action)
            case TakeOver() | Interact():
                return await self._hand_over(action)
            case Note():
                await self._note(step, action)
                return None
            case CallApi():
                await self._call_api(step, action)
                return None
        try:
            ruling = await self._ruling(step, action)
            if ruling.refuse:
                self._forbidden(step, action, ruling)
                return None
            if ruling.confirm or self._conduct.mode == "step":
                outcome, agreed = await self._consent(step, action, ruling)
                if outcome is not None or not agreed:
                    return outcome
            await self._do(step, action)
        except TOLD_TO_MODEL as exc:
            step.error = exc
            self._progress.feedback = f"The last action failed: {exc.message}"
            self._acted(step, action)
        except DeviceError as exc:
            step.error = exc
            raise
        return None

    async def _do(self, step: StepRecord, action: Action) -> None:
        begun = time.perf_counter()
        work = execute(action, self._device, step.observation.frame)
        try:
            if isinstance(action, Wait):
                await self._conduct.control.unless_paused(work)
            else:
                await work
        finally:
            step.timings_ms["act"] = (time.perf_counter() - begun) * 1000
        self._acted(step, action)

    def _acted(self, step: StepRecord, action: Action) -> None:
        screen = step.observation.frame.fingerprint()
        self._progress.last, self._progress.before = action, screen
        self._progress.stall.acted(screen, action)

    def _misread(self, error: AppError | None) -> Outcome | None:
        """The reply was no action: say so to the model once, then stop."""
        self._progress.unreadable += 1
        reason = error.message if error else "the reply holds no action"
        if self._progress.unreadable >= MAX_UNREADABLE:
            return Outcome("unparseable", f"The model's reply could not be used: {reason}.", error)
        self._progress.feedback = (
            f"Your last answer could not be used: {reason}. "
            "Answer with exactly one do(...) or finish(...)."
        )
        return None

    async def _finish(self, step: StepRecord, action: Finish) -> Outcome | None:
        verdict = await self._second_look(step, action.message)
        if verdict.reached is not False:
            return Outcome("finished", action.message)
        self._progress.doubts += 1
        step.remark = f"A second look does not see the goal reached: {verdict.reason}"
        if self._progress.doubts >= MAX_DOUBTS:
            question = Question(
                "doubt",
                f"The model says that the goal is reached: {action.message}",
                f"{step.remark}. Allow to accept it, refuse to end the task as not done.",
            )
            if (await self._conduct.ask(question)).allowed:
                return Outcome("finished", action.message)
            return Outcome("gave_up", step.remark)
        self._policy.doubted()
        self._progress.feedback = f"The goal is not reached yet: {verdict.reason}. Go on."
        return None

    async def _second_look(self, step: StepRecord, claim: str) -> Verdict:
        second = self._conduct.second_look
        if second is None:
            return Verdict(True)
        begun = time.perf_counter()
        verdict = None
        while verdict is None:
            await self._conduct.gate()
            look = second.look(step.observation, claim)
            try:
                verdict = await self._conduct.control.unless_paused(look)
            except EngineError as exc:
                verdict = Verdict(None, exc.message)
        step.timings_ms["second_look"] = (time.perf_counter() - begun) * 1000
        if verdict.reached is None:
            step.remark = f"The second look gave no verdict: {verdict.reason}"[:300]
        return verdict

    async def _hand_over(self, action: TakeOver | Interact) -> Outcome | None:
        """A login or a choice: the person does it or says it, and the task goes on."""
        asked = action.message or "The model asks a person to go on."
        kind: QuestionKind = "take_over" if isinstance(action, TakeOver) else "question"
        answer = await self._conduct.ask(Question(kind, asked))
        if not answer.allowed:
            return Outcome("gave_up", _because(asked, answer.reason))
        done = "The person has done it." if kind == "take_over" else "The person answers:"
        self._progress.feedback = f"{done} {answer.text}".strip()
        self._progress.last = None
        self._progress.stall.forgive()
        return None

    async def _note(self, step: StepRecord, action: Note) -> None:
        text = action.message.strip()
        if text.casefold() in _NO_TEXT:
            text = await self._read(step, None) or (step.decision.thought if step.decision else "")
        self._remember(step, text)
        self._watched(step, action)
        self._progress.feedback = "Noted."
        step.remark = f"Noted: {text}"

    async def _call_api(self, step: StepRecord, action: CallApi) -> None:
        text = await self._read(step, action.instruction) or self._progress.memory.text()
        self._remember(step, text)
        self._watched(step, action)
        self._progress.feedback = f"Result: {text or 'there are no notes yet.'}"
        step.remark = self._progress.feedback

    async def _read(self, step: StepRecord, instruction: str | None) -> str:
        """What a reader makes of the screen; "" when there is none, or it fails."""
        reader, frame = self._conduct.reader, step.observation.frame
        if reader is None:
            return ""
        text = None
        while text is None:
            await self._conduct.gate()
            if instruction is None:
                reading = reader.describe(frame)
            else:
                reading = reader.sum_up(frame, self._progress.memory.text(), instruction)
            try:
                text = await self._conduct.control.unless_paused(reading)
            except EngineError as exc:
                step.error = exc
                return ""
        return text

    def _remember(self, step: StepRecord, text: str) -> None:
        self._progress.memory.add(PageNote(step.number, step.observation.app, text))

    def _watched(self, step: StepRecord, action: Action) -> None:
        self._progress.stall.acted(step.observation.frame.fingerprint(), action)

    async def _ruling(self, step: StepRecord, action: Action) -> Ruling:
        guard = self._conduct.guard
        if isinstance(action, Launch):
            if not guard.allowed:
                return FREE
            return guard.review_launch(await self._device.find_app(action.app))
        thought = step.decision.thought if step.decision else ""
        return guard.review(action, await self._scene(step, action), thought)

    async def _scene(self, step: StepRecord, action: Action) -> Scene:
        """What is under the finger; the labels only where the guard finds them worth a second."""
        seen = step.observation
        point = _point(action)
        typing = isinstance(action, TypeText)
        plain = Scene(seen.package, seen.activity, seen.app)
        wanted = self._conduct.guard.wants_labels(seen.package, seen.activity)
        if not wanted or (point is None and not typing):
            return plain
        try:
            texts = await self._device.shown_texts()
        except ScreenshotUnavailable:
            return plain
        under = focused(texts) if point is None else touched(texts, *to_pixels(point, seen.frame))
        return replace(plain, target=under.target, nearby=under.nearby, read=True)

    def _forbidden(self, step: StepRecord, action: Action, ruling: Ruling) -> None:
        step.remark = self._progress.feedback = ruling.refuse
        self._watched(step, action)

    async def _consent(
        self, step: StepRecord, action: Action, ruling: Ruling
    ) -> tuple[Outcome | None, bool]:
        """(the end of the task, if it is refused; whether the action may be done now)."""
        if action == self._progress.agreed:
            self._progress.agreed = None
            return None, True
        kind: QuestionKind = "confirmation" if ruling.confirm else "step"
        said = action.message if isinstance(action, Tap) else ""
        answer = await self._conduct.ask(
            Question(
                kind,
                ruling.confirm or f"{action.describe()}?",
                f"The model says: {said}" if said else "",
                action=action,
            )
        )
        seen = step.observation
        if not answer.allowed:
            if not answer.text:
                asked = ruling.confirm or action.describe()
                return Outcome("refused", _because(f"Not allowed: {asked}", answer.reason)), False
            self._progress.feedback = f"The person does not want that: {answer.text}"
            return None, False
        self._conduct.guard.grant(ruling, Scene(seen.package, seen.activity, seen.app))
        if answer.text:
            self._progress.feedback = f"The person says: {answer.text}"
        now = await self._device.screenshot()
        if now.fingerprint() == step.observation.frame.fingerprint():
            return None, True
        # The screen moved on while the person thought, and the place to touch may have too. The
        # consent counts for the same action after a fresh look.
        self._progress.agreed = action
        step.remark = "The screen changed while the person was asked; looking again."
        return None, False


def _point(action: Action) -> Point | None:
    """Where a finger comes down; None when none does."""
    match action:
        case Tap() | DoubleTap() | LongPress():
            return action.element
        case Swipe():
            return action.start
    return None


def _because(text: str, reason: str) -> str:
    return f"{text} ({reason})" if reason else text
