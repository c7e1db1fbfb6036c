"""What all commands share: common options, and running to the end."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Annotated, Any

import typer

from app.errors import InputError

Config = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", help="A TOML file or a shipped one: demo, rtx-4060-8gb, ..."),
]
SERVICE_URL = "http://127.0.0.1:8770"
Url = Annotated[str, typer.Option("--url", help="Where the service runs.")]
Json = Annotated[bool, typer.Option("--json", help="JSON for programs instead of text.")]
_SCREEN = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})", re.ASCII)
MARKS = {
    "ok": "[green]ok[/]     ",
    "warning": "[yellow]warning[/]",
    "problem": "[red]problem[/]",
}


def run_to_end(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end, or until SIGINT or SIGTERM has cancelled it and everything is closed."""

    async def until_terminated() -> Any:
        task = asyncio.current_task()
        assert task is not None
        with suppress(NotImplementedError):  # Windows ends the process; the guards clean up
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(until_terminated())
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None


def pixels(text: str) -> tuple[int, int]:
    """The width and height that an option names, as 1080x2400; raises InputError."""
    match = _SCREEN.fullmatch(text.strip().casefold())
    if match is None:
        raise InputError(f"{text!r} is not a screen size", "Write it as 1080x2400.")
    return int(match[1]), int(match[2])
