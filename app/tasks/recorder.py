"""Records a task as it runs: in the store, in the screenshot folder, and for its followers."""

from __future__ import annotations

import asyncio
import logging

from app.agent.step import StepRecord
from app.errors import DiskFull
from app.events import Topic
from app.tasks.metrics import TaskMetrics
from app.tasks.models import Step, TaskError
from app.tasks.store import Store
from app.tasks.stored import TaskRecord
from app.visible import visible

log = logging.getLogger(__name__)

SCREENSHOT_SIDE = 1200
"""Pixels of the longer side: half of the usual 2400; quick to encode and still readable."""


class TaskRecorder:
    """The recorder of one task; saves a screenshot while the model already works on it."""

    def __init__(
        self,
        record: TaskRecord,
        topic: Topic,
        store: Store,
        metrics: TaskMetrics,
        *,
        keep_screenshots: bool,
    ) -> None:
        self._metrics = metrics
        self._record = record
        self._topic = topic
        self._store = store
        self._keep = keep_screenshots
        self._saving: asyncio.Task[None] | None = None

    async def observed(self, step: StepRecord) -> None:
        await self.saved()
        if self._keep:
            self._saving = asyncio.create_task(self._save_screenshot(step))
        self._record.steps = step.number
        seen = self._model(step)
        self._topic.publish(
            "observed",
            {
                "step": seen.number,
                "app": seen.app,
                "width": seen.width,
                "height": seen.height,
                "screenshot": seen.screenshot,
            },
        )

    def thought(self, number: int, text: str) -> None:
        self._topic.publish("thought", {"step": number, "text": visible(text)})

    async def decided(self, step: StepRecord) -> None:
        # The intention is on disk before the phone is touched.
        decided = self._model(step)
        await self._store.save_step(self._record.id, decided)
        self._topic.publish(
            "decided",
            {
                "step": decided.number,
                "thought": decided.thought,
                "action": decided.action,
                "summary": decided.summary,
            },
        )

    async def stepped(self, step: StepRecord) -> None:
        done = self._model(step)
        await self._store.save_step(self._record.id, done)
        self._topic.publish("step", done.model_dump(mode="json"))
        self._metrics.stepped(done)

    async def close(self) -> None:
        await self.saved()

    async def saved(self) -> None:
        """Wait until the last screenshot is on disk."""
        if self._saving is not None:  # shielded: a reader that gives up must not stop the writing
            await asyncio.shield(self._saving)

    async def _save_screenshot(self, step: StepRecord) -> None:
        jpeg = await asyncio.to_thread(step.observation.frame.jpeg, SCREENSHOT_SIDE)
        try:
            await self._store.save_screenshot(self._record.id, step.number, jpeg)
        except (
            OSError,
            DiskFull,
        ) as exc:  # a full disk does not end a task that can still write its steps
            log.warning("screenshot %d could not be kept: %s", step.number, exc)

    def _model(self, step: StepRecord) -> Step:
        decision, frame = step.decision, step.observation.frame
        return Step(
            number=step.number,
            app=step.observation.app,
            width=frame.width,
            height=frame.height,
            thought=decision.thought if decision else "",
            action=decision.action.model_dump(mode="json") if decision else None,
            summary=decision.action.describe() if decision else "",
            raw=step.raw,
            error=TaskError.of(step.error) if step.error else None,
            remark=step.remark,
            means=step.means,
            started_at=step.started_at,
            timings_ms={name: round(value, 1) for name, value in step.timings_ms.items()},
            tokens=step.tokens,
            screenshot=f"/tasks/{self._record.id}/steps/{step.number}/screenshot"
            if self._keep
            else "",
        )
