"""Shows a task on the terminal: each step as it happens, a live line below, or JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from app.errors import AppError
from app.visible import visible


def shown(text: str) -> str:
    """Escape untrusted text (of model, screen, phone) for the terminal: no markup, no control
    codes, and nothing invisible or direction-changing."""
    seen = visible(text)
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in seen))


def question_lines(question: dict[str, Any]) -> list[str]:
    """Return a question as lines with markup: first the question, then the model's words."""
    lines = [f"[yellow]?[/] [bold]{shown(question['text'])}[/]"]
    if label := question.get("label"):
        lines.append(f"  Under the finger: [bold]{shown(label)}[/]")
    if question["hint"]:
        lines.append(f"  {shown(question['hint'])}")
    if (said := question.get("said")) and said != question["text"]:
        lines.append(f"  [dim]The model says:[/] {shown(said)}")
    if thought := question.get("thought"):
        lines.append(f"  [dim]The model thinks:[/] {shown(thought)}")
    return lines


Events = AsyncIterator[tuple[str, dict[str, Any]]]
OnTask = Callable[[dict[str, Any]], Awaitable[None]]


class Terminal:
    """Prints for people on stdout, or one JSON object per line with `json_lines`."""

    def __init__(self, *, json_lines: bool = False) -> None:
        self.json_lines = json_lines
        self._console = Console(highlight=False, soft_wrap=True)

    def say(self, text: str = "", /, **data: Any) -> None:
        """Print a line for people; with --json, `data` as an object if there is any."""
        if not self.json_lines:
            self._console.print(text)
        elif data:
            print(json.dumps(data), flush=True)

    def working(self, text: str) -> Status:
        """Show a live line while the block runs; nothing if stdout is not a terminal."""
        # On the same console as the lines above it: two consoles would overwrite each other.
        console = Console(stderr=True) if self.json_lines else self._console
        return console.status(shown(text))

    def prompt(self, text: str) -> None:
        """Print a prompt; the person's input follows on the same line."""
        self._console.print(shown(text), end="")

    async def follow(self, events: Events, on_task: OnTask | None = None) -> dict[str, Any]:
        """Print a task's events until its end, and return the task as it ended.

        `on_task` is called at each change; while a question is open the live line is hidden.
        """
        task: dict[str, Any] = {}
        thought = ""
        with self.working("waiting for the phone") as status:
            async for kind, data in events:
                if kind in ("task", "end"):
                    task = data
                    if task["question"]:
                        status.stop()
                    if on_task is not None:
                        await on_task(task)
                    if kind == "task" and not task["question"]:
                        waits = task["status"] == "queued"
                        status.update("waiting for the phone" if waits else task["status"])
                        status.start()
                elif kind == "observed":
                    thought = ""
                    status.update(f"step {data['step']}: looking at {shown(data['app'])}")
                elif kind == "retry":
                    thought = ""
                    status.update(f"step {data['step']}: {shown(data['message'])}")
                elif kind == "thought":
                    thought += data["text"]
                    status.update(f"step {data['step']}: {shown(thought[-60:])}")
                elif kind == "step":
                    self.show_step(data)
        return task

    def show_step(self, step: dict[str, Any]) -> None:
        seconds = sum(v for k, v in step["timings_ms"].items() if k != "first_token") / 1000
        head = f"[bold]{step['number']:>3}[/]  [cyan]{shown(step['app']):<12}[/]"
        self.say(f"{head} {shown(step['thought'])}", event="step", **step)
        if self.json_lines:
            return
        what = shown(step["summary"] or "no usable action")
        means = f", by {shown(step['means'])}" if step["means"] else ""
        self._console.print(f"{'':>18} [green]{what}[/]  [dim]{seconds:.2f} s{means}[/]")
        if step["remark"]:
            self._console.print(f"{'':>18} [yellow]{shown(step['remark'])}[/]")
        if error := step["error"]:
            self._console.print(f"{'':>18} [red]{shown(error['message'])}[/]")


def print_error(error: AppError) -> None:
    """Print an error in two lines on stderr: what happened, what to do; after the engine's log."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    body = error.as_dict()
    for line in body.get("log_tail", [])[-10:]:
        console.print(f"[dim]  | {shown(line)}[/]")
    code = str(body.get("code", error.code))
    console.print(f"[bold red]error[/] [dim]{shown(code)}[/] {shown(error.message)}")
    if error.hint:
        console.print(f"  {shown(error.hint)}")


def print_json(value: Any) -> None:
    # Escaped: programs read the same, and a terminal gets nothing that hides or reorders text.
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")
