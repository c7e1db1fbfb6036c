"""Decides whether an action may be done: by the rules, by the person, and by a fresh look.

A consent belongs to one screen: to the action, the app and page in front, the rule that asked and
the picture that was asked about. It is used at once, and only if a fresh look shows the same
screen. When the screen has changed, the consent is void; the model looks again, and its next action
needs a new consent.
"""

from __future__ import annotations

from typing import Literal

from app.agent.actions import Action, Launch, Tap, TypeText
from app.agent.conduct import Conduct
from app.agent.guard import FREE, Ruling, Scene
from app.agent.outcome import Outcome
from app.agent.ports import Device
from app.agent.sight import Sight
from app.agent.step import Next, Question, StepRecord

Allowed = Literal["allowed"]

MOVED_ON = "The screen changed before the action was done; looking again."
VOID = "The screen changed while the person was asked; the consent is void, looking again."


KEEPS_MOVING = 2
"""Consecutive void consents before the question suggests another way: an advert or a video in the
picture voids every consent."""


class Consent:
    """Decides about the actions of one task."""

    def __init__(self, device: Device, conduct: Conduct, sight: Sight) -> None:
        self._device = device
        self._conduct = conduct
        self._sight = sight
        self._voided = 0
        """Void consents in a row."""

    async def given(self, step: StepRecord, action: Action) -> Allowed | Next | Outcome:
        """Return "allowed", or what happens instead of the action. Raises DeviceError."""
        if isinstance(action, Launch):
            scene, ruling = _scene_of(step), await self._launch_ruling(action)
        else:
            scene, ruling = await self._judged(step, action)
            # Last, because reading the labels may have taken seconds.
            if await self._sight.moved_on(step.observation):
                step.remark = MOVED_ON
                return Next()
        if ruling.refuse:
            step.remark = ruling.refuse
            return Next(ruling.refuse, action)
        if ruling.confirm or self._conduct.mode == "step":
            return await self._ask(step, action, ruling, scene)
        return "allowed"

    async def _judged(self, step: StepRecord, action: Action) -> tuple[Scene, Ruling]:
        """Return the first ruling that is not FREE: the touch is judged first, then its purpose."""
        if isinstance(action, TypeText) and action.element is not None:
            touch = Tap(element=action.element)
            scene, ruling = await self._judged(step, touch)
            if ruling != FREE:
                return scene, ruling
        guard, seen = self._conduct.guard, step.observation
        thought = step.decision.thought if step.decision else ""
        scene = await self._sight.scene(seen, action)
        ruling = guard.review(action, scene, thought)
        if ruling.confirm and ":word:" in ruling.rule and not scene.read:
            # The model mentions it; the control that it touches may still be harmless.
            await self._sight.read_now()
            scene = await self._sight.scene(seen, action)
            ruling = guard.review(action, scene, thought)
        elif ruling == FREE and guard.wants_labels(seen.package, seen.activity):
            # A dialog can appear within a page. Where that may cost money, the labels that were
            # read while the model thought must still be the ones on the screen.
            now = await self._device.screenshot()
            if now.fingerprint() != seen.frame.fingerprint():
                await self._sight.read_now()
                scene = await self._sight.scene(seen, action)
                ruling = guard.review(action, scene, thought)
        return scene, ruling

    async def _launch_ruling(self, action: Launch) -> Ruling:
        guard = self._conduct.guard
        if not guard.allowed:
            return FREE
        return guard.review_launch(await self._device.find_app(action.app))

    async def _ask(
        self, step: StepRecord, action: Action, ruling: Ruling, scene: Scene
    ) -> Allowed | Next | Outcome:
        question = self._question(step, action, ruling, scene)
        answer = await self._conduct.ask(question)
        if not answer.allowed:
            self._voided = 0
            if answer.text:
                return Next(f"The person does not want that: {answer.text}")
            why = f" ({answer.reason})" if answer.reason else ""
            said = f' The model said: "{question.said}"' if question.said else ""
            return Outcome("refused", f"Not allowed: {question.text}{why}{said}")
        said = f"The person says: {answer.text}" if answer.text else ""
        if not await self._unchanged(step):
            self._voided += 1
            step.remark = VOID
            return Next(said)
        self._voided = 0
        step.answer = said
        return "allowed"

    def _question(self, step: StepRecord, action: Action, ruling: Ruling, scene: Scene) -> Question:
        hint = ""
        if self._voided:
            hint = "The screen changed while you were asked last time. This is the screen now."
        if self._voided >= KEEPS_MOVING:
            hint += " It keeps changing: do it by hand, then refuse and say that it is done."
        return Question(
            "confirmation" if ruling.confirm else "step",
            ruling.confirm or f"{action.describe()}?",
            hint,
            action,
            said=action.message if isinstance(action, Tap) else "",
            thought=step.decision.thought if step.decision else "",
            about=scene,
            category=ruling.category,
        )

    async def _unchanged(self, step: StepRecord) -> bool:
        """Whether the phone still shows the screen that the person was asked about."""
        seen = step.observation
        now = await self._device.screenshot()
        if now.fingerprint() != seen.frame.fingerprint():
            return False
        front = await self._device.current_app()
        return (front.package, front.activity) == (seen.package, seen.activity)


def _scene_of(step: StepRecord) -> Scene:
    seen = step.observation
    return Scene(seen.package, seen.activity, seen.app)
