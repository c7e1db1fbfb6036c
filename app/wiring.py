"""The configured engine for tasks: the profile's sampling, and each phone's turn at a slot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from app.agent.guard import Category
from app.agent.ports import Message, ReplyStream
from app.agent.retry import AT_ONCE, BACK_OFF_S, Retry
from app.llm.client import ChatClient, Sampling
from app.llm.engine import Engine
from app.llm.request_fields import RequestFields
from app.llm.slots import Calls
from app.proxies import Proxies
from app.settings import Settings, load_guard
from app.tasks.equipment import Equipment


class PhoneChat:
    """The engine as the tasks of one phone use it: the loop's Chat."""

    def __init__(
        self,
        client: ChatClient,
        sampling: Sampling,
        context: int,
        *,
        grammar: bool,
        calls: Calls | None = None,
        phone: str = "",
    ) -> None:
        """`context` is that of one sequence in tokens; `grammar`: the engine supports it."""
        self.context = context
        self._client = client
        self._sampling = sampling
        self._knows_grammar = grammar
        self._calls = calls or Calls(0)
        self._phone = phone

    @asynccontextmanager
    async def ask(
        self, messages: Sequence[Message], *, grammar: str = ""
    ) -> AsyncIterator[ReplyStream]:
        extra = {"grammar": grammar} if grammar and self._knows_grammar else None
        async with (
            self._calls.hold(self._phone) as slot,
            self._client.stream(messages, sampling=self._sampling, slot=slot, extra=extra) as reply,
        ):
            yield reply

    async def count(self, messages: Sequence[Message]) -> int:
        return await self._client.count(messages)

    async def warm(self, messages: Sequence[Message]) -> None:
        if self._calls.full:
            return  # reading ahead is not worth anyone's waiting
        async with self._calls.hold(self._phone) as slot:
            await self._client.warm(messages, slot=slot)


def client_of(settings: Settings, engine: Engine) -> ChatClient:
    """Return the client of the configured engine. Raises ConfigError for a bad proxy."""
    return ChatClient(
        engine.ensure_ready,
        local=_is_local(settings),
        model=settings.engine.alias,
        fields=RequestFields(
            settings.engine.rename_fields, settings.engine.omit_fields, settings.engine.extra_fields
        ),
        api_key=engine.api_key,
        idle_timeout_s=settings.engine.request_timeout_s,
        on_hang=engine.hung,
        on_break=engine.verdict,
        proxies=Proxies.from_environment(),
    )


def calls_of(settings: Settings) -> Calls:
    """Allow as many requests at once as the engine has slots, or as configured."""
    engine, local = settings.engine, _is_local(settings)
    slots = engine.parallel if local else 0
    limit = engine.max_calls or slots
    return Calls(limit, pinned=local and limit == slots)


def equipment_of(
    settings: Settings,
    client: ChatClient,
    calls: Calls | None = None,
    image_max_tokens: Callable[[], int] | None = None,
) -> Equipment:
    """Return what tasks are built from, the way the service builds them; `image_max_tokens` is the
    engine's current value, which may be less than configured after memory ran out."""
    engine, profile = settings.engine, settings.profile
    sampling, grammar = sampling_of(settings), profile.grammar == "on" or _is_local(settings)
    context = engine.context // engine.parallel

    def chat(phone: str) -> PhoneChat:
        return PhoneChat(client, sampling, context, grammar=grammar, calls=calls, phone=phone)

    return Equipment(
        chat,
        profile,
        categories_of(settings),
        settings.agent.second_look,
        settings.prompts_dir,
        image_max_tokens or (lambda: engine.image_max_tokens),
        Retry(AT_ONCE if _is_local(settings) else BACK_OFF_S),
        0 if _is_local(settings) else int(engine.image_max_mib * 2**20),
    )


def sampling_of(settings: Settings) -> Sampling:
    profile = settings.profile
    return Sampling(
        temperature=profile.temperature,
        top_p=profile.top_p,
        frequency_penalty=profile.frequency_penalty,
        max_tokens=profile.max_tokens,
    )


def _is_local(settings: Settings) -> bool:
    kind = settings.engine.kind
    return kind != "remote" and not (kind == "auto" and settings.engine.url)


def categories_of(settings: Settings) -> tuple[Category, ...]:
    """Return the categories that need consent; raises ConfigError."""
    return tuple(
        Category(
            name,
            lists.title,
            ask_in=lists.ask_in,
            look_in=lists.look_in,
            free_in=lists.free_in,
            words=lists.words,
            labels=lists.labels,
            fields=lists.fields,
            enter=lists.enter,
        )
        for name, lists in load_guard(settings.guard).items()
    )
