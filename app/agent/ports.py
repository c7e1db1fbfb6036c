"""What the loop needs of the world: a phone, a model, and someone who writes down what happened.

The loop knows phones and models only through these Protocols; `app.main` plugs in the real ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from app.agent.history import Message
from app.agent.reply import Decision
from app.errors import AppError


class Frame(Protocol):
    """One screen image; sizes in pixels, `taken_at` in UTC."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def png(self) -> bytes: ...

    def scaled_png(self, width: int, height: int) -> bytes: ...

    def jpeg(self, max_side: int, quality: int = 80) -> bytes: ...

    def fingerprint(self) -> bytes:
        """A small picture of the screen, for comparing two frames byte by byte."""


class Foreground(Protocol):
    @property
    def package(self) -> str: ...

    @property
    def label(self) -> str | None: ...


class Device(Protocol):
    """A phone. Coordinates are whole pixels of the frame; every call raises DeviceError."""

    @property
    def serial(self) -> str: ...

    async def screenshot(self) -> Frame: ...

    async def current_app(self) -> Foreground: ...

    async def tap(self, x: int, y: int) -> None: ...

    async def double_tap(self, x: int, y: int) -> None: ...

    async def long_press(self, x: int, y: int, ms: int = 800) -> None: ...

    async def swipe(self, x1: int, y1: int, x2: int, y2: int, duration_ms: int = 300) -> None: ...

    async def type_text(self, text: str, clear: bool = True) -> None: ...

    async def back(self) -> None: ...

    async def home(self) -> None: ...

    async def launch(self, name: str) -> str: ...

    async def wake(self) -> None:
        """Switch the screen on and leave a lock screen without PIN; raises DeviceLocked."""

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait for a phone that dropped off, reconnecting where that is ours to do.

        Raises the DeviceError that still stands after `timeout_s` seconds.
        """


class Piece(Protocol):
    """Some text of a reply; `reasoning` marks what the engine split off as thought."""

    @property
    def text(self) -> str: ...

    @property
    def reasoning(self) -> bool: ...


class Completion(Protocol):
    """A reply as far as it has come."""

    @property
    def text(self) -> str: ...

    @property
    def reasoning(self) -> str: ...

    @property
    def finish_reason(self) -> str | None: ...

    @property
    def prompt_tokens(self) -> int: ...

    @property
    def completion_tokens(self) -> int: ...

    @property
    def cached_tokens(self) -> int: ...


class ReplyStream(Protocol):
    @property
    def completion(self) -> Completion: ...

    def __aiter__(self) -> AsyncIterator[Piece]: ...


class Chat(Protocol):
    """An engine. Leaving the block stops the generation; raises EngineError."""

    def ask(self, messages: Sequence[Message]) -> AbstractAsyncContextManager[ReplyStream]: ...


@dataclass(frozen=True)
class Observation:
    """What was seen before deciding."""

    frame: Frame
    app: str


@dataclass
class StepRecord:
    """One step while it happens; `number` counts from 1, times are milliseconds."""

    number: int
    started_at: datetime
    observation: Observation
    decision: Decision | None = None
    raw: str = ""
    error: AppError | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)


class Recorder(Protocol):
    """Writes down a task as it happens. Called in this order for each step; never concurrently."""

    async def observed(self, step: StepRecord) -> None:
        """The screen was taken."""

    def thought(self, number: int, text: str) -> None:
        """More of the model's thought came in; `text` is the new part. Must not wait."""

    async def decided(self, step: StepRecord) -> None:
        """The reply is complete, and read or refused (`error`); nothing was done yet."""

    async def stepped(self, step: StepRecord) -> None:
        """The action was carried out, or failed (`error`)."""
