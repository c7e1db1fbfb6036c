"""Asks single questions about a screen, outside the conversation and without a trace in it.

The same engine answers them, each with a short prompt of its own: what is on this page (Note), what
follows from the notes (Call_API), and whether the goal is reached (the second look).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from app.agent.dialects.base import Dialect, image_part
from app.agent.picture import encoded, sent_size
from app.agent.ports import Chat
from app.agent.retry import Retry
from app.agent.screen import Frame

_YES = re.compile(r"\W*(?:yes\b|是)", re.IGNORECASE)
_NO = re.compile(r"\W*(?:no\b|否|不|没)", re.IGNORECASE)
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Verdict:
    """Whether the goal is reached; None if the answer was neither yes nor no."""

    reached: bool | None
    reason: str = ""


class Reader:
    """Reads screens for one task; `image_size` and `image_max_bytes` as in the policy. Raises
    EngineError."""

    def __init__(
        self,
        dialect: Dialect,
        chat: Chat,
        goal: str,
        lang: Literal["en", "zh"],
        image_size: tuple[int, int] | None,
        *,
        retry: Retry | None = None,
        image_max_bytes: int = 0,
    ) -> None:
        self._image_max_bytes = image_max_bytes
        self._retry = retry or Retry()
        self._dialect = dialect
        self._chat = chat
        self._goal = goal
        self._lang = lang
        self._image_size = image_size

    async def describe(self, frame: Frame) -> str:
        """Describe what on this screen matters for the goal."""
        return await self._ask("note", frame)

    async def sum_up(self, frame: Frame, notes: str, instruction: str) -> str:
        """Follow an instruction, using the notes and the screen."""
        return await self._ask("summary", frame, notes=notes, instruction=instruction)

    async def judge(self, frame: Frame, message: str) -> Verdict:
        """Judge whether this screen shows that the goal is reached; `message` is the claim."""
        said = await self._ask("judge", frame, message=message)
        if _YES.match(said):
            return Verdict(True, said)
        return Verdict(False if _NO.match(said) else None, said)

    async def _ask(self, prompt: str, frame: Frame, **fields: str) -> str:
        text = _filled(_load(prompt, self._lang), {"goal": self._goal, **fields})
        size = sent_size(self._dialect, self._image_size, frame.width, frame.height)
        picture = await asyncio.to_thread(encoded, frame, size, self._image_max_bytes)
        content = [image_part(picture), {"type": "text", "text": text}]

        async def ask() -> str:
            async with self._chat.ask([{"role": "user", "content": content}]) as reply:
                async for _ in reply:
                    pass
            return reply.completion.text

        return self._dialect.words(await self._retry(self._chat, ask))


def _load(prompt: str, lang: str) -> str:
    path = resources.files("app.agent") / "prompts" / "reader" / f"{prompt}.{lang}.md"
    return path.read_text(encoding="utf-8").strip()


def _filled(text: str, fields: Mapping[str, str]) -> str:
    """Fill each place in one pass, so that inserted text cannot contain a place of its own."""
    return _PLACE.sub(lambda match: fields.get(match[1], match[0]), text)
