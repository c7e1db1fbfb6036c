"""Turns a request into a task: validates it and chooses its phone, limits and conversation."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, field_validator

from app.agent.outcome import Mode
from app.errors import InputError
from app.request_body import RequestBody
from app.tasks.models import OPEN, Confirm, Task
from app.tasks.ports import Fleet
from app.tasks.queue import ANY
from app.tasks.stored import TaskRecord

MAX_GOAL = 2_000
MAX_REPLY = 2_000
SecretName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
AppName = Annotated[str, Field(min_length=1, max_length=200)]


class NewTask(RequestBody):
    """The body of `POST /tasks`. Missing limits come from the configuration."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"goal": "Turn on Bluetooth"}]})

    goal: str = Field(description="What should be done on the phone, in plain words.")
    device: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="Serial; `any` for whichever phone is free first; optional with only one.",
    )
    priority: Annotated[int, Field(ge=-10, le=10)] = Field(
        default=0, description="The waiting task with the highest priority gets a phone first."
    )
    max_steps: Annotated[int, Field(ge=1, le=500)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    lang: Literal["en", "zh"] | None = None
    confirm: Confirm | None = Field(
        default=None,
        description="Who decides on sensitive actions: the person is asked, all are refused, or "
        "all are allowed. Other questions of the model need `ask`.",
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
        description="Id of an ended task whose conversation this goal continues, on its phone.",
    )

    callback_url: Annotated[str, Field(max_length=2_000)] | None = Field(
        default=None,
        description="Gets a signed POST when the task asks something, and when it has ended.",
    )

    secrets: dict[SecretName, SecretStr] = Field(
        default={},
        max_length=20,
        description="The values of `{{secret:NAME}}` in the goal. Kept in memory only, typed on "
        "the phone, and never shown: not to the model, not in records or pictures.",
    )
    secret_fields: Literal["password", "any"] = Field(
        default="password",
        description="Where these secrets may be typed: only in password fields, or anywhere. "
        "Elsewhere a secret may stay readable on the phone, and in pictures of it, after the task "
        "has ended. Secrets from the service's environment follow its own configuration.",
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
            raise ValueError("the goal contains control characters")
        return goal


def _callback(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # an unclosed bracket
        usable = False
    if not usable or parts.username is not None:
        raise ValueError("callback_url must be an http or https URL without a user name")
    if any(ord(c) < 33 for c in url):
        raise ValueError("callback_url contains spaces or control characters")
    return url


class Reply(RequestBody):
    """The person's answer to a task's open question: `POST /tasks/{id}/reply`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"allow": True}]})

    allow: bool = Field(description="Yes, done, continue; or no, which ends most tasks.")
    text: str = Field(default="", max_length=MAX_REPLY, description="For the model to read.")
    question: int | None = Field(
        default=None, description="Number of the question; an answer to another one is rejected."
    )


class Defaults(Protocol):
    """The part of the configuration that tasks depend on."""

    @property
    def lang(self) -> Literal["en", "zh"]: ...

    @property
    def max_steps(self) -> int: ...

    @property
    def timeout_s(self) -> float: ...

    @property
    def confirm(self) -> Confirm: ...

    @property
    def reply_timeout_s(self) -> float: ...

    @property
    def resume_within_s(self) -> float: ...


class TaskMaker:
    """Creates tasks from requests. `find` returns a task, open or ended; raises TaskNotFound."""

    def __init__(
        self, fleet: Fleet, defaults: Callable[[], Defaults], find: Callable[[str], Awaitable[Task]]
    ) -> None:
        self._fleet = fleet
        self._defaults = defaults
        self._find = find

    async def make(self, new: NewTask, task_id: str, owner: str, profile: str) -> TaskRecord:
        """Create the task. Raises DeviceError if no phone fits, InputError if it cannot follow."""
        followed = await self._followed(new)
        device = await self._device(followed.device if followed else new.device)
        defaults = self._defaults()
        return TaskRecord(
            id=task_id,
            owner=owner,
            goal=new.goal,
            device=device,
            priority=new.priority,
            status="queued",
            max_steps=new.max_steps or defaults.max_steps,
            timeout_s=new.timeout_s or defaults.timeout_s,
            lang=new.lang or (followed.lang if followed else defaults.lang),
            profile=profile,
            confirm=new.confirm or defaults.confirm,
            allowed_apps=new.allowed_apps or [],
            mode=new.mode,
            follows=new.follows,
            callback_url=new.callback_url,
            secret_fields=new.secret_fields,
            created_at=datetime.now(UTC),
        )

    async def _device(self, wanted: str | None) -> str:
        """Return the serial of the wanted phone. For `any`, at least one must be ready now."""
        if wanted == ANY:
            if any(phone.state == "device" for phone in await self._fleet.phones()):
                return ANY
            wanted = None
        return (await self._fleet.choose(wanted)).serial

    async def _followed(self, new: NewTask) -> Task | None:
        if new.follows is None:
            return None
        followed = await self._find(new.follows)
        if followed.status in OPEN:
            raise InputError(
                f"task {followed.id} has not ended yet",
                "Wait for it, or answer its question with POST /tasks/{id}/reply.",
            )
        if new.device not in (None, followed.device):
            raise InputError(f"task {followed.id} ran on {followed.device}", "Leave `device` out.")
        return followed


def new_id() -> str:
    return secrets.token_hex(8)
