"""Asks a task's questions at the terminal; without one, shows how to answer them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from app.cli.show import Terminal, question_lines, shown
from app.client import ServiceClient
from app.errors import AppError, ServiceRefused

STOP = "/stop"
MAX_LINE = 4096
"""Most bytes that a terminal returns at once: the longest line in canonical mode, termios(3)."""

_PROMPTS = {
    "confirmation": "Allow? y, or n, or n and what to do instead: ",
    "step": "Allow? y, or n, or n and what to do instead: ",
    "question": f"Your answer, or {STOP} to end the task: ",
    "take_over": "Done? y or n, and a word to the model if you like: ",
    "stalled": "Go on? y or n, and advice to the model if you like: ",
    "doubt": "Is it reached? y or n: ",
}
_YES_ALONE = ("confirmation", "step", "doubt")
"""Kinds of questions where a text after a yes would not be read by anyone."""


def read_answer(kind: str, line: str) -> dict[str, Any] | None:
    """Parse a line as an answer to a question of that kind; None if it is not one."""
    line = line.strip()
    if kind == "question":
        if line == STOP:
            return {"allow": False}
        return {"allow": True, "text": line} if line else None
    word, _, rest = line.partition(" ")
    word = word.rstrip(",.:;").casefold()
    if word in ("n", "no"):
        return {"allow": False, "text": rest.strip()}
    if word in ("y", "yes") and not (rest and kind in _YES_ALONE):
        return {"allow": True, "text": rest.strip()}
    return None


@dataclass(frozen=True)
class Keyboard:
    """Lines from the terminal `fd`; not read in a thread, which could not be stopped early."""

    fd: int

    @classmethod
    def at_hand(cls) -> Self | None:
        """Return the person's keyboard; None without a terminal, and on Windows."""
        if os.name != "posix" or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return None
        return cls(sys.stdin.fileno())

    def forget(self) -> None:
        """Drop unread input: it was not meant for the next question."""
        import termios

        termios.tcflush(self.fd, termios.TCIFLUSH)

    async def line(self) -> str:
        """Return the next line; raises EOFError if there will be none."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self.fd, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self.fd)
        line = os.read(self.fd, MAX_LINE)
        if not line:
            raise EOFError
        return line.decode("utf-8", "replace")


class Asking:
    """The questions of one task. `update` must be called with the task whenever it has changed."""

    def __init__(
        self, service: ServiceClient, terminal: Terminal, keyboard: Keyboard | None
    ) -> None:
        self._service = service
        self._terminal = terminal
        self._keyboard = keyboard
        self._number: int | None = None
        self._prompt: asyncio.Task[None] | None = None

    async def update(self, task: dict[str, Any]) -> None:
        question = task["question"]
        number = question["number"] if question else None
        if number == self._number:
            return
        self._number = number
        await self.close()
        if question is None:
            return
        self._show(task["id"], question)
        if self._keyboard is not None:
            self._prompt = asyncio.create_task(self._ask(self._keyboard, task["id"], question))

    async def close(self) -> None:
        """Close an open prompt, and say so."""
        prompt, self._prompt = self._prompt, None
        if prompt is None:
            return
        if not prompt.done():
            prompt.cancel()
            self._terminal.say("\n[dim]No longer asked: answered elsewhere, or too late.[/]")
        with suppress(asyncio.CancelledError):
            await prompt

    def _show(self, task_id: str, question: dict[str, Any]) -> None:
        say = self._terminal.say
        head, *rest = question_lines(question)
        say(f"\n{head}", event="question", task=task_id, **question)
        for line in rest:
            say(line)
        if self._keyboard is None:
            body = shown(json.dumps({"allow": True, "question": question["number"]}))
            say(f"  Waits {question['timeout_s']:g} s for an answer in the dashboard, or by:")
            say(f"  curl -X POST {shown(self._service.url)}/tasks/{shown(task_id)}/reply \\")
            say(f"    -H 'Content-Type: application/json' -d '{body}'")

    async def _ask(self, keyboard: Keyboard, task_id: str, question: dict[str, Any]) -> None:
        kind = question["kind"]
        keyboard.forget()
        try:
            while True:
                self._terminal.prompt(f"  {_PROMPTS.get(kind, _PROMPTS['confirmation'])}")
                answer = read_answer(kind, await keyboard.line())
                if answer is not None and await self._reply(task_id, question["number"], answer):
                    return
        except EOFError:
            self._terminal.say("\n  Nothing more can be typed here; answer in the dashboard.")
        finally:
            keyboard.forget()

    async def _reply(self, task_id: str, number: int, answer: dict[str, Any]) -> bool:
        """Send the answer. Return False if the question has to be asked again."""
        try:
            await self._service.post(f"/tasks/{task_id}/reply", {**answer, "question": number})
        except AppError as exc:
            self._terminal.say(f"  [red]{shown(exc.message)}[/]")
            refused = exc.body.get("code") if isinstance(exc, ServiceRefused) else None
            return refused != "input_invalid"
        return True
