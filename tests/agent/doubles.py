"""A scripted model and a phone that only remembers: for faults that real parts cannot be made to
show, and for orders of events that must be exact."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from app.agent.conduct import Conduct
from app.agent.dialects.autoglm import AUTOGLM
from app.agent.dialects.base import Dialect
from app.agent.history import History
from app.agent.loop import run_loop
from app.agent.outcome import Limits, Outcome
from app.agent.policy import VisionPolicy
from app.agent.ports import Message
from app.agent.retry import AT_ONCE
from app.agent.screen import ShownText
from app.agent.step import Answer, Question, StepRecord
from app.errors import AppError, EngineError, ScreenshotUnavailable


@dataclass(frozen=True)
class PlainFrame:
    width: int = 1080
    height: int = 2400
    content: bytes = b"screen"

    def png(self) -> bytes:
        return b"png " + self.content

    def scaled_png(self, width: int, height: int) -> bytes:
        return f"png {width}x{height} ".encode() + self.content

    def scaled_jpeg(self, width: int, height: int, quality: int) -> bytes:
        return b"\xff\xd8\xff jpeg " + self.content

    def jpeg(self, max_side: int, quality: int = 80) -> bytes:
        return b"jpeg " + self.content

    def masked(self, boxes: Sequence[tuple[int, int, int, int]]) -> PlainFrame:
        return replace(self, content=b"masked " + self.content)

    def fingerprint(self) -> bytes:
        return self.content


@dataclass(frozen=True)
class App:
    package: str = "com.android.settings"
    label: str | None = "Settings"
    activity: str = ".Settings"


@dataclass
class RememberingDevice:
    """Notes every call; `faults` maps a call's name to the error that it raises."""

    serial: str = "phone"
    calls: list[tuple[object, ...]] = field(default_factory=list)
    faults: dict[str, AppError] = field(default_factory=dict)
    comes_back: bool = True
    waits: int = 0
    screens: list[bytes] = field(default_factory=list)
    """What the next screenshots show; the last one stays."""
    app: App = App()
    texts: Sequence[ShownText] | None = None

    async def _call(self, name: str, *arguments: object) -> str:
        self.calls.append((name, *arguments))
        if name in self.faults:
            raise self.faults[name]
        return "double"

    async def screenshot(self) -> PlainFrame:
        if "screenshot" in self.faults:
            raise self.faults["screenshot"]
        if not self.screens:
            return PlainFrame(content=f"after {len(self.calls)} calls".encode())
        return PlainFrame(content=self.screens.pop(0) if self.screens[1:] else self.screens[0])

    async def shown_texts(self) -> Sequence[ShownText]:
        if self.texts is None:
            raise ScreenshotUnavailable("the phone did not report the text on its screen")
        return self.texts

    async def current_app(self) -> App:
        return self.app

    async def tap(self, x: int, y: int) -> str:
        return await self._call("tap", x, y)

    async def double_tap(self, x: int, y: int) -> str:
        return await self._call("double_tap", x, y)

    async def long_press(self, x: int, y: int, ms: int = 800) -> str:
        return await self._call("long_press", x, y, ms)

    async def swipe(self, x1: int, y1: int, x2: int, y2: int, duration_ms: int = 300) -> str:
        return await self._call("swipe", x1, y1, x2, y2)

    async def drag(self, x1: int, y1: int, x2: int, y2: int, duration_ms: int = 2000) -> str:
        return await self._call("drag", x1, y1, x2, y2)

    async def type_text(self, text: str, clear: bool = True, private: bool = False) -> str:
        return await self._call("type_text", text, *(() if clear else ("kept",)))

    async def press(self, key: str) -> str:
        return await self._call("press", key)

    async def back(self) -> str:
        return await self._call("back")

    async def home(self) -> str:
        return await self._call("home")

    async def find_app(self, name: str) -> str:
        return name

    async def launch(self, name: str) -> str:
        await self._call("launch", name)
        return name

    async def wake(self) -> None:
        if fault := self.faults.get("wake"):
            raise fault

    async def wait_ready(self, timeout_s: float) -> None:
        self.waits += 1
        if fault := self.faults.get("wait_ready"):
            raise fault
        self.faults.pop("tap" if self.comes_back else "", None)


@dataclass(frozen=True)
class Words:
    text: str
    reasoning: bool = False


@dataclass
class Told:
    text: str
    finish_reason: str | None = "stop"
    reasoning: str = ""
    prompt_tokens: int = 100
    completion_tokens: int = 20
    cached_tokens: int = 60


class Spoken:
    def __init__(self, told: Told) -> None:
        self._text = told.text
        self.completion = replace(told, text="")

    async def __aiter__(self) -> AsyncIterator[Words]:
        for start in range(0, len(self._text), 7):
            await asyncio.sleep(0)
            piece = self._text[start : start + 7]
            self.completion.text += piece
            yield Words(piece)


class ScriptedChat:
    """Gives the replies in order, and keeps the requests. An error in the script is raised."""

    context = 0
    pauses: Sequence[float] = AT_ONCE

    def __init__(self, *script: str | Told | AppError) -> None:
        self.requests: list[list[Message]] = []
        self.warmed: list[list[Message]] = []
        self.counts: list[int] = []
        self.asking = asyncio.Event()
        self._script = list(script)

    def switch(self, error: EngineError) -> str:
        return ""

    async def count(self, messages: Sequence[Message]) -> int:
        return self.counts.pop(0) if self.counts else 0

    async def warm(self, messages: Sequence[Message]) -> None:
        self.warmed.append(list(messages))

    @asynccontextmanager
    async def ask(self, messages: Sequence[Message], *, grammar: str = "") -> AsyncIterator[Spoken]:
        self.requests.append(list(messages))
        self.asking.set()
        if not self._script:
            await asyncio.get_running_loop().create_future()  # thinks for ever
        entry = self._script.pop(0)
        if isinstance(entry, AppError):
            raise entry
        yield Spoken(Told(entry) if isinstance(entry, str) else entry)


@dataclass
class Notebook:
    """A recorder that keeps what it was told."""

    told: list[tuple[str, int]] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)

    async def observed(self, step: StepRecord) -> None:
        self.told.append(("observed", step.number))

    def thought(self, number: int, text: str) -> None:
        self.thoughts.append(text)

    async def decided(self, step: StepRecord) -> None:
        self.told.append(("decided", step.number))

    async def stepped(self, step: StepRecord) -> None:
        self.told.append(("stepped", step.number))
        self.steps.append(step)


@dataclass
class Scene:
    """One task on doubles."""

    chat: ScriptedChat
    device: RememberingDevice = field(default_factory=RememberingDevice)
    notebook: Notebook = field(default_factory=Notebook)
    goal: str = "Turn on Bluetooth"
    feedback: bool = True
    dialect: Dialect = AUTOGLM
    conduct: Conduct = field(default_factory=Conduct)

    async def run(self, max_steps: int = 10, timeout_s: float = 30) -> Outcome:
        policy = VisionPolicy(
            self.chat,
            History(self.dialect, "system", self.goal),
            (252, 560),
            feedback=self.feedback,
        )
        limits = Limits(max_steps, timeout_s)
        return await run_loop(self.device, policy, self.notebook, limits, self.conduct)


@dataclass
class ScriptedPerson:
    """Answers in order, and keeps the questions."""

    answers: list[Answer]
    asked: list[Question] = field(default_factory=list)

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        await asyncio.sleep(0)
        return self.answers.pop(0)
