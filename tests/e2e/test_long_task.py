"""A long task in a context that it would overflow: real engine, adb server and virtual phone.

The model's words are given by a grammar of one reply a step, so that they are long and the phone is
really moved; every token of prompt and reply is the engine's own. 40 steps in 4K of context here;
`PHONEPILOT_TEST_STEPS=120` takes 120 steps in 16K, which needs minutes.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from pathlib import Path

import pytest

from app.adb.fleet import Fleet
from app.adb.server import AdbServer
from app.agent.dialects.autoglm import AUTOGLM, RECORD_HEADING
from app.agent.history import History
from app.agent.loop import run_loop
from app.agent.outcome import Limits
from app.agent.policy import VisionPolicy
from app.agent.ports import Message, ReplyStream
from app.agent.prompt import load_prompt
from app.agent.retry import AT_ONCE
from app.errors import EngineError
from app.llm.client import ChatClient, Sampling
from app.llm.engine import Engine
from app.settings import Settings, load_settings
from tests.agent.doubles import Notebook
from tests.phones import phone_process

STEPS = int(os.environ.get("PHONEPILOT_TEST_STEPS", "40"))
CONTEXT = 16384 if STEPS >= 120 else 4096
REPLY = 400
IMAGE = (112, 252)  # what is on it does not matter here, how long it takes does
THOUGHT = "The list goes on below, and what is looked for has not come into sight yet, so "
MORE = THOUGHT * (STEPS // 100)
GOAL = "Find the last entry of the settings"


@dataclass
class ToldWhatToSay:
    """The engine's client, with a grammar that leaves it no choice of words."""

    client: ChatClient
    context: int
    requests: list[Sequence[Message]] = field(default_factory=list)
    turns: count[int] = field(default_factory=lambda: count(1))
    pauses: Sequence[float] = AT_ONCE

    def switch(self, error: EngineError) -> str:
        return ""

    def ask(
        self, messages: Sequence[Message], *, grammar: str = ""
    ) -> AbstractAsyncContextManager[ReplyStream]:
        self.requests.append(messages)
        number = next(self.turns)
        if number == STEPS:
            call = 'finish(message="That was all.")'
        else:
            start, end = (700, 400) if number % 20 < 10 else (400, 700)
            call = f'do(action="Swipe", start=[500,{start + number % 7}], end=[500,{end}])'
        reply = f"<think>Step {number}. {THOUGHT}I go on. {MORE}</think><answer>{call}</answer>"
        literal = reply.replace("\\", "\\\\").replace('"', '\\"')
        extra = {"grammar": f'root ::= "{literal}"'}
        return self.client.stream(messages, sampling=Sampling(0, 1, 0, REPLY), extra=extra)

    async def count(self, messages: Sequence[Message]) -> int:
        return await self.client.count(messages)

    async def warm(self, messages: Sequence[Message]) -> None:
        await self.client.warm(messages)


@pytest.fixture
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Engine, Settings]]:
    settings = load_settings(["demo"], {"engine.kind": "embedded", "engine.context": CONTEXT})
    engine = Engine(settings.engine)
    yield engine, settings
    await engine.aclose()


@pytest.mark.timeout(1200)
async def test_a_long_task_never_overflows_and_is_read_from_the_cache(
    engine: tuple[Engine, Settings], tmp_path: Path
) -> None:
    supervisor, settings = engine
    client = ChatClient(supervisor.ensure_ready, local=True, api_key=supervisor.api_key)
    chat = ToldWhatToSay(client, settings.engine.context)
    adb = AdbServer(private=True)
    notebook = Notebook()
    with phone_process() as phone:
        fleet = Fleet(await adb.start(), state_dir=tmp_path)
        try:
            device = await fleet.connect(phone.serial)
            await device.launch("com.android.settings")
            system = load_prompt("autoglm", "en", date(2026, 11, 20))
            policy = VisionPolicy(chat, History(AUTOGLM, system, GOAL), IMAGE, max_reply=REPLY)
            outcome = await run_loop(device, policy, notebook, Limits(STEPS, 1100))
        finally:
            await client.aclose()
            await adb.stop()
    assert (outcome.reason, len(notebook.steps)) == ("finished", STEPS)
    assert all(GOAL in str(messages[1]) for messages in chat.requests)
    folds = sum(
        str(after).count(RECORD_HEADING) > 0 and len(after) < len(before)
        for before, after in zip(chat.requests, chat.requests[1:], strict=False)
    )
    assert folds >= 1
    largest = max(step.tokens["prompt"] for step in notebook.steps)
    shares = [
        step.tokens["cached"] / (step.tokens["prompt"] - AUTOGLM.image_tokens(*IMAGE))
        for step in notebook.steps[1:]
    ]
    print(f"folds {folds}, largest prompt {largest}, least share from the cache {min(shares):.2f}")
    assert largest <= settings.engine.context - REPLY
    assert min(shares) >= 0.8
