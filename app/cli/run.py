"""The command `phonepilot run`: gives a goal to the running service and follows it to its end."""

from __future__ import annotations

import asyncio
import os
from enum import StrEnum
from typing import Annotated, Any

import typer

from app.cli.options import SERVICE_URL, Json, Url, run_to_end
from app.cli.show import Terminal, shown

EXAMPLES = (
    "Examples: `phonepilot run 'Turn on Wi-Fi' --device emulator-5554`, "
    "`phonepilot run 'Sign in to Bank with {{secret:bank}}' --secret bank`, "
    "`phonepilot run 'Send Ann the address' --step --allow-app Messages`, "
    "`phonepilot run 'And now back to Home' --follow 0123456789abcdef`"
)


class Consent(StrEnum):
    """Who decides on sensitive actions."""

    ASK = "ask"
    DENY = "deny"
    ALLOW = "allow"


def run(
    goal: Annotated[str, typer.Argument(help="What should be done on the phone.")],
    device: Annotated[
        str | None, typer.Option(help="Serial of the phone, or any for whichever is free first.")
    ] = None,
    priority: Annotated[
        int, typer.Option(min=-10, max=10, help="Of waiting tasks the highest goes first.")
    ] = 0,
    max_steps: Annotated[int | None, typer.Option(help="Stop after this many steps.")] = None,
    confirm: Annotated[
        Consent | None, typer.Option(help="Who decides on sensitive actions. Default: the service.")
    ] = None,
    step: Annotated[bool, typer.Option("--step", help="Ask before each action.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Decide one action and touch nothing.")
    ] = False,
    allow_app: Annotated[
        list[str] | None,
        typer.Option(help="An app that may be touched, and no other; may be repeated."),
    ] = None,
    follow: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on where this ended task has stopped.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What {{secret:NAME}} in the goal stands for: asked for here, or taken from "
            "PHONEPILOT_SECRET_NAME. Typed on the phone and shown to nobody; may be repeated.",
        ),
    ] = None,
    callback: Annotated[
        str | None, typer.Option(metavar="URL", help="A webhook for its questions and its end.")
    ] = None,
    url: Url = SERVICE_URL,
    json_: Json = False,
) -> None:
    """Give a goal to the running service, follow it, and answer its questions.

    The exit code is 0 if it succeeded, or if a dry run came to its end.
    """
    if step and dry_run:
        raise typer.BadParameter("--step and --dry-run exclude each other.")
    wish = {
        "goal": goal,
        "device": device,
        "max_steps": max_steps,
        "confirm": confirm and confirm.value,
        "mode": "step" if step else "dry_run" if dry_run else None,
        "allowed_apps": allow_app or None,
        "follows": follow,
        "priority": priority or None,
        "callback_url": callback,
        "secrets": {name: _secret(name) for name in secret} if secret else None,
    }
    known = {name: value for name, value in wish.items() if value is not None}
    raise typer.Exit(run_to_end(_run_goal(known, url, Terminal(json_lines=json_))))


def _secret(name: str) -> str:
    variable = f"PHONEPILOT_SECRET_{name.upper().replace('-', '_')}"
    return os.environ.get(variable) or str(typer.prompt(f"Secret {name}", hide_input=True))


async def _run_goal(wish: dict[str, Any], url: str, terminal: Terminal) -> int:
    from app.cli.ask import Asking, Keyboard
    from app.client import ServiceClient

    keyboard = None if terminal.json_lines else Keyboard.at_hand()
    async with ServiceClient(url) as service:
        task = await service.post("/tasks", wish)
        asking = Asking(service, terminal, keyboard)
        try:
            task = await terminal.follow(service.events(task["id"]), asking.update)
        except asyncio.CancelledError:
            await service.post(f"/tasks/{task['id']}/cancel")
            raise
        finally:
            await asking.close()
    terminal.say(f"\n[bold]{task['status']}[/] {shown(task['message'])}", event="end", **task)
    if task["error"] and task["error"]["hint"]:
        terminal.say(shown(task["error"]["hint"]))
    return 0 if task["status"] == "succeeded" or task["stop_reason"] == "dry_run" else 1
