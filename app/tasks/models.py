"""Tasks and steps as they are stored, sent over HTTP and streamed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.agent.loop import StopReason

Status = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
MAX_GOAL = 2_000


class NewTask(BaseModel):
    """What a caller asks for: `POST /tasks`. Absent limits come from the configuration."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"goal": "Turn on Bluetooth"}]},
    )

    goal: str = Field(description="What should be done on the phone, in plain words.")
    device: str | None = Field(default=None, description="Serial; may be left out with one phone.")
    max_steps: Annotated[int, Field(ge=1, le=500)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    lang: Literal["en", "zh"] | None = None

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


class TaskError(BaseModel):
    code: str
    message: str
    hint: str = ""


class Task(BaseModel):
    """One goal on one device. `message` is the model's last word, or why it stopped."""

    id: str
    goal: str
    device: str
    status: Status
    stop_reason: StopReason | None = None
    message: str = ""
    error: TaskError | None = None
    max_steps: int
    timeout_s: float
    lang: Literal["en", "zh"]
    profile: str = ""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    steps: int = 0


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
    started_at: datetime
    timings_ms: dict[str, float] = {}
    tokens: dict[str, int] = {}
    screenshot: str = ""
    """Path of the screenshot's route; filled in by the API."""
