"""Tasks and steps as they are stored, sent over HTTP and streamed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from app.agent.outcome import Mode, StopReason
from app.agent.step import QuestionKind

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
MAX_GOAL = 2_000
MAX_REPLY = 2_000
OPEN: tuple[Status, ...] = ("queued", "running", "paused", "needs_confirmation", "needs_human")
"""The states of a task that has not ended."""
SecretName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
AppName = Annotated[str, Field(min_length=1, max_length=200)]


class NewTask(BaseModel):
    """What a caller asks for: `POST /tasks`. Absent limits come from the configuration."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"goal": "Turn on Bluetooth"}]},
    )

    goal: str = Field(description="What should be done on the phone, in plain words.")
    device: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="Serial; `any` for whichever phone is free first; may be left out with one.",
    )
    priority: Annotated[int, Field(ge=-10, le=10)] = Field(
        default=0, description="Of the tasks that wait for a phone the highest goes first."
    )
    max_steps: Annotated[int, Field(ge=1, le=500)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    lang: Literal["en", "zh"] | None = None
    confirm: Confirm | None = Field(
        default=None,
        description="Who decides on sensitive actions: the person is asked, or all are refused, "
        "or all allowed. Other questions of the model need `ask`.",
    )
    allowed_apps: list[AppName] | None = Field(
        default=None,
        max_length=50,
        description="Names or packages of the only apps that may be touched.",
    )
    mode: Mode = Field(
        default="auto",
        description="`step` asks before each action; `dry_run` decides once and touches nothing.",
    )
    follows: str | None = Field(
        default=None,
        max_length=64,
        description="Id of an ended task whose conversation goes on with this goal, on its phone.",
    )

    callback_url: Annotated[str, Field(max_length=2_000)] | None = Field(
        default=None,
        description="Told by a signed POST when the task asks something, and when it has ended.",
    )

    secrets: dict[SecretName, SecretStr] = Field(
        default={},
        max_length=20,
        description="What `{{secret:NAME}}` in the goal stands for. Kept in memory only, typed on "
        "the phone, and shown to nobody: not to the model, not in records or pictures.",
    )
    secret_fields: Literal["password", "any"] = Field(
        default="password",
        description="Where secrets may be typed: only in password fields, or anywhere. Elsewhere "
        "one may stay readable on the phone, and in pictures of it, once the task has ended.",
    )

    @field_validator("callback_url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        return _callback(url)

    @field_validator("goal")
    @classmethod
    def _meaningful(cls, goal: str) -> str:
        goal = goal.strip()
        if not goal:
            raise ValueError("the goal is empty")
        if len(goal) > MAX_GOAL:
            raise ValueError(f"the goal is longer than {MAX_GOAL} characters")
        if any(ord(c) < 32 and c not in "\n\t" for c in goal):
            raise ValueError("the goal holds control characters")
        return goal


def _callback(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("the callback_url is no http or https URL without a user name")
    if any(ord(c) < 33 for c in url):
        raise ValueError("the callback_url holds spaces or control characters")
    return url


class Reply(BaseModel):
    """The person's answer to the open question of a task: `POST /tasks/{id}/reply`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"allow": True}]})

    allow: bool = Field(description="Yes, done, go on; or no, which ends most tasks.")
    text: str = Field(default="", max_length=MAX_REPLY, description="For the model to read.")
    question: int | None = Field(
        default=None, description="Number of the question; an answer to another one is refused."
    )


class OpenQuestion(BaseModel):
    """What a task waits for. `action`, if any, is done when the answer allows it.

    Kinds: confirmation, step, question, take_over, stalled, doubt.
    """

    number: int
    kind: QuestionKind
    text: str
    hint: str = ""
    action: dict[str, Any] | None = None
    asked_at: datetime
    timeout_s: float
    """Without an answer for so many seconds the question counts as refused."""


class TaskError(BaseModel):
    code: str
    message: str
    hint: str = ""


class Task(BaseModel):
    """One goal on one device. `message` is the model's last word, or why it stopped."""

    id: str
    goal: str
    device: str
    """Serial of the phone; "any" until the task has got one."""
    priority: int = 0
    status: Status
    stop_reason: StopReason | None = None
    message: str = ""
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
    secret_fields: Literal["password", "any"] = "password"
    question: OpenQuestion | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
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
    app: str
    width: int
    height: int
    thought: str = ""
    action: dict[str, Any] | None = None
    summary: str = ""
    raw: str = ""
    error: TaskError | None = None
    remark: str = ""
    started_at: datetime
    timings_ms: dict[str, float] = {}
    tokens: dict[str, int] = {}
    screenshot: str = ""
    """Path of the screenshot's route; filled in by the API."""
