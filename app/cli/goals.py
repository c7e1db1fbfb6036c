"""The command `phonepilot goals`: what the service's model can be asked to do."""

from __future__ import annotations

from typing import Any

from app.cli.options import SERVICE_URL, Json, Url, run_to_end
from app.cli.show import Terminal, print_json, shown

EXAMPLES = "Examples: `phonepilot goals`, `phonepilot goals --json`"


def goals(url: Url = SERVICE_URL, json_: Json = False) -> None:
    """List the goals that the running service's model knows, if it knows only some."""
    answer = run_to_end(_known(url))
    if json_:
        print_json(answer)
        return
    terminal = Terminal()
    if answer["any_goal"]:
        terminal.say("The model may be given any goal, in plain words.")
        return
    terminal.say("The model knows only these goals:")
    for kind in answer["known"]:
        things = f": {', '.join(map(shown, kind['things']))}" if kind["things"] else ""
        terminal.say(f"  [bold]{shown(kind['title'])}[/]{things}")
        terminal.say(f"  [dim]e.g. {shown(kind['example'])}[/]")


async def _known(url: str) -> dict[str, Any]:
    from app.client import ServiceClient

    async with ServiceClient(url) as service:
        return await service.get("/goals")
