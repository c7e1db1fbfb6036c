"""Pause, resume and cancel at every phase of a step: the phone is idle when they say so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from app.agent.conduct import Conduct
from app.agent.dialects.autoglm import AUTOGLM
from app.agent.guard import Category, Guard
from app.agent.ports import Message
from app.agent.reader import Reader
from app.agent.second_look import JudgeLook
from app.agent.step import Answer, Question, StepRecord
from app.errors import DeviceOffline
from tests.agent.doubles import (
    App,
    Notebook,
    PlainFrame,
    RememberingDevice,
    Scene,
    ScriptedChat,
    Spoken,
)

TAP = '<think>I tap.</think><answer>do(action="Tap", element=[500,250])</answer>'
NOTE = '<think>I note it.</think><answer>do(action="Note", message="True")</answer>'
WAIT = '<think>Wait.</think><answer>do(action="Wait", duration="30 s")</answer>'
DONE = '<think>It is on.</think><answer>finish(message="Bluetooth is on.")</answer>'
SOON = 5


@dataclass
class Gate:
    """Holds whoever passes the first time, and tells when somebody is there."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> None:
        self.reached.set()
        await self.opened.wait()


@dataclass
class HeldDevice(RememberingDevice):
    """Waits at the gate in the call named `at`."""

    at: str = ""
    gate: Gate = field(default_factory=Gate)
    busy: int = 0

    async def _held(self, name: str) -> None:
        if name == self.at:
            self.busy += 1
            try:
                await self.gate()
            finally:
                self.busy -= 1

    async def screenshot(self) -> PlainFrame:
        await self._held("screenshot")
        return await super().screenshot()

    async def current_app(self) -> App:
        await self._held("current_app")
        return await super().current_app()

    async def tap(self, x: int, y: int) -> str:
        await self._held("tap")
        return await super().tap(x, y)


class HeldChat(ScriptedChat):
    def __init__(self, *script: str) -> None:
        super().__init__(*script)
        self.gate = Gate()

    @asynccontextmanager
    async def ask(self, messages: Sequence[Message], *, grammar: str = "") -> AsyncIterator[Spoken]:
        await self.gate()
        async with super().ask(messages, grammar=grammar) as reply:
            yield reply


class HeldPerson:
    def __init__(self) -> None:
        self.gate = Gate()

    async def ask(self, question: Question) -> Answer:
        await self.gate()
        return Answer(True)


def looking() -> tuple[Scene, Gate]:
    device = HeldDevice(at="screenshot")
    return Scene(ScriptedChat(TAP, DONE), device), device.gate


def thinking() -> tuple[Scene, Gate]:
    chat = HeldChat(TAP, DONE)
    return Scene(chat), chat.gate


def asking() -> tuple[Scene, Gate]:
    person = HeldPerson()
    guard = Guard([Category("all", "anything", ("*",))])
    conduct = Conduct(person=person, guard=guard)
    return Scene(ScriptedChat(TAP, DONE), conduct=conduct), person.gate


def acting() -> tuple[Scene, Gate]:
    device = HeldDevice(at="tap")
    return Scene(ScriptedChat(TAP, DONE), device), device.gate


def naming() -> tuple[Scene, Gate]:
    device = HeldDevice(at="current_app")
    return Scene(ScriptedChat(TAP, DONE), device), device.gate


def noting() -> tuple[Scene, Gate]:
    """The page is read for a note before anything is tapped."""
    chat = HeldChat("The page says 5.")
    conduct = Conduct(reader=Reader(AUTOGLM, chat, "goal", "en", None))
    return Scene(ScriptedChat(NOTE, TAP, DONE), conduct=conduct), chat.gate


def doubting() -> tuple[Scene, Gate]:
    chat = HeldChat("No.", "Yes.")
    conduct = Conduct(second_look=JudgeLook(Reader(AUTOGLM, chat, "goal", "en", None)))
    return Scene(ScriptedChat(DONE, TAP, DONE), conduct=conduct), chat.gate


PHASES = [looking, naming, thinking, noting, doubting, asking, acting]


