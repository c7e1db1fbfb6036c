"""The values of one step: the observation, the decision, the question to the person."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from app.agent.actions import Action
from app.agent.guard import Scene
from app.agent.screen import Frame
from app.errors import AppError, PolicyError, ReplyTruncated

QuestionKind = Literal["confirmation", "step", "question", "take_over", "stalled", "doubt"]


@dataclass(frozen=True)
class Observation:
    """What was seen before deciding; `app` is the name that the model is told."""

    frame: Frame
    app: str
    package: str = ""
    activity: str = ""


@dataclass(frozen=True)
class Decision:
    """What the model thinks and what it wants to do.

    `answer` is the action as the model wrote it, with what its dialect keeps of the rest, such as a
    conclusion; `raw` is the whole reply, unchanged.
    """

    thought: str
    answer: str
    action: Action
    raw: str


@dataclass(frozen=True)
class Question:
    """Something that only the person can decide or do; `action` waits for the answer, if any.

    Kinds: "confirmation" (may this be done?), "step" (the same, asked for every step), "question"
    (what does the person want?), "take_over" (something to be done by hand), "stalled" (continue?),
    "doubt" (the model says done, the second look disagrees: is it done?).
    """

    kind: QuestionKind
    text: str
    hint: str = ""
    action: Action | None = None
    said: str = ""
    """The model's own words about it; shown as the model's."""
    thought: str = ""
    """The model's thought before it; shown as the model's."""
    about: Scene | None = None
    """The screen under the finger, for a confirmation."""
    category: str = ""
    """The category that a rule saw, such as "pay"; "" if no rule asks."""


@dataclass(frozen=True)
class Answer:
    """`allowed` is also False if nobody answered in time; `text` is for the model."""

    allowed: bool
    text: str = ""
    reason: str = ""
    """Why it was not allowed, for the person; "" if the person refused."""


@dataclass
class Attempt:
    """The result of one request: a decision, or the error that prevented it."""

    raw: str = ""
    decision: Decision | None = None
    error: PolicyError | ReplyTruncated | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)


@dataclass
class StepRecord:
    """One step while it runs; `number` counts from 1, times are milliseconds."""

    number: int
    started_at: datetime
    observation: Observation
    decision: Decision | None = None
    raw: str = ""
    error: AppError | None = None
    remark: str = ""
    """What happened besides the action, for the person: a rule, a doubt, a note."""
    means: str = ""
    """By what the action was done on the phone: `scrcpy`, `input`, or the way a text was typed."""
    answer: str = ""
    """What the person said with a consent, for the model to read."""
    timings_ms: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Next:
    """The task continues. `told` is for the model to read with the next screen.

    `action` is what was done or tried, used to notice a stall; `touched` means that it reached the
    phone, so that its effect has to settle first. `by_hand` means that a person used the phone:
    everything known about it before is outdated.
    """

    told: str = ""
    action: Action | None = None
    touched: bool = False
    by_hand: bool = False
