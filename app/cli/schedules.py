"""The command `phonepilot schedules`: goals that are repeated."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from app.cli.options import SERVICE_URL, Json, Url, run_to_end
from app.cli.show import Terminal, print_json, shown

schedules_app = typer.Typer(
    help="Give goals again and again, at the times of a cron line.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
ScheduleId = Annotated[str, typer.Argument(metavar="ID", help="As in `phonepilot schedules list`.")]


class Missed(StrEnum):
    """What happens to runs during which the service was away."""

    SKIP = "skip"
    RUN_ONCE = "run_once"


async def _call(
    method: str, url: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    from app.client import ServiceClient

    async with ServiceClient(url) as service:
        return await service.call(method, path, body)


def _path(schedule_id: str, *rest: str) -> str:
    return "/".join(["/schedules", quote(schedule_id, safe=""), *rest])


@schedules_app.command("list", epilog="Example: `phonepilot schedules list --json`")
def list_schedules(url: Url = SERVICE_URL, json_: Json = False) -> None:
    """List all schedules with their next runs."""
    answer = run_to_end(_call("GET", url, "/schedules"))
    if json_:
        print_json(answer)
        return
    terminal = Terminal()
    if not answer["schedules"]:
        terminal.say("No schedules. Add one with `phonepilot schedules add`.")
        return
    terminal.say(f"[dim]{'id':<14}{'next run (UTC)':<18}{'cron':<18}name: goal[/]")
    for schedule in answer["schedules"]:
        _line(terminal, schedule)


def _line(terminal: Terminal, schedule: dict[str, Any]) -> None:
    due = (schedule["next_run_at"] or "off")[:16].replace("T", " ")
    terminal.say(
        f"{shown(schedule['id']):<14}{due:<18}{shown(schedule['cron']):<18}"
        f"{shown(schedule['name'])}: {shown(schedule['task']['goal'])}"
    )
    if error := schedule["last_error"]:
        terminal.say(f"{'':<14}[yellow]last run:[/] {shown(error['message'])}")


@schedules_app.command(
    epilog="Example: `phonepilot schedules add 'Turn on battery saver' --cron '30 22 * * 1-5'`"
)
def add(
    goal: Annotated[str, typer.Argument(help="What should be done on the phone.")],
    cron: Annotated[str, typer.Option(help="minute hour day month weekday; 0 is Sunday.")],
    timezone: Annotated[
        str | None, typer.Option(help="As Europe/Berlin. Default: the service's own.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Default: the goal.")] = None,
    device: Annotated[
        list[str] | None, typer.Option(help="Serial, or any; may be repeated for several phones.")
    ] = None,
    missed: Annotated[
        Missed, typer.Option(help="After runs that the service was away for.")
    ] = Missed.SKIP,
    url: Url = SERVICE_URL,
    json_: Json = False,
) -> None:
    """Give a goal at the times of a cron line."""
    wish = {
        "name": name or goal[:100],
        "cron": cron,
        "timezone": timezone,
        "task": {"goal": goal},
        "devices": device or None,
        "missed": missed.value,
    }
    body = {key: value for key, value in wish.items() if value is not None}
    _show(run_to_end(_call("POST", url, "/schedules", body)), json_)


@schedules_app.command("on", epilog="Example: `phonepilot schedules on ID`")
def switch_on(schedule_id: ScheduleId, url: Url = SERVICE_URL, json_: Json = False) -> None:
    """Switch a schedule on again; runs missed while it was off are not made up for."""
    _show(run_to_end(_call("PATCH", url, _path(schedule_id), {"enabled": True})), json_)


@schedules_app.command("off", epilog="Example: `phonepilot schedules off ID`")
def switch_off(schedule_id: ScheduleId, url: Url = SERVICE_URL, json_: Json = False) -> None:
    """Switch a schedule off, and keep it."""
    _show(run_to_end(_call("PATCH", url, _path(schedule_id), {"enabled": False})), json_)


@schedules_app.command(epilog="Example: `phonepilot schedules run ID`")
def run(schedule_id: ScheduleId, url: Url = SERVICE_URL, json_: Json = False) -> None:
    """Create its tasks now, in addition to its times."""
    _show(run_to_end(_call("POST", url, _path(schedule_id, "run"))), json_)


@schedules_app.command(epilog="Example: `phonepilot schedules remove ID`")
def remove(schedule_id: ScheduleId, url: Url = SERVICE_URL) -> None:
    """Remove a schedule. Tasks that it has created continue."""
    run_to_end(_call("DELETE", url, _path(schedule_id)))
    Terminal().say("Removed.")


def _show(schedule: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(schedule)
        return
    terminal = Terminal()
    _line(terminal, schedule)
    for device, task_id in schedule["last_tasks"].items():
        terminal.say(f"{'':<14}last task{f' on {shown(device)}' if device else ''}: {task_id}")