@pytest.mark.parametrize("phase", PHASES)
async def test_a_paused_task_does_nothing_until_it_goes_on(
    phase: Callable[[], tuple[Scene, Gate]],
) -> None:
    scene, gate = phase()
    running = asyncio.create_task(scene.run())
    await asyncio.wait_for(gate.reached.wait(), SOON)
    pausing = asyncio.create_task(scene.conduct.control.pause())
    if phase is acting:
        # What the phone has begun cannot be unsaid; the pause comes right after it.
        for _ in range(20):
            await asyncio.sleep(0)
        assert not pausing.done()
        gate.opened.set()
    await asyncio.wait_for(pausing, SOON)
    calls = list(scene.device.calls)
    assert getattr(scene.device, "busy", 0) == 0
    gate.opened.set()
    for _ in range(50):
        await asyncio.sleep(0)
    assert not running.done()
    assert scene.device.calls == calls
    scene.conduct.control.resume()
    assert (await asyncio.wait_for(running, SOON)).reason == "finished"
    assert scene.device.calls == [("tap", 540, 600)]
    steps = [1, 2, 3] if phase in (noting, doubting) else [1, 2]
    assert [number for kind, number in scene.notebook.told if kind == "stepped"] == steps


@pytest.mark.parametrize("phase", PHASES)
async def test_a_cancelled_task_has_nothing_under_way(
    phase: Callable[[], tuple[Scene, Gate]],
) -> None:
    scene, gate = phase()
    running = asyncio.create_task(scene.run())
    await asyncio.wait_for(gate.reached.wait(), SOON)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, SOON)
    assert getattr(scene.device, "busy", 0) == 0
    assert scene.device.calls == []


async def test_a_pause_ends_a_long_wait_and_the_next_look_is_a_fresh_one() -> None:
    decided = asyncio.Event()

    class Telling(Notebook):
        async def decided(self, step: StepRecord) -> None:
            decided.set()

    scene = Scene(ScriptedChat(WAIT, DONE), notebook=Telling())
    running = asyncio.create_task(scene.run(timeout_s=60))
    await asyncio.wait_for(decided.wait(), SOON)
    await asyncio.wait_for(scene.conduct.control.pause(), SOON)
    scene.conduct.control.resume()
    assert (await asyncio.wait_for(running, SOON)).reason == "finished"


async def test_feedback_survives_a_pause() -> None:
    device = RememberingDevice()
    chat = HeldChat("no action at all", DONE)
    chat.gate.opened.set()
    scene = Scene(chat, device)
    running = asyncio.create_task(scene.run())
    await asyncio.wait_for(chat.asking.wait(), SOON)
    chat.gate.reached.clear()
    chat.gate.opened.clear()
    await asyncio.wait_for(chat.gate.reached.wait(), SOON)
    await asyncio.wait_for(scene.conduct.control.pause(), SOON)
    chat.gate.opened.set()
    scene.conduct.control.resume()
    assert (await asyncio.wait_for(running, SOON)).reason == "finished"
    assert "could not be used" in str(chat.requests[-1][-1]["content"])


async def test_a_pause_while_the_phone_is_away_waits_and_counts_as_one_drop() -> None:
    class Away(RememberingDevice):
        def __init__(self) -> None:
            super().__init__(faults={"screenshot": DeviceOffline("device phone is offline")})
            self.waiting, self.returned = asyncio.Event(), asyncio.Event()

        async def wait_ready(self, timeout_s: float) -> None:
            self.waits += 1
            self.waiting.set()
            await self.returned.wait()
            self.faults.clear()

    device, conduct = Away(), Conduct()
    running = asyncio.create_task(Scene(ScriptedChat(DONE), device, conduct=conduct).run())
    async with asyncio.timeout(SOON):
        for _ in range(5):  # more often than the phone may drop off
            await device.waiting.wait()
            await conduct.control.pause()
            device.waiting.clear()
            conduct.control.resume()
        await device.waiting.wait()
        device.returned.set()
        assert (await running).reason == "finished"
