"""Tasks and steps as they are known to the program, sent over HTTP and streamed.

Every text in them that a person will read has lost its invisible and direction-changing characters,
whoever wrote it. `Step.raw` alone is what the model sent, untouched.
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
    """What a task waits for. `action`, if any, is done when the answer allows it.

    Kinds: confirmation, step, question, take_over, stalled, doubt. `text` says what is asked.
    `category`, `app`, `page` and `label` are what the rule saw that asks: the kind of thing ("pay";
    "model" when only the model asks), and the app, the page and the text under the finger. `said`
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
    """Without an answer for this many seconds the question counts as refused."""


class TaskError(BaseModel):
    code: str
    message: Shown
    hint: Shown = ""

    @classmethod
    def of(cls, error: AppError) -> TaskError:
        return cls(code=error.code, message=error.message, hint=error.hint)


class Task(BaseModel):
    """One goal on one device. `message` is the model's last word, or why it stopped."""

    id: str
    goal: Shown
    device: str
    """Serial of the phone; "any" until the task has got one."""
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
    """Told to whoever gave the task and to admins."""
    secret_fields: Literal["password", "any"] = "password"
    question: OpenQuestion | None = None
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    steps: int = 0
    restarts: int = 0
    """How often the service was ended while the task was running."""


class Step(BaseModel):
    """One observe-decide-act turn, numbered from 1. Times are milliseconds.

    `action` is the typed action as JSON with a `kind`, and `summary` the same in words; both are
    missing when the reply could not be read (`error` then says why). Coordinates in `action` are
    thousandths of the screen, `width` and `height` the screen's size in pixels.
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
    started_at: AwareDatetime
    timings_ms: dict[str, float] = {}
    tokens: dict[str, int] = {}
    screenshot: str = ""
    """Path of the screenshot's route; filled in by the API."""
