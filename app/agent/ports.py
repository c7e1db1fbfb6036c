"""What the loop needs of the world: a phone, a model, and someone who writes down what happened.

The loop knows phones and models only through these Protocols; `app.main` plugs in the real ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from app.agent.actions import Action
from app.agent.history import Message
from app.agent.reply import Decision
from app.errors import AppError

QuestionKind = Literal["confirmation", "step", "question", "take_over", "stalled", "doubt"]


class Frame(Protocol):
    """One screen image; sizes in pixels, `taken_at` in UTC."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def png(self) -> bytes: ...

    def scaled_png(self, width: int, height: int) -> bytes: ...

    def jpeg(self, max_side: int, quality: int = 80) -> bytes: ...

    def masked(self, boxes: Sequence[tuple[int, int, int, int]]) -> Frame:
        """The same screen with these boxes (left, top, right, bottom in pixels) painted over."""

    def fingerprint(self) -> bytes:
        """A small picture of the screen, for comparing two frames byte by byte."""


class Foreground(Protocol):
    @property
    def package(self) -> str: ...

    @property
    def activity(self) -> str: ...

    @property
    def label(self) -> str | None: ...


class ShownText(Protocol):
    """A text on the screen; `box` is left, top, right and bottom in pixels."""

    @property
    def text(self) -> str: ...

    @property
    def box(self) -> tuple[int, int, int, int]: ...

    @property
    def password(self) -> bool: ...

    @property
    def focused(self) -> bool: ...


class Device(Protocol):
    """A phone. Coordinates are whole pixels of the frame; every call raises DeviceError."""

    @property
    def serial(self) -> str: ...

    async def screenshot(self) -> Frame: ...

    async def shown_texts(self) -> Sequence[ShownText]:
        """Every text on the screen; raises ScreenshotUnavailable when the phone does not tell."""

    async def current_app(self) -> Foreground: ...

    async def tap(self, x: int, y: int) -> None: ...

    async def double_tap(self, x: int, y: int) -> None: ...

    async def long_press(self, x: int, y: int, ms: int = 800) -> None: ...

    async def swipe(self, x1: int, y1: int, x2: int, y2: int, duration_ms: int = 300) -> None: ...

    async def type_text(self, text: str, clear: bool = True) -> None: ...

    async def back(self) -> None: ...

    async def home(self) -> None: ...

    async def find_app(self, name: str) -> str:
        """The package that a name means on this phone; raises AppNotFound."""

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
    """An engine, as one phone's task asks it; raises EngineError.

    Leaving the block stops the generation.
    """

    @property
    def context(self) -> int:
        """Tokens of one sequence, prompt and reply together; 0 when it is not known."""

    def ask(
        self, messages: Sequence[Message], *, grammar: str = ""
    ) -> AbstractAsyncContextManager[ReplyStream]:
        """`grammar` (GBNF) is left out for an engine that does not know such."""

    async def count(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt with its image; 0 where the engine does not tell."""

    async def warm(self, messages: Sequence[Message]) -> None:
        """Have the engine read the beginning of the next request ahead, where it can keep it."""


@dataclass(frozen=True)
class Observation:
    """What was seen before deciding; `app` is the name that the model is told."""

    frame: Frame
    app: str
    package: str = ""
    activity: str = ""


@dataclass(frozen=True)
class Question:
    """Something that only the person can decide or do; `action` waits for the answer, if any.

    Kinds: "confirmation" (may this be done?), "step" (the same, asked for every step), "question"
    (what does the person want?), "take_over" (something to be done by hand), "stalled" (go on?),
    "doubt" (the model says done, a second look says not: is it?).
    """

    kind: QuestionKind
    text: str
    hint: str = ""
    action: Action | None = None


@dataclass(frozen=True)
class Answer:
    """`allowed` is False also when nobody answered in time; `text` is for the model."""

    allowed: bool
    text: str = ""
    reason: str = ""
    """Why it was not allowed, for the person: "" for a person's own no."""


class Person(Protocol):
    async def ask(self, question: Question) -> Answer:
        """Wait for the person. A time-out is a refusal."""


@dataclass(frozen=True)
class Nobody:
    """There is no person to ask. With `allows` what only needs consent is done, the rest refused:
    nobody can answer a question or take over."""

    allows: bool = False

    async def ask(self, question: Question) -> Answer:
        return Answer(self.allows and question.kind in ("confirmation", "step"))


@dataclass
class StepRecord:
    """One step while it happens; `number` counts from 1, times are milliseconds."""

    number: int
    started_at: datetime
    observation: Observation
    decision: Decision | None = None
    raw: str = ""
    error: AppError | None = None
    remark: str = ""
    """What happened besides the action, for the person: a rule, a doubt, a note."""
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
