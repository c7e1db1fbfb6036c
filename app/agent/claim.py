"""Judges the model's claim that the goal is reached: accepts it, doubts it or asks the person."""

from __future__ import annotations

import time

from app.agent.actions import Finish
from app.agent.conduct import Conduct
from app.agent.outcome import Outcome
from app.agent.ports import Policy
from app.agent.reader import Verdict
from app.agent.step import Next, Question, StepRecord
from app.errors import EngineError

MAX_DOUBTS = 2
"""Doubted claims in one task before a person is asked."""


class Claims:
    """The finish claims of one task."""

    def __init__(self, policy: Policy, conduct: Conduct) -> None:
        self._policy = policy
        self._conduct = conduct
        self._doubts = 0

    async def judge(self, step: StepRecord, action: Finish) -> Next | Outcome:
        verdict = await self._second_look(step, action.message)
        if verdict.reached is not False:
            return Outcome("finished", action.message)
        self._doubts += 1
        step.remark = f"A second look does not see the goal reached: {verdict.reason}"
        if self._doubts >= MAX_DOUBTS:
            question = Question(
                "doubt",
                f"The model says that the goal is reached: {action.message}",
                f"{step.remark}. Allow to accept it, refuse to end the task as not done.",
            )
            if (await self._conduct.ask(question)).allowed:
                return Outcome("finished", action.message)
            return Outcome("gave_up", step.remark)
        self._policy.doubted()
        return Next(f"The goal is not reached yet: {verdict.reason}. Go on.")

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
