"""Builds what the loop needs for one task, from the task's fields and the configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from app.agent.conduct import Conduct
from app.agent.control import Control
from app.agent.dialects import dialect_named
from app.agent.dialects.base import Dialect, Exchange
from app.agent.guard import Category, Guard
from app.agent.history import History
from app.agent.outcome import Outcome
from app.agent.policy import VisionPolicy
from app.agent.ports import Chat, Device, Nobody, Person
from app.agent.prompt import load_prompt
from app.agent.reader import Reader
from app.agent.retry import Retry
from app.agent.scope import Scope
from app.agent.second_look import FreshLook, JudgeLook, SecondLook
from app.errors import ConfigError, InputError, ModelBlind, PolicyError, ReplyTruncated
from app.tasks.models import Step, Task

SecondLookKind = Literal["off", "judge", "fresh"]


class Profile(Protocol):
    """How one model is prompted."""

    @property
    def dialect(self) -> str: ...

    @property
    def prompt(self) -> str: ...

    @property
    def image_width(self) -> int: ...

    @property
    def image_height(self) -> int: ...

    @property
    def coordinates(self) -> Literal["auto", "thousandths", "pixels"]: ...

    @property
    def images_kept(self) -> int: ...

    @property
    def answer_ends(self) -> bool | Literal["auto"]: ...

    @property
    def feedback(self) -> bool: ...

    @property
    def reads(self) -> bool: ...

    @property
    def grammar(self) -> Literal["auto", "on", "off"]: ...

    @property
    def max_thought(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...


@dataclass(frozen=True)
class Equipment:
    """Builds the parts of a task. `chat` returns the engine for a phone; `categories` need consent,
    unless a task allows them all; `image_max_tokens` is the limit above which the engine shrinks a
    picture; `scope` has the goals that the model knows, `name` is what the profile is recorded as.
    A `blind` model takes no screenshots. `retry` is how requests to the engine are repeated. A
    picture of more than `image_max_bytes` as PNG is sent as JPEG; 0 means no limit."""

    chat: Callable[[str], Chat]
    profile: Profile
    categories: Sequence[Category] = ()
    second_look: SecondLookKind = "off"
    prompts_dir: Path | None = None
    image_max_tokens: Callable[[], int] = lambda: 0
    scope: Scope = Scope()
    name: str = ""
    blind: bool = False
    retry: Retry = Retry()
    image_max_bytes: int = 0

    def check(self, task: Task) -> None:
        """Raise what would end the task before its first step: ModelBlind, and InputError if there
        is no prompt in its language."""
        if self.blind:
            raise ModelBlind("the engine's model has no projector, so it sees no screenshots")
        try:
            self._system(task)
        except ConfigError as exc:
            raise InputError(exc.message, exc.hint) from exc

    def unknown(self, goal: str) -> Outcome | None:
        """The end of a task whose goal the model does not know; None for one that it knows."""
        return None if self.scope.knows(goal) else Outcome("out_of_scope", self.scope.told())

    @property
    def dialect(self) -> Dialect:
        """The dialect of the profile. Raises ConfigError if it is unknown."""
        return dialect_of(self.profile, self.image_max_tokens())

    def policy(
        self,
        task: Task,
        earlier: Sequence[Exchange] = (),
        phone: str = "",
        *,
        goes_on: bool = False,
        retry: Retry | None = None,
    ) -> VisionPolicy:
        """Build the task's policy; `retry` replaces the general one. Raises ConfigError if there is
        no prompt in its language."""
        return VisionPolicy(
            self.chat(phone),
            History(self.dialect, self._system(task), task.goal, earlier, goes_on=goes_on),
            self._image_size,
            feedback=self.profile.feedback,
            grammar=self._grammar,
            max_reply=self.profile.max_tokens,
            retry=retry or self.retry,
            image_max_bytes=self.image_max_bytes,
        )

    async def conduct(
        self,
        task: Task,
        phone: str,
        device: Device,
        person: Person,
        control: Control,
        retry: Retry | None = None,
    ) -> Conduct:
        """Build the task's conduct; `retry` as in `policy`. Raises DeviceError, AppNotFound for a
        missing allowed app."""
        allowed = {await device.find_app(name): name for name in task.allowed_apps}
        categories = () if task.confirm == "allow" else self.categories
        chat, retry = self.chat(phone), retry or self.retry
        reader = Reader(
            self.dialect,
            chat,
            task.goal,
            task.lang,
            self._image_size,
            retry=retry,
            image_max_bytes=self.image_max_bytes,
        )
        return Conduct(
            person=person if task.confirm == "ask" else Nobody(allows=task.confirm == "allow"),
            control=control,
            guard=Guard(categories, allowed),
            reader=reader if self.profile.reads else None,
            second_look=self._second_look(task, chat, reader, retry),
            mode=task.mode,
        )

    def _second_look(
        self, task: Task, chat: Chat, reader: Reader, retry: Retry
    ) -> SecondLook | None:
        if self.second_look == "off":
            return None
        if self.second_look == "judge":
            return JudgeLook(reader)
        system = self._system(task)  # before the task starts, so that a missing prompt fails early

        def fresh() -> VisionPolicy:
            history = History(self.dialect, system, task.goal)
            return VisionPolicy(
                chat,
                history,
                self._image_size,
                grammar=self._grammar,
                retry=retry,
                image_max_bytes=self.image_max_bytes,
            )

        return FreshLook(fresh)

    def _system(self, task: Task) -> str:
        today = datetime.now().astimezone().date()
        name = self.profile.prompt or self.dialect.prompt
        return load_prompt(name, task.lang, today, self.prompts_dir)

    @property
    def _image_size(self) -> tuple[int, int] | None:
        profile = self.profile
        return (profile.image_width, profile.image_height) if profile.image_width else None

    @property
    def _grammar(self) -> str:
        if self.profile.grammar == "off":
            return ""
        return self.dialect.grammar(self.profile.max_thought)


def dialect_of(profile: Profile, image_max_tokens: int = 0) -> Dialect:
    """Return the dialect with the profile's options. Raises ConfigError."""
    return dialect_named(
        profile.dialect,
        coordinates=profile.coordinates,
        images_kept=profile.images_kept,
        answer_ends=profile.answer_ends,
        image_max_tokens=image_max_tokens,
    )


def exchanges_of(dialect: Dialect, task: Task, steps: Sequence[Step]) -> list[Exchange]:
    """Rebuild the conversation of an ended task from its steps, for a task that follows it."""
    exchanges: list[Exchange] = []
    for step in steps:
        try:
            decision = dialect.read(step.raw)
        except (PolicyError, ReplyTruncated):
            continue
        first = not exchanges
        exchanges.append(
            Exchange(
                dialect.user_text(task.goal, step.app, first=first),
                dialect.assistant_text(decision.thought, decision.answer),
                step.summary,
                step.tokens.get("completion", 0),
                goal=first,
            )
        )
    return exchanges
