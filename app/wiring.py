"""The configured engines for tasks: the profile's sampling, and each phone's turn at a slot."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from app.agent.guard import Category
from app.agent.ports import Message, ReplyStream
from app.agent.retry import AT_ONCE, BACK_OFF_S
from app.agent.scope import GoalKind, Scope
from app.errors import ConfigError, EngineError
from app.llm.alternatives import Alternatives, Member
from app.llm.client import ChatClient, Sampling
from app.llm.engine import Engine
from app.llm.request_fields import RequestFields
from app.llm.slots import Calls
from app.proxies import Proxies
from app.settings import (
    ENV_PREFIX,
    EngineSettings,
    Settings,
    load_goals,
    load_guard,
    load_settings,
)
from app.tasks.equipment import Equipment


class PhoneChat:
    """The engine as the tasks of one phone use it: the loop's Chat."""

    def __init__(self, engines: Alternatives, sampling: Sampling, phone: str = "") -> None:
        self.context = engines.context
        self._engines = engines
        self._sampling = sampling
        self._phone = phone
        self._last = engines.choose()
        """The engine of the last request."""

    @property
    def pauses(self) -> Sequence[float]:
        return AT_ONCE if self._engines.choose().local else BACK_OFF_S

    def switch(self, error: EngineError) -> str:
        other = self._engines.lost(self._last, error)
        return other.name if other else ""

    @asynccontextmanager
    async def ask(
        self, messages: Sequence[Message], *, grammar: str = ""
    ) -> AsyncIterator[ReplyStream]:
        member = self._last = self._engines.choose()
        extra = {"grammar": grammar} if grammar and member.grammar else None
        async with (
            member.calls.hold(self._phone) as slot,
            member.client.stream(
                messages, sampling=self._sampling, slot=slot, extra=extra
            ) as reply,
        ):
            yield reply

    async def count(self, messages: Sequence[Message]) -> int:
        self._last = self._engines.choose()
        return await self._last.client.count(messages)

    async def warm(self, messages: Sequence[Message]) -> None:
        member = self._engines.choose()
        if member.calls.full:
            return  # reading ahead is not worth anyone's waiting
        async with member.calls.hold(self._phone) as slot:
            await member.client.warm(messages, slot=slot)


def engines_of(settings: Settings, engine: Engine) -> Alternatives:
    """Return the configured engine and those of `engine.fallback`. The caller sees to it that the
    client of the first one closes its streams before that engine stops. Raises ConfigError for a
    fallback that is none, and for a bad proxy in the environment."""
    others = [(name, _fallback(settings, name)) for name in settings.engine.fallback]
    standing_in = [_member(name, other, Engine(other.engine)) for name, other in others]
    for member in standing_in:
        member.engine.before_stop(member.client.close_streams)
    return Alternatives([_member("engine", settings, engine), *standing_in])


def client_of(settings: Settings, engine: Engine) -> ChatClient:
    """Return the client that asks `engine` as the settings say. Raises ConfigError for a bad proxy
    in the environment."""
    own = settings.engine
    return ChatClient(
        engine.ensure_ready,
        local=is_local(settings),
        model=own.alias,
        fields=RequestFields(own.rename_fields, own.omit_fields, own.extra_fields),
        api_key=engine.api_key,
        idle_timeout_s=own.request_timeout_s,
        on_hang=engine.hung,
        on_break=engine.verdict,
        proxies=Proxies.from_environment(),
    )


def _member(name: str, settings: Settings, engine: Engine) -> Member:
    own, local = settings.engine, is_local(settings)
    # As many requests at once as the engine has slots, or as configured.
    slots = own.parallel if local else 0
    limit = own.max_calls or slots
    return Member(
        name,
        engine,
        client_of(settings, engine),
        Calls(limit, pinned=local and limit == slots),
        grammar=local or settings.profile.grammar == "on",
        local=local,
    )


def _fallback(settings: Settings, name: str) -> Settings:
    """Read a configuration for its engine, which must be asked in the same way as the first one."""
    # Variables and arguments are about the first engine; keys have variables of other names.
    environ = {k: v for k, v in os.environ.items() if not k.startswith(ENV_PREFIX)}
    data_dir = {"service.data_dir": str(settings.service.data_dir)}
    try:
        other = load_settings((name,), data_dir, environ)
    except ConfigError as exc:
        raise ConfigError(f"engine.fallback: {name}: {exc.message}", exc.hint) from exc
    asked, first = other.profile, settings.profile
    if (asked.dialect, asked.coordinates) != (first.dialect, first.coordinates):
        raise ConfigError(
            f"engine.fallback: {name} speaks {asked.dialect}, the first engine {first.dialect}",
            "Name configurations of models of the same family; only their [engine] is used.",
        )
    if other.engine.fallback:
        raise ConfigError(
            f"engine.fallback: {name} has a fallback of its own",
            "List all of them in the first configuration.",
        )
    return other


def equipment_of(
    settings: Settings,
    engines: Alternatives,
    running: Callable[[], EngineSettings] | None = None,
) -> Equipment:
    """Return what tasks are built from, the way the service builds them; `running` returns the
    engine's current settings, which may be cheaper than configured after memory ran out."""
    engine, sampling = running or (lambda: settings.engine), sampling_of(settings)
    remote = not all(member.local for member in engines.members)

    def chat(phone: str) -> PhoneChat:
        return PhoneChat(engines, sampling, phone)

    return Equipment(
        chat,
        settings.profile,
        categories_of(settings),
        settings.agent.second_look,
        settings.prompts_dir,
        lambda: engine().image_max_tokens,
        scope_of(settings),
        settings.agent.profile,
        blind=is_local(settings)
        and settings.engine.model is not None
        and settings.engine.mmproj is None,
        image_max_bytes=int(settings.engine.image_max_mib * 2**20) if remote else 0,
    )


def scope_of(settings: Settings) -> Scope:
    """Return the goals that the configured model knows; raises ConfigError."""
    return Scope(
        [GoalKind(goal.title, goal.sentences, goal.things) for goal in load_goals(settings.profile)]
    )


def sampling_of(settings: Settings) -> Sampling:
    profile = settings.profile
    return Sampling(
        temperature=profile.temperature,
        top_p=profile.top_p,
        frequency_penalty=profile.frequency_penalty,
        max_tokens=profile.max_tokens,
    )


def is_local(settings: Settings) -> bool:
    """Whether the engine is a llama.cpp that phonepilot starts."""
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
