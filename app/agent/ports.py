"""What the loop needs from outside: a phone, a model, a person and a recorder.

The loop knows phones and models only through these Protocols; `app.main` plugs in the real ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from app.agent.screen import Foreground, Frame, ShownText
from app.agent.step import Answer, Attempt, Observation, Question, StepRecord
from app.errors import EngineError

Message = dict[str, Any]
"""One message of a chat completion request, in the form of OpenAI's API."""


class Device(Protocol):
    """A phone. Coordinates are whole pixels of the frame; every call raises DeviceError. Gestures,
    keys and texts return by what they were done, for the record."""

    @property
    def serial(self) -> str: ...

    async def screenshot(self) -> Frame: ...

    async def shown_texts(self) -> Sequence[ShownText]:
        """Every text on the screen; raises ScreenshotUnavailable if the phone reports none."""

    async def current_app(self) -> Foreground: ...

    async def tap(self, x: int, y: int) -> str: ...

    async def double_tap(self, x: int, y: int) -> str: ...

    async def long_press(self, x: int, y: int, ms: int = 800) -> str: ...

    async def swipe(self, x1: int, y1: int, x2: int, y2: int, duration_ms: int = 300) -> str: ...

    async def drag(self, x1: int, y1: int, x2: int, y2: int, duration_ms: int = 2000) -> str:
        """Hold the item at the first point, and release it at the second."""

    async def type_text(self, text: str, clear: bool = True, private: bool = False) -> str:
        """Type into the focused field; a `private` text is put nowhere else, such as in the
        clipboard."""

    async def press(self, key: str) -> str:
        """Press a key by name; raises InputError for a key that the phone does not have."""

    async def back(self) -> str: ...

    async def home(self) -> str: ...

    async def find_app(self, name: str) -> str:
        """Return the package that a name means on this phone; raises AppNotFound."""

    async def launch(self, name: str) -> str: ...

    async def wake(self) -> None:
        """Switch the screen on and dismiss a lock screen without PIN; raises DeviceLocked."""

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait for a disconnected phone, reconnecting it if that is the program's job.

        Raises the DeviceError that remains after `timeout_s` seconds.
        """


class Piece(Protocol):
    """A piece of a reply's text; `reasoning` is true for what the engine separated as thought."""

    @property
    def text(self) -> str: ...

    @property
    def reasoning(self) -> bool: ...


class Completion(Protocol):
    """A reply as far as it has arrived."""

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
    """An engine, for the task of one phone; raises EngineError.

    Leaving the block stops the generation.
    """

    @property
    def context(self) -> int:
        """Tokens of one sequence, prompt and reply together; 0 if unknown."""

    @property
    def pauses(self) -> Sequence[float]:
        """Seconds to wait before each repetition of a request that failed for a while."""

    def switch(self, error: EngineError) -> str:
        """Leave the engine of the last request, which failed with `error`, for another one. Return
        its name; "" if there is none, or the error is about the request."""

    def ask(
        self, messages: Sequence[Message], *, grammar: str = ""
    ) -> AbstractAsyncContextManager[ReplyStream]:
        """Request a reply. `grammar` (GBNF) is left out if the engine does not support grammars."""

    async def count(self, messages: Sequence[Message]) -> int:
        """Count the tokens of a prompt with its image; 0 if the engine cannot."""

    async def warm(self, messages: Sequence[Message]) -> None:
        """Have the engine evaluate the beginning of the next request, if it can cache it."""


class Person(Protocol):
    async def ask(self, question: Question) -> Answer:
        """Wait for the person. A timeout is a refusal."""


@dataclass(frozen=True)
class Nobody:
    """Stands in if there is no person to ask. With `allows`, an action that only needs consent is
    done; everything else is refused, because nobody can answer a question or take over."""

    allows: bool = False

    async def ask(self, question: Question) -> Answer:
        return Answer(self.allows and question.kind in ("confirmation", "step"))


class Policy(Protocol):
    """Decides what to do next; one object per task. Raises EngineError."""

    async def decide(
        self, observation: Observation, told: str, on_thought: Callable[[str], None]
    ) -> Attempt:
        """Make one decision, or return the error that prevented it.

        `told` is the last step's message to the model, "" for none; `on_thought` gets the pieces of
        the thought as they arrive and must not wait.
        """

    async def warm(self) -> None:
        """Prepare the next decision while the phone acts."""

    def misread(self, reason: str) -> str:
        """What the model is told after an unusable reply, in its own terms."""

    def doubted(self) -> None:
        """The last decision claimed success and was not believed."""


class Recorder(Protocol):
    """Records a task as it runs. Called in this order for each step; never concurrently."""

    async def observed(self, step: StepRecord) -> None:
        """The screenshot was taken."""

    def thought(self, number: int, text: str) -> None:
        """More of the model's thought arrived; `text` is the new part. Must not wait."""

    async def decided(self, step: StepRecord) -> None:
        """The reply is complete, and parsed or rejected (`error`); nothing was done yet."""

    async def stepped(self, step: StepRecord) -> None:
        """The action was carried out, or failed (`error`)."""
