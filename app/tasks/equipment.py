"""What the loop needs for one task, built from its fields and the configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Literal, Protocol

from app.agent.conduct import Conduct
from app.agent.control import Control
from app.agent.guard import Category, Guard
from app.agent.history import History, Turn, assistant_text, user_text
from app.agent.policy import VisionPolicy
from app.agent.ports import Chat, Device, Nobody, Person
from app.agent.prompt import load_prompt
from app.agent.reader import Reader
from app.agent.reply import parse_reply
from app.agent.verify import FreshLook, JudgeLook, SecondLook
from app.errors import PolicyError, ReplyTruncated
from app.tasks.models import Step, Task

SecondLookKind = Literal["off", "judge", "fresh"]


class Profile(Protocol):
    """How one model is asked."""

    @property
    def prompt(self) -> str: ...

    @property
    def image_width(self) -> int: ...

    @property
    def image_height(self) -> int: ...

    @property
    def feedback(self) -> bool: ...

    @property
    def reads(self) -> bool: ...

    @property
    def grammar(self) -> Literal["auto", "on", "off"]: ...

    @property
    def max_tokens(self) -> int: ...


@dataclass(frozen=True)
class Assignments:
    """Builds them. `chat` gives the engine as a phone asks it, `categories` are what to ask about,
    unless a task allows them all."""

    chat: Callable[[str], Chat]
    profile: Profile
    categories: Sequence[Category] = ()
    second_look: SecondLookKind = "off"
    prompts_dir: Path | None = None

    def policy(
        self,
        task: Task,
        earlier: Sequence[Turn] = (),
        phone: str = "",
        *,
        goes_on: bool = False,
    ) -> VisionPolicy:
        """Raises ConfigError when there is no prompt in the task's language."""
        return VisionPolicy(
            self.chat(phone),
            History(self._system(task), task.goal, earlier, goes_on=goes_on),
            self._image_size,
            feedback=self.profile.feedback,
            grammar=self._grammar,
            max_reply=self.profile.max_tokens,
        )

    async def conduct(
        self, task: Task, phone: str, device: Device, person: Person, control: Control
    ) -> Conduct:
        """Raises AppNotFound for an allowed app that the phone does not have, DeviceError."""
        allowed = {await device.find_app(name): name for name in task.allowed_apps}
        categories = () if task.confirm == "allow" else self.categories
        chat = self.chat(phone)
        reader = Reader(chat, task.goal, task.lang, self._image_size)
        return Conduct(
            person=person if task.confirm == "ask" else Nobody(allows=task.confirm == "allow"),
            control=control,
            guard=Guard(categories, allowed),
            reader=reader if self.profile.reads else None,
            second_look=self._second_look(task, chat),
            mode=task.mode,
        )

    def _second_look(self, task: Task, chat: Chat) -> SecondLook | None:
        if self.second_look == "off":
            return None
        if self.second_look == "judge":
            return JudgeLook(Reader(chat, task.goal, task.lang, self._image_size))
        system, grammar = self._system(task), self._grammar
        return FreshLook(chat, system, task.goal, self._image_size, grammar)

    def _system(self, task: Task) -> str:
        today = datetime.now().astimezone().date()
        return load_prompt(self.profile.prompt, task.lang, today, self.prompts_dir)

    @property
    def _image_size(self) -> tuple[int, int] | None:
        profile = self.profile
        return (profile.image_width, profile.image_height) if profile.image_width else None

    @property
    def _grammar(self) -> str:
        if self.profile.grammar == "off":
            return ""
        path = resources.files("app.agent") / "grammars" / "autoglm.gbnf"
        return path.read_text(encoding="utf-8")


def turns_of(task: Task, steps: Sequence[Step]) -> list[Turn]:
    """The conversation of an ended task, as its steps tell it, for a task that follows it."""
    turns: list[Turn] = []
    for step in steps:
        try:
            decision = parse_reply(step.raw)
        except (PolicyError, ReplyTruncated):
            continue
        first = not turns
        turns.append(
            Turn(
                user_text(task.goal, step.app, first=first),
                assistant_text(decision.thought, decision.answer),
                step.summary,
                step.tokens.get("completion", 0),
                goal=first,
            )
        )
    return turns
