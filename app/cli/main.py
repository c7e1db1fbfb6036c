"""The `phonepilot` command: turns arguments into settings and calls."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler

from app import __version__
from app.cli.bench import bench_app
from app.cli.engine import engine_app
from app.cli.goals import EXAMPLES as GOAL_EXAMPLES
from app.cli.goals import goals
from app.cli.models import models_app
from app.cli.options import MARKS, SERVICE_URL, Config, Json, Url, run_to_end
from app.cli.phones import devices_app
from app.cli.prompts import prompts_app
from app.cli.run import EXAMPLES, run
from app.cli.schedules import schedules_app
from app.cli.show import Terminal, print_error, print_json, shown
from app.cli.tasks import tasks_app
from app.cli.tokens import tokens_app
from app.errors import AppError, InputError
from app.log import VisibleFormatter

if TYPE_CHECKING:
    from app.demo.scenario import Stage

app = typer.Typer(
    name="phonepilot",
    help="Say what you want; phonepilot does it on your Android phone.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

app.add_typer(devices_app, name="devices")
app.add_typer(bench_app, name="bench")
app.add_typer(prompts_app, name="prompts")
app.add_typer(engine_app, name="engine")
app.add_typer(tokens_app, name="tokens")
app.add_typer(models_app, name="models")
app.add_typer(tasks_app, name="tasks")
app.add_typer(schedules_app, name="schedules")
app.command(epilog=EXAMPLES)(run)
app.command(epilog=GOAL_EXAMPLES)(goals)


def main() -> None:
    """The console script: errors are one or two lines, never a traceback."""
    try:
        app()
    except AppError as exc:
        print_error(exc)
        raise SystemExit(1) from exc


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version."),
    ] = False,
) -> None:
    level = logging.INFO if verbose else logging.WARNING
    # stdout is for results, which programs read; in a file, a log line must stay one line.
    if sys.stderr.isatty():
        handler: logging.Handler = RichHandler(console=Console(stderr=True), show_path=False)
        handler.setFormatter(VisibleFormatter("%(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(VisibleFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


@app.command(
    epilog="Examples: `phonepilot demo`, `phonepilot demo --goal 'Open Calendar' --seed 12 --keep`"
)
def demo(
    goal: Annotated[
        str | None,
        typer.Option(help="What to do: switch a setting, or open an app. Default: Bluetooth on."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Which virtual phone.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the dashboard up until Ctrl-C.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port of the service; 0 for a free one.")] = 0,
    json_: Json = False,
) -> None:
    """Show the whole product: virtual phone, adb, llama.cpp and the demo model reach a goal."""
    raise typer.Exit(run_to_end(_demo(goal, seed, keep, port, Terminal(json_lines=json_))))


async def _demo(
    goal: str | None, seed: int | None, keep: bool, port: int, terminal: Terminal
) -> int:
    from app.demo import scenario

    goal = scenario.DEFAULT_GOAL if goal is None else goal
    if not goal.strip():  # before all parts are started
        raise InputError("the goal is empty", f"For example: {scenario.DEFAULT_GOAL}.")
    seed = scenario.DEFAULT_SEED if seed is None else seed
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        with terminal.working("starting the virtual phone, the adb server and the service"):
            stage = await stack.enter_async_context(scenario.stage(seed, port))
        with terminal.working("loading the model"):
            engine = await scenario.engine_ready(stage.service)
        url, model = stage.service.url, Path(engine["model"]).name
        seconds = time.monotonic() - started
        terminal.say(f"[bold]virtual phone[/]  {stage.phone.serial}, seed {seed}")
        terminal.say(f"[bold]engine[/]         {engine['kind']}, {model}")
        terminal.say(f"[bold]dashboard[/]      {url}")
        terminal.say(f"[dim]all ready after {seconds:.1f} s[/]", event="ready", url=url, seed=seed)
        terminal.say(f"\n[bold]Goal:[/] {shown(goal)}\n")
        code = await _demo_task(goal, stage, terminal, keep)
        if keep:
            terminal.say(f"\nThe dashboard stays at {url}; Ctrl-C ends it.")
            await asyncio.get_running_loop().create_future()
        return code


async def _demo_task(goal: str, stage: Stage, terminal: Terminal, keep: bool) -> int:
    """Run the goal and judge it by the phone's state; 0 right, 1 wrong, 2 no verdict."""
    from app.cli.ask import Asking, Keyboard
    from app.demo.judge import expected

    before, begun = await stage.phone.state(), time.monotonic()
    keyboard = None if terminal.json_lines else Keyboard.at_hand()
    # If nobody can answer, at a terminal or in a dashboard that stays open, questions are refused.
    confirm = {} if keyboard or keep else {"confirm": "deny"}
    created = await stage.service.post("/tasks", {"goal": goal, **confirm})
    asking = Asking(stage.service, terminal, keyboard)
    try:
        task = await terminal.follow(stage.service.events(created["id"]), asking.update)
    finally:
        await asking.close()
    seconds, steps = time.monotonic() - begun, task["steps"]
    terminal.say(
        f"\nTask [bold]{task['status']}[/] after {steps} {'step' if steps == 1 else 'steps'} "
        f"and {seconds:.1f} s: "
        f"{shown(task['message'])}",
        event="end",
        **task,
    )
    expectation = expected(goal)
    if expectation is None:
        terminal.say(
            "No verdict: only switches of Settings and apps to open are judged here.",
            event="verdict",
            right=None,
        )
        return 2
    verdict = expectation.judge(before, await stage.phone.state())
    right = verdict.right and task["status"] == "succeeded"
    mark = "[bold green]right[/]" if right else "[bold red]wrong[/]"
    terminal.say(
        f"Verdict of the phone's own state: {mark}, {verdict.reason}.",
        event="verdict",
        right=right,
        reason=verdict.reason,
    )
    return 0 if right else 1


