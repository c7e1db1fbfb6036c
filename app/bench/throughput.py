"""Measures tokens per second through phonepilot's client, and by raw calls with the same bytes.

Both are timed by this process's clock, from the request to the first token and from there to the
last, alternating in the same run; the prompt cache is not used. So the ratio of the two is the
client's cost, whatever the engine's speed. The requests are like those of tasks: the profile's
prompt, three answered turns and a screen.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from app.agent.history import History
from app.agent.picture import encoded, sent_size
from app.agent.ports import Message
from app.agent.prompt import load_prompt
from app.bench.stub_engine import stub_engine
from app.bench.taps import FIRST_SEED
from app.bench.targets import Shown, targets
from app.errors import ConfigError, EngineRequestFailed
from app.http_client import bearer
from app.llm.client import ChatClient, Sampling
from app.llm.engine import Engine
from app.llm.launch import choose_kind
from app.llm.reply import numbers_of
from app.llm.status import EngineKind
from app.settings import EngineSettings, Settings
from app.tasks.equipment import dialect_of
from app.wiring import sampling_of

TURNS = 3
_NOT_CACHED = {"cache_prompt": False}
_FIRST_TOKEN = b'"content":"'


@dataclass(frozen=True)
class Pace:
    """One reply. Tokens per second of the prompt, from the request to the first token, and of the
    reply, from there on; `drafted` and `accepted` are tokens of speculation."""

    prompt: float
    generation: float
    prompt_tokens: int
    reply_tokens: int
    drafted: int = 0
    accepted: int = 0


@dataclass(frozen=True)
class Way:
    """Medians over all replies of one way, and sums of the speculation."""

    prompt: float
    generation: float
    prompt_tokens: int
    reply_tokens: int
    drafted: int
    accepted: int

    @classmethod
    def of(cls, paces: Sequence[Pace]) -> Way:
        return cls(
            prompt=round(statistics.median(pace.prompt for pace in paces), 1),
            generation=round(statistics.median(pace.generation for pace in paces), 1),
            prompt_tokens=round(statistics.median(pace.prompt_tokens for pace in paces)),
            reply_tokens=round(statistics.median(pace.reply_tokens for pace in paces)),
            drafted=sum(pace.drafted for pace in paces),
            accepted=sum(pace.accepted for pace in paces),
        )


@dataclass(frozen=True)
class Throughput:
    """One engine's results: both ways, and ours / raw, paired by request (1.0 = no cost)."""

    ours: Way
    raw: Way
    prompt_ratio: float
    generation_ratio: float


async def measure(
    settings: Settings, count: int, tokens: int, *, spec: bool = False
) -> list[Throughput]:
    """Make `count` requests of at most `tokens` each way; with `spec` make them without and with
    `engine.speculation`. Raises EngineError, and ConfigError for an engine that is not ours."""
    if not spec:
        return [await _measured(settings, settings.engine, count, tokens)]
    if choose_kind(settings.engine) is EngineKind.REMOTE:
        raise ConfigError(
            "speculation cannot be switched on a remote engine",
            'Set engine.kind to "llama-server" or "embedded".',
        )
    ways = [settings.engine.model_copy(update={"speculation": way}) for way in ("off", "ngram")]
    return [await _measured(settings, engine, count, tokens) for engine in ways]


async def _measured(
    settings: Settings, engine_settings: EngineSettings, count: int, tokens: int
) -> Throughput:
    async with AsyncExitStack() as stack:
        engine = Engine(engine_settings)
        stack.push_async_callback(engine.aclose)
        url = await engine.ensure_ready()
        sampling = _short(sampling_of(settings), tokens)

        def client_of(base_url: Callable[[], Awaitable[str]]) -> ChatClient:
            client = ChatClient(
                base_url, local=True, model=engine_settings.alias, api_key=engine.api_key
            )
            stack.push_async_callback(client.aclose)
            return client

        client = client_of(engine.ensure_ready)
        stub = await stack.enter_async_context(stub_engine(str))
        recorder = client_of(stub.base_url)
        headers = bearer(engine.api_key())
        http = await stack.enter_async_context(
            httpx.AsyncClient(
                headers=headers, timeout=engine_settings.request_timeout_s, trust_env=False
            )
        )
        ours, raw = list[Pace](), list[Pace]()
        told = list[tuple[str, str]]()
        # The first requests fill the previous turns and load what is loaded lazily.
        for number, shown in enumerate(targets(count + TURNS, FIRST_SEED, settings.profile.prompt)):
            messages = _conversation(settings, shown, told[-TURNS:])
            async with recorder.stream(messages, sampling=sampling, extra=_NOT_CACHED) as reply:
                async for _ in reply:
                    pass
            if number % 2:
                mine, text = await _through(client, messages, sampling)
                theirs = await _raw(http, url, stub.asked)
            else:
                theirs = await _raw(http, url, stub.asked)
                mine, text = await _through(client, messages, sampling)
            told.append((_asked(settings, shown), text))
            if number >= TURNS:
                ours.append(mine)
                raw.append(theirs)
    return Throughput(
        Way.of(ours),
        Way.of(raw),
        _ratio([mine.prompt / theirs.prompt for mine, theirs in zip(ours, raw, strict=True)]),
        _ratio([m.generation / t.generation for m, t in zip(ours, raw, strict=True)]),
    )


