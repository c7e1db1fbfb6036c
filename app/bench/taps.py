"""Measures how precisely a model taps, by asking for known places as a task would.

Quantising a model shifts its coordinates, and so do wrong preprocessing and a wrong engine, before
any of them makes its sentences worse. So the error is reported with its direction: a bias to one
side is a fault of the pipeline, a wide spread one of the model.
"""

from __future__ import annotations

import statistics
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import hypot
from pathlib import Path
from typing import Literal

from app.agent.actions import Tap
from app.agent.execute import to_pixels
from app.agent.step import Attempt, Observation
from app.bench.report import marked
from app.bench.targets import KINDS, Shown, targets
from app.errors import ConfigError
from app.llm.engine import Engine
from app.settings import Settings
from app.tasks.equipment import Equipment
from app.tasks.models import Task
from app.wiring import engines_of, equipment_of

FIRST_SEED = 7000
"""Phones that the demo model was not trained on: training uses seeds from a million on."""
Outcome = Literal["hit", "miss", "no tap", "unreadable"]


@dataclass(frozen=True)
class Answer:
    """The result of one question. `dx` and `dy` are thousandths of the screen, positive to the
    right and down, None if there was no tap; `dx` is also None for a row, which has no centre in
    x."""

    seed: int
    kind: str
    goal: str
    outcome: Outcome
    reply: str
    ms: float
    tap: tuple[int, int] | None = None
    """In pixels."""
    dx: float | None = None
    dy: float | None = None

    @property
    def error(self) -> float | None:
        """Distance from the target's centre in thousandths."""
        return None if self.dy is None else hypot(self.dx or 0.0, self.dy)


@dataclass(frozen=True)
class Figures:
    """Errors and biases in thousandths of the screen, None if nothing was tapped. The error's 95th
    percentile is the nearest rank; the biases are medians, so that a single tap on something else
    does not cause one."""

    count: int
    hits: int
    unreadable: int
    no_tap: int
    median_error: float | None
    p95_error: float | None
    bias_x: float | None
    bias_y: float | None
    ms_per_reply: float

    @classmethod
    def of(cls, answers: Iterable[Answer]) -> Figures:
        """Compute the figures of at least one answer."""
        rows = list(answers)
        errors = sorted(row.error for row in rows if row.error is not None)
        outcomes = [row.outcome for row in rows]
        return cls(
            count=len(rows),
            hits=outcomes.count("hit"),
            unreadable=outcomes.count("unreadable"),
            no_tap=outcomes.count("no tap"),
            median_error=_median(errors),
            p95_error=round(errors[-(-95 * len(errors) // 100) - 1], 1) if errors else None,
            bias_x=_median([row.dx for row in rows if row.dx is not None]),
            bias_y=_median([row.dy for row in rows if row.dy is not None]),
            ms_per_reply=round(statistics.median(row.ms for row in rows), 1),
        )


def _median(values: list[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None


def by_kind(answers: list[Answer]) -> dict[str, Figures]:
    """Return the figures of each kind of target that was asked for."""
    groups = {kind: [answer for answer in answers if answer.kind == kind] for kind in KINDS}
    return {kind: Figures.of(group) for kind, group in groups.items() if group}


def model_name(settings: Settings) -> str:
    """Return the name of the model's file, or of the model that a remote engine is asked for."""
    model = settings.engine.model
    return model.name if model is not None else settings.engine.alias


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[Equipment]:
    """Start the configured engine and yield its equipment once it is ready. Raises EngineError."""
    async with AsyncExitStack() as stack:
        engine = Engine(settings.engine)
        stack.push_async_callback(engine.aclose)
        engines = engines_of(settings, engine)
        engine.before_stop(engines.members[0].client.close_streams)
        stack.push_async_callback(engines.aclose)
        await engine.ensure_ready()
        yield equipment_of(settings, engines)


async def measure(
    settings: Settings,
    count: int,
    *,
    save: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Answer]:
    """Ask for `count` taps; `save` is a folder for pictures of misses.

    Raises EngineError, and ConfigError for a missing prompt or a folder that cannot be created.
    """
    if save is not None:
        _make(save)
    answers = []
    prompt, lang = settings.profile.prompt, settings.agent.lang
    async with asking(settings) as assignments:
        for number, shown in enumerate(targets(count, FIRST_SEED, prompt), 1):
            goal = shown.goal(prompt)
            policy = assignments.policy(_task(goal, lang))
            attempt = await policy.decide(Observation(shown.frame, shown.app), "", _unheard)
            answer = judged(shown, goal, attempt)
            answers.append(answer)
            progress(f"{number} of {count}: {answer.outcome}, {goal}")
            if save is not None and answer.outcome != "hit":
                picture = marked(shown.frame.image, shown.target.box, answer.tap)
                path = save / f"{number:04}-{answer.outcome.replace(' ', '-')}.png"
                path.write_bytes(picture)
    return answers


def judged(shown: Shown, goal: str, attempt: Attempt) -> Answer:
    """Compare a reply with the target that was asked for."""
    ms = round(attempt.timings_ms["request"], 1)
    if attempt.decision is None:
        return Answer(shown.seed, shown.target.kind, goal, "unreadable", attempt.raw, ms)
    action = attempt.decision.action
    if not isinstance(action, Tap):
        return Answer(shown.seed, shown.target.kind, goal, "no tap", attempt.raw, ms)
    frame, target = shown.frame, shown.target
    tap = to_pixels(action.element, frame)
    x, y = target.middle
    return Answer(
        shown.seed,
        target.kind,
        goal,
        "hit" if target.holds(*tap) else "miss",
        attempt.raw,
        ms,
        tap,
        None if x is None else round(action.element[0] - 1000 * x / frame.width, 1),
        round(action.element[1] - 1000 * y / frame.height, 1),
    )


def _task(goal: str, lang: Literal["en", "zh"]) -> Task:
    return Task(
        id="bench",
        goal=goal,
        device="",
        status="running",
        max_steps=1,
        timeout_s=3600,
        lang=lang,
        created_at=datetime.now(UTC),
    )


def _unheard(_thought: str) -> None:
    """Ignore the thought, which is also in the reply."""


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(
            f"{folder} cannot be made: {exc.strerror}", "Choose another one."
        ) from exc
