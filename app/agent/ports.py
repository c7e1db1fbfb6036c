"""What the loop needs of the world: a phone, a model, and someone who writes down what happened.

The loop knows phones and models only through these Protocols; `app.main` plugs in the real ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from app.agent.screen import Foreground, Frame, ShownText
from app.agent.step import Answer, Attempt, Observation, Question, StepRecord

Message = dict[str, Any]
"""One message of a chat completion request, as OpenAI's API has it."""


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

    async def drag(self, x1: int, y1: int, x2: int, y2: int, duration_ms: int = 2000) -> None:
        """Hold what lies at the first point, and let go of it at the second."""

    async def type_text(self, text: str, clear: bool = True) -> None: ...

    async def press(self, key: str) -> None:
        """Press a key by its name; raises InputError for one that the phone does not have."""

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


class Policy(Protocol):
    """Decides what to do next; one object for one task. Raises EngineError."""

    async def decide(
        self, observation: Observation, told: str, on_thought: Callable[[str], None]
    ) -> Attempt:
        """One decision, or the error that says why there is none.

        `told` is what the last step leaves for the model to read, "" for nothing; `on_thought`
        gets the pieces of the thought as they come and must not wait.
        """

    async def warm(self) -> None:
        """Prepare the next decision while the phone acts."""

    def misread(self, reason: str) -> str:
        """What the model is told after a reply that could not be used, in its own terms."""

    def doubted(self) -> None:
        """The last decision said done and is not believed."""


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
