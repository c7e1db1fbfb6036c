"""Tasks and steps as the program uses them, sends them over HTTP and streams them.

All texts for people have been stripped of invisible and direction-changing characters, whoever
wrote them. Only `Step.raw` is unchanged: exactly what the model sent.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel

from app.agent.outcome import Mode, StopReason
from app.agent.step import QuestionKind
from app.errors import AppError
from app.visible import visible

Status = Literal[
    "queued",
    "running",
    "paused",
    "needs_confirmation",
    "needs_human",
    "succeeded",
    "failed",
    "cancelled",
    "interrupted",
]
Confirm = Literal["ask", "deny", "allow"]
Shown = Annotated[str, AfterValidator(visible)]
"""A text for people."""
OPEN: tuple[Status, ...] = ("queued", "running", "paused", "needs_confirmation", "needs_human")
"""The states of a task that has not ended."""


class OpenQuestion(BaseModel):
    """What a task waits for. `action`, if any, is done if the answer allows it.

    Kinds: confirmation, step, question, take_over, stalled, doubt. `text` is the question.
    `category`, `app`, `page` and `label` are what the rule behind it saw: the kind of action
    ("pay"; "model" if only the model asks), the app, the page and the text under the finger. `said`
    and `thought` are the model's own words, which may be wrong or meant to mislead.
    """

    number: int
    kind: QuestionKind
    text: Shown
    hint: Shown = ""
    action: dict[str, Any] | None = None
    category: str = ""
    app: Shown = ""
    page: Shown = ""
    label: Shown = ""
    said: Shown = ""
    thought: Shown = ""
    asked_at: AwareDatetime
    timeout_s: float
    """Seconds without an answer after which the question counts as refused."""


class TaskError(BaseModel):
    code: str
    message: Shown
    hint: Shown = ""

    @classmethod
    def of(cls, error: AppError) -> TaskError:
        return cls(code=error.code, message=error.message, hint=error.hint)


class Task(BaseModel):
    """One goal on one device. `message` is the model's last message, or why the task stopped."""

    id: str
    goal: Shown
    device: str
    """Serial of the phone; "any" until the task gets one."""
    priority: int = 0
    status: Status
    stop_reason: StopReason | None = None
    message: Shown = ""
    error: TaskError | None = None
    max_steps: int
    timeout_s: float
    lang: Literal["en", "zh"]
    profile: str = ""
    confirm: Confirm = "ask"
    allowed_apps: list[str] = []
    mode: Mode = "auto"
    follows: str | None = None
    callback_url: str | None = None
    """Visible only to the task's owner and to admins."""
    secret_fields: Literal["password", "any"] = "password"
    question: OpenQuestion | None = None
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    steps: int = 0
    restarts: int = 0
    """How often the service stopped while the task was running."""


class Step(BaseModel):
    """One observe-decide-act turn, numbered from 1. Times are milliseconds.

    `action` is the typed action as JSON with a `kind`, and `summary` the same in words; both are
    missing if the reply could not be parsed (`error` then says why). Coordinates in `action` are
    thousandths of the screen, `width` and `height` are the screen's size in pixels.
    """

    number: int
    app: Shown
    width: int
    height: int
    thought: Shown = ""
    action: dict[str, Any] | None = None
    summary: Shown = ""
    raw: str = ""
    error: TaskError | None = None
    remark: Shown = ""
    means: Shown = ""
    """By what the action was done on the phone: `scrcpy`, `input`, or the way a text was typed."""
    started_at: AwareDatetime
    timings_ms: dict[str, float] = {}
    tokens: dict[str, int] = {}
    screenshot: str = ""
    """Path of the screenshot's route; filled in by the API."""