def _ratio(ratios: Sequence[float]) -> float:
    return round(statistics.median(ratios), 3)


def _short(sampling: Sampling, tokens: int) -> Sampling:
    return Sampling(
        sampling.temperature,
        sampling.top_p,
        sampling.frequency_penalty,
        min(tokens, sampling.max_tokens),
    )


def _asked(settings: Settings, shown: Shown) -> str:
    profile = settings.profile
    dialect = dialect_of(profile, settings.engine.image_max_tokens)
    return dialect.user_text(shown.goal(profile.prompt), shown.app, first=True)


def _conversation(
    settings: Settings, shown: Shown, told: Sequence[tuple[str, str]]
) -> list[Message]:
    """Build a request; its earlier turns are other goals with the model's own replies to them."""
    profile = settings.profile
    today = datetime.now().astimezone().date()
    dialect = dialect_of(profile, settings.engine.image_max_tokens)
    name = profile.prompt or dialect.prompt
    system = load_prompt(name, settings.agent.lang, today, settings.prompts_dir)
    history = History(dialect, system, "")
    for earlier, reply in told:
        history.answered(earlier, reply)
    frame = shown.frame
    fixed = (profile.image_width, profile.image_height) if profile.image_width else None
    png = encoded(frame, sent_size(dialect, fixed, frame.width, frame.height))
    return history.messages(_asked(settings, shown), png)


async def _through(
    client: ChatClient, messages: list[Message], sampling: Sampling
) -> tuple[Pace, str]:
    begun, first = time.perf_counter(), 0.0
    async with client.stream(messages, sampling=sampling, extra=_NOT_CACHED) as reply:
        async for _ in reply:
            first = first or time.perf_counter()
    return _pace(begun, first, reply.completion.timings), reply.completion.text


async def _raw(http: httpx.AsyncClient, url: str, body: bytes) -> Pace:
    """Read the bytes as they arrive, and parse them afterwards, except for the first token."""
    begun, first, chunks = time.perf_counter(), 0.0, list[bytes]()
    request = http.build_request(
        "POST",
        f"{url}/chat/completions",
        content=body,
        headers={"Content-Type": "application/json"},
    )
    async with aclosing(await http.send(request, stream=True)) as response:
        async for chunk in response.aiter_raw():
            chunks.append(chunk)
            if not first and _FIRST_TOKEN in chunk:
                first = time.perf_counter()
    ended = time.perf_counter()
    timings = dict[str, float]()
    for event in _events(b"".join(chunks)):
        timings = numbers_of(event.get("timings") or {}) or timings
    return _pace(begun, first, timings, ended)


def _events(stream: bytes) -> Iterator[dict[str, Any]]:
    for line in stream.splitlines():
        if line.startswith(b"data: {"):
            yield json.loads(line[len(b"data: ") :])


def _pace(
    begun: float, first: float, timings: dict[str, float], ended: float | None = None
) -> Pace:
    """Raises EngineRequestFailed if the engine does not count its tokens, or sends none."""
    ended = time.perf_counter() if ended is None else ended
    prompt, reply = int(timings.get("prompt_n", 0)), int(timings.get("predicted_n", 0))
    if not first or not prompt or reply < 2 or ended <= first:
        raise EngineRequestFailed(
            "the engine reports no timings, or its reply has fewer than two tokens",
            "This bench needs a llama.cpp: engine.kind llama-server or embedded.",
        )
    return Pace(
        prompt / (first - begun),
        (reply - 1) / (ended - first),
        prompt,
        reply,
        int(timings.get("draft_n", 0)),
        int(timings.get("draft_n_accepted", 0)),
    )