@app.command(epilog="Examples: `phonepilot serve -c rtx-4060-8gb`, `phonepilot serve -c demo`")
def serve(
    config: Config = None,
    port: Annotated[int | None, typer.Option(help="Default: service.port, 8770.")] = None,
) -> None:
    """Run the service: HTTP API and dashboard, until Ctrl-C."""
    from app.log import count_repeats, log_json
    from app.serving import serve as run_service
    from app.settings import load_settings

    settings = load_settings(config or (), {"service.port": port})
    if settings.service.log == "json":
        log_json()
    count_repeats()
    run_to_end(
        run_service(settings, lambda url: Terminal().say(f"phonepilot is ready at [bold]{url}[/]"))
    )


@app.command(epilog="Example: `phonepilot connect 192.168.1.20:5555`")
def connect(
    address: Annotated[str, typer.Argument(help="host:port of a phone with adb over TCP.")],
    url: Url = SERVICE_URL,
) -> None:
    """Have the running service connect to a phone over the network."""
    serial = run_to_end(_connect(address, url))["serial"]
    Terminal().say(f"{shown(serial)} is connected")


async def _connect(address: str, url: str) -> dict[str, Any]:
    from app.client import ServiceClient

    async with ServiceClient(url) as service:
        return await service.post("/devices/connect", {"address": address})


QUIRK_HELP = (
    "A trap of real phones, NAME or NAME=VALUE; may be repeated: android=9, displays=2, "
    "secure=PACKAGE, no-inject, unauthorized, asleep, locked=PIN, "
    "adbkeyboard=missing|inactive|api33, no-install, no-cursor, cursor-first, max-length=UNITS, "
    "no-paste=all|passwords, scrcpy=fails|slow|deaf|dies|clipboard, "
    "slow-screencap=SECONDS, slow-shell=SECONDS, endless=COMMAND, "
    "drop-screencap=TIMES, drop-input=before|after, half-open=connect|link|stale, "
    "clock-jump=SECONDS, rotation=90, size=720x1600, "
    "override-size=720x1600, density=320, override-density=320, work-profile=PACKAGE, "
    "scene=payment (or login, popup, ...). "
    "A wrong value names the right ones."
)


@app.command(
    epilog="Examples: `phonepilot phone`, `phonepilot phone --seed 12 --quirk scene=payment`"
)
def phone(
    port: Annotated[int, typer.Option(help="ADB port; 0 for a free one.")] = 6555,
    seed: Annotated[int, typer.Option(help="The same seed gives the same phone.")] = 7,
    control_port: Annotated[int, typer.Option(help="Control port; 0 for a free one.")] = 0,
    quirk: Annotated[list[str] | None, typer.Option(help=QUIRK_HELP)] = None,
) -> None:
    """Run a virtual phone that any adb server can connect to, until Ctrl-C."""
    from app.virtual_phone.main import Ports
    from app.virtual_phone.main import serve as run_phone

    token = secrets.token_urlsafe(16)

    def ready(ports: Ports) -> None:
        terminal = Terminal()
        address = f"127.0.0.1:{ports.adb}"
        terminal.say(f"virtual phone with seed {seed} at [bold]{address}[/]")
        terminal.say(f"connect it:   phonepilot connect {address}   or   adb connect {address}")
        terminal.say(f"control port: http://127.0.0.1:{ports.control}/state")
        terminal.say(f"              Authorization: Bearer {token}")

    run_to_end(run_phone(port, seed, control_port, token, quirks=quirk or (), ready=ready))


@app.command(epilog="Examples: `phonepilot doctor`, `phonepilot doctor -c rtx-4060-8gb`")
def doctor(config: Config = None, json_: Json = False) -> None:
    """Check everything phonepilot needs, and show what is wrong and how to fix it."""
    from dataclasses import asdict

    from app.doctor import examine
    from app.settings import load_settings

    checks = run_to_end(examine(load_settings(config or ())))
    if json_:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        terminal = Terminal()
        for check in checks:
            terminal.say(f"{MARKS[check.status]}  [bold]{check.name:<12}[/] {shown(check.message)}")
            if check.hint and check.status != "ok":
                terminal.say(f"{'':>22} {shown(check.hint)}")
    raise typer.Exit(1 if any(check.status == "problem" for check in checks) else 0)
