"""What a step costs the engine, by phase: reading the picture, evaluating the prompt, writing.

Engines report the picture and the prompt together. So each round also sends a plain text: what the
request with a picture takes longer than as many tokens of text is the picture's encoder, and this
phase is computed, not measured. The others are measured: by the engine's own clock where it tells
the times, as llama.cpp does, else by ours, from the request to the first token and from there on.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.agent.dialects.base import Dialect
from app.agent.history import History
from app.agent.picture import sent_size
from app.agent.ports import Message
from app.agent.prompt import load_prompt
from app.bench.taps import FIRST_SEED
from app.bench.targets import Shown, targets
from app.llm.client import ChatClient, Sampling
from app.llm.engine import Engine
from app.settings import Settings
from app.tasks.equipment import dialect_of
from app.wiring import client_of, is_local, sampling_of

How = Literal["measured", "computed", "in prompt"]
"""The last one where the engine counts no tokens: then the picture cannot be told from the text."""
ROUNDS = 3
_FILLER = "settings "
_NOT_CACHED = {"cache_prompt": False}


@dataclass(frozen=True)
class Phase:
    """One phase of a step: how many tokens it is about, and milliseconds."""

    tokens: int
    ms: float
    how: How


@dataclass(frozen=True)
class StepCost:
    """One step. `prompt` is what had to be evaluated: text and picture, without what was cached."""

    vision: Phase
    prompt: Phase
    decode: Phase

    @property
    def total_ms(self) -> float:
        return round(self.vision.ms + self.prompt.ms + self.decode.ms, 1)


@dataclass(frozen=True)
class Costs:
    """The first step of a task, for which nothing is cached, and one that follows it."""

    first: StepCost
    later: StepCost


@dataclass(frozen=True)
class _Asked:
    """One request: tokens that were evaluated and written, milliseconds, and the reply."""

    prompt_tokens: int
    prompt_ms: float
    reply_tokens: int
    reply_ms: float
    text: str


async def step_costs(settings: Settings, screen: tuple[int, int], tokens: int) -> Costs:
    """Start the configured engine and measure steps on a screen of so many pixels, with replies of
    at most `tokens`; medians. Raises EngineError, and ConfigError for a missing prompt."""
    async with AsyncExitStack() as stack:
        engine = Engine(settings.engine)
        stack.push_async_callback(engine.aclose)
        client = client_of(settings, engine)
        stack.push_async_callback(client.aclose)
        await engine.ensure_ready()
        bench = _Bench(settings, client, screen, tokens)
        screens = list(targets(2 * (ROUNDS + 1), FIRST_SEED, settings.profile.prompt))
        found = [await bench.round(*pair) for pair in zip(screens[::2], screens[1::2], strict=True)]
    measured = found[1:]  # the first one loads what is loaded lazily
    return Costs(
        first=_median([costs.first for costs in measured]),
        later=_median([costs.later for costs in measured]),
    )


class _Bench:
    """Asks the engine as a task does."""

    def __init__(
        self, settings: Settings, client: ChatClient, screen: tuple[int, int], tokens: int
    ) -> None:
        self._settings = settings
        self._client = client
        self._screen = screen
        sampling = sampling_of(settings)
        self._sampling = Sampling(
            sampling.temperature,
            sampling.top_p,
            sampling.frequency_penalty,
            min(tokens, sampling.max_tokens),
        )
        self._dialect: Dialect = dialect_of(settings.profile, settings.engine.image_max_tokens)
        name = settings.profile.prompt or self._dialect.prompt
        today = datetime.now().astimezone().date()
        self._system = load_prompt(name, settings.agent.lang, today, settings.prompts_dir)
        self._is_local = is_local(settings)

    async def round(self, shown: Shown, following: Shown) -> Costs:
        """The two steps of a task, and the text by which its picture is told from its tokens."""
        history = History(self._dialect, self._system, "")
        goal = shown.goal(self._settings.profile.prompt)
        text = self._dialect.user_text(goal, shown.app, first=True)
        first = await self._ask(history.messages(text, self._png(shown)), fresh=True)
        history.answered(text, first.text)
        again = self._dialect.user_text(goal, following.app, first=False)
        later = await self._ask(history.messages(again, self._png(following)))
        words = await self._ask(self._words(first.prompt_tokens), fresh=True)
        encoder_ms: float | None = None
        if words.prompt_tokens and first.prompt_tokens:
            per_token = words.prompt_ms / words.prompt_tokens
            encoder_ms = max(0.0, first.prompt_ms - per_token * first.prompt_tokens)
        return Costs(self._cost(first, encoder_ms), self._cost(later, encoder_ms))

    def _cost(self, asked: _Asked, encoder_ms: float | None) -> StepCost:
        picture = self._dialect.image_tokens(*self._size())
        told: How = "in prompt" if encoder_ms is None else "computed"
        rest = max(0.0, asked.prompt_ms - (encoder_ms or 0.0))
        return StepCost(
            vision=Phase(picture, encoder_ms or 0.0, told),
            prompt=Phase(asked.prompt_tokens, rest, "measured"),
            decode=Phase(asked.reply_tokens, asked.reply_ms, "measured"),
        )

    def _words(self, tokens: int) -> list[Message]:
        """A text of half as many words, because a word may be two tokens."""
        return [{"role": "user", "content": _FILLER * max(tokens // 2, 1)}]

    def _size(self) -> tuple[int, int]:
        profile = self._settings.profile
        fixed = (profile.image_width, profile.image_height) if profile.image_width else None
        return sent_size(self._dialect, fixed, *self._screen)

    def _png(self, shown: Shown) -> bytes:
        return shown.frame.scaled_png(*self._size())

    async def _ask(self, messages: list[Message], *, fresh: bool = False) -> _Asked:
        extra = _NOT_CACHED if fresh and self._is_local else None
        begun, first = time.perf_counter(), 0.0
        async with self._client.stream(messages, sampling=self._sampling, extra=extra) as reply:
            async for _ in reply:
                first = first or time.perf_counter()
        ended, done = time.perf_counter(), reply.completion
        timings = done.timings
        first = first or ended
        return _Asked(
            prompt_tokens=done.prompt_tokens - done.cached_tokens,
            prompt_ms=timings.get("prompt_ms", (first - begun) * 1000),
            reply_tokens=done.completion_tokens,
            reply_ms=timings.get("predicted_ms", (ended - first) * 1000),
            text=done.text,
        )


def _median(steps: Sequence[StepCost]) -> StepCost:
    def of(phases: Sequence[Phase]) -> Phase:
        tokens = round(statistics.median(phase.tokens for phase in phases))
        return Phase(tokens, round(statistics.median(p.ms for p in phases), 1), phases[0].how)

    return StepCost(
        vision=of([step.vision for step in steps]),
        prompt=of([step.prompt for step in steps]),
        decode=of([step.decode for step in steps]),
    )
