"""The `phonepilot` command: arguments to settings to calls."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.logging import RichHandler

from app import __version__
from app.errors import AppError
from app.show import Terminal, print_error, print_json, shown

if TYPE_CHECKING:
    from app.adb.fleet import Fleet
    from app.adb.setup import Finding
    from app.bench.device import Row
    from app.demo.scenario import Stage

T = TypeVar("T")

app = typer.Typer(
    name="phonepilot",
    help="Say what you want; phonepilot does it on your Android phone.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

Config = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", help="A TOML file or a shipped one: demo, rtx-4060-8gb, ..."),
]
Json = Annotated[bool, typer.Option("--json", help="JSON for programs instead of text.")]
MARKS = {
    "ok": "[green]ok[/]     ",
    "warning": "[yellow]warning[/]",
    "problem": "[red]problem[/]",
}
SERVICE_URL = "http://127.0.0.1:8770"


def main() -> None:
    """The console script: errors are one or two lines, never a traceback."""
    try:
        app()
    except AppError as exc:
        print_error(exc)
        raise SystemExit(1) from exc


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", handlers=[RichHandler(show_path=False)])


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
    """Show the whole product: virtual phone, adb, llama.cpp and the demo model do a goal."""
    raise typer.Exit(_run(_demo(goal, seed, keep, port, Terminal(json_lines=json_))))


async def _demo(
    goal: str | None, seed: int | None, keep: bool, port: int, terminal: Terminal
) -> int:
    from app.demo import scenario

    goal = scenario.DEFAULT_GOAL if goal is None else goal
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
        code = await _demo_task(goal, stage, terminal)
        if keep:
            terminal.say(f"\nThe dashboard stays at {url}; Ctrl-C ends it.")
            await asyncio.get_running_loop().create_future()
        return code


async def _demo_task(goal: str, stage: Stage, terminal: Terminal) -> int:
    """Run the goal and let the phone's state judge it; 0 right, 1 wrong, 2 no verdict."""
    from app.demo.judge import expected

    before, begun = await stage.phone.state(), time.monotonic()
    created = await stage.service.post("/tasks", {"goal": goal})
    task = await terminal.follow(stage.service.events(created["id"]))
    seconds = time.monotonic() - begun
    terminal.say(
        f"\nTask [bold]{task['status']}[/] after {task['steps']} steps and {seconds:.1f} s: "
        f"{shown(task['message'])}",
        event="end",
        **task,
    )
    expectation = expected(goal)
    if expectation is None:
        terminal.say(
            "No verdict: this goal is neither a switch of Settings nor an app to open.",
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
    from app.main import serve as run_service
    from app.settings import load_settings

    settings = load_settings(config or (), {"service.port": port})
    _run(
        run_service(settings, lambda url: Terminal().say(f"phonepilot is ready at [bold]{url}[/]"))
    )


@app.command(epilog="Example: `phonepilot run 'Turn on Wi-Fi' --device emulator-5554`")
def run(
    goal: Annotated[str, typer.Argument(help="What should be done on the phone.")],
    device: Annotated[str | None, typer.Option(help="Serial of the phone.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Stop after so many steps.")] = None,
    url: Annotated[str, typer.Option(help="Where the service runs.")] = SERVICE_URL,
    json_: Json = False,
) -> None:
    """Give a goal to the running service and follow it; exit code 0 when it succeeded."""
    raise typer.Exit(_run(_run_goal(goal, device, max_steps, url, Terminal(json_lines=json_))))


async def _run_goal(
    goal: str, device: str | None, max_steps: int | None, url: str, terminal: Terminal
) -> int:
    from app.client import ServiceClient

    wanted = {"goal": goal, "device": device, "max_steps": max_steps}
    async with ServiceClient(url) as service:
        task = await service.post("/tasks", {k: v for k, v in wanted.items() if v is not None})
        try:
            task = await terminal.follow(service.events(task["id"]))
        except asyncio.CancelledError:
            await service.post(f"/tasks/{task['id']}/cancel")
            raise
    terminal.say(f"\n[bold]{task['status']}[/] {shown(task['message'])}", event="end", **task)
    if task["error"] and task["error"]["hint"]:
        terminal.say(shown(task["error"]["hint"]))
    return 0 if task["status"] == "succeeded" else 1


@app.command(epilog="Example: `phonepilot connect 192.168.1.20:5555`")
def connect(
    address: Annotated[str, typer.Argument(help="host:port of a phone with adb over TCP.")],
    url: Annotated[str, typer.Option(help="Where the service runs.")] = SERVICE_URL,
) -> None:
    """Have the running service connect to a phone over the network."""
    serial = _run(_connect(address, url))["serial"]
    Terminal().say(f"{shown(serial)} is connected")


async def _connect(address: str, url: str) -> dict[str, Any]:
    from app.client import ServiceClient

    async with ServiceClient(url) as service:
        return await service.post("/devices/connect", {"address": address})


devices_app = typer.Typer(
    help="List the phones that the adb server knows, and get one ready.",
    invoke_without_command=True,
    rich_markup_mode="markdown",
)
app.add_typer(devices_app, name="devices")


@devices_app.callback()
def devices(context: typer.Context, config: Config = None, json_: Json = False) -> None:
    """List the phones that the adb server knows."""
    if context.invoked_subcommand is not None:
        return
    rows = _run(_with_fleet(config, _list_devices))
    if json_:
        print_json({"devices": rows})
        return
    terminal = Terminal()
    for row in rows:
        terminal.say(f"{shown(row['serial']):<28} {shown(row['state']):<14} {shown(row['model'])}")
    if not rows:
        terminal.say("No phone. Connect one with USB debugging on, or try `phonepilot phone`.")


async def _list_devices(fleet: Fleet) -> list[dict[str, str]]:
    from dataclasses import asdict

    return [asdict(row) for row in await fleet.list()]


@devices_app.command(epilog="Example: `phonepilot devices setup R58M123 --apk ADBKeyboard.apk`")
def setup(
    serial: Annotated[str, typer.Argument(help="Serial of the phone; see `phonepilot devices`.")],
    apk: Annotated[
        Path | None, typer.Option(help="ADBKeyboard's APK, to be installed on the phone.")
    ] = None,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Look whether a phone takes taps and any text, and say which switch to turn on."""
    from dataclasses import asdict

    async def look(fleet: Fleet) -> list[Finding]:
        return await (await fleet.choose(serial)).set_up(apk)

    findings: list[Finding] = _run(_with_fleet(config, look))
    if json_:
        print_json({"serial": serial, "findings": [asdict(finding) for finding in findings]})
    else:
        terminal = Terminal()
        for finding in findings:
            mark = MARKS[finding.status]
            terminal.say(f"{mark}  [bold]{finding.name:<12}[/] {shown(finding.message)}")
            if finding.hint:
                terminal.say(f"{'':>22} {shown(finding.hint)}")
    raise typer.Exit(1 if any(finding.status == "problem" for finding in findings) else 0)


@devices_app.command(epilog="Example: `phonepilot devices pair 192.168.1.20:37123`")
def pair(
    address: Annotated[str, typer.Argument(help="host:port shown beside the pairing code.")],
    code: Annotated[str | None, typer.Option(help="The six digits; asked for if left out.")] = None,
    config: Config = None,
) -> None:
    """Pair with a phone over Wi-Fi by the code it shows (Android 11 and later)."""
    digits = code or typer.prompt("Pairing code")

    async def agree(fleet: Fleet) -> None:
        await fleet.pair(address, digits)

    _run(_with_fleet(config, agree))
    Terminal().say(f"paired with {shown(address)}; now connect to the port under its IP address")


async def _with_fleet(config: list[str] | None, work: Callable[[Fleet], Awaitable[T]]) -> T:
    """Work with the phones of the adb server that the settings name."""
    from app.adb.fleet import Fleet
    from app.adb.server import AdbServer
    from app.settings import load_settings

    adb = load_settings(config or ()).adb
    server = AdbServer(adb.server_host, adb.server_port, binary=adb.binary, private=adb.private)
    async with server:
        return await work(Fleet(server.client()))


QUIRK_HELP = (
    "A trap of real phones, NAME or NAME=VALUE; may be repeated: android=9, displays=2, "
    "secure=PACKAGE, no-inject, unauthorized, locked=PIN, adbkeyboard=missing|inactive|api33, "
    "slow-screencap=SECONDS, slow-shell=SECONDS, drop-screencap=TIMES, drop-input=before|after, "
    "half-open=connect|link|stale, clock-jump=SECONDS, rotation=90, size=720x1600, "
    "override-size=720x1600, density=320, override-density=320, work-profile=PACKAGE. "
    "A wrong value names the right ones."
)


@app.command(epilog="Example: `phonepilot phone --port 6555 --seed 7 --quirk rotation=90`")
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

    _run(run_phone(port, seed, control_port, token, quirks=quirk or (), ready=ready))


bench_app = typer.Typer(help="Measure.", no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(bench_app, name="bench")


@bench_app.command("device", epilog="Example: `phonepilot bench device --serial R58M123 --json`")
def bench_device(
    serial: Annotated[str | None, typer.Option(help="Which phone, if several.")] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="Rounds of each operation.")] = 20,
    type_: Annotated[
        bool, typer.Option("--type", help="Type too, into the field that has the keyboard.")
    ] = False,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Measure how long a phone takes, and how long by spawning adb. Taps the status bar."""
    from dataclasses import asdict

    from app.settings import load_settings

    binary = load_settings(config or ()).adb.binary

    async def work(fleet: Fleet) -> tuple[str, list[Row]]:
        return await _bench(fleet, binary, serial, count, type_)

    serial, rows = _run(_with_fleet(config, work))
    if json_:
        print_json({"serial": serial, "count": count, "rows": [asdict(row) for row in rows]})
        return
    terminal = Terminal()
    head = f"{'ms':<32}{'median':>9}{'p95':>9}{'spawned':>9}{'p95':>9}{'ratio':>8}"
    terminal.say(f"[bold]{head}[/]")
    for row in rows:
        ours, spawned = row.ours, row.spawned
        terminal.say(
            f"{row.name:<32}{ours.median_ms:>9.1f}{ours.p95_ms:>9.1f}"
            f"{spawned.median_ms:>9.1f}{spawned.p95_ms:>9.1f}{row.ratio:>8.2f}"
        )


async def _bench(
    fleet: Fleet, binary: str, serial: str | None, count: int, type_text: bool
) -> tuple[str, list[Row]]:
    from app.adb.server import find_binary
    from app.bench.device import WARNING, AdbProgram, measure

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    device = await fleet.choose(serial)
    tell(WARNING)
    adb = AdbProgram(find_binary(binary), *fleet.server_address, device.serial)
    rows = await measure(device, adb, count, type_text=type_text, progress=tell)
    return device.serial, rows


@app.command()
def doctor(config: Config = None, json_: Json = False) -> None:
    """Look at everything phonepilot needs, and say what is wrong and how to mend it."""
    from dataclasses import asdict

    from app.doctor import examine
    from app.settings import load_settings

    checks = _run(examine(load_settings(config or ())))
    if json_:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        terminal = Terminal()
        for check in checks:
            terminal.say(f"{MARKS[check.status]}  [bold]{check.name:<12}[/] {shown(check.message)}")
            if check.hint and check.status != "ok":
                terminal.say(f"{'':>22} {shown(check.hint)}")
    raise typer.Exit(1 if any(check.status == "problem" for check in checks) else 0)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end, or until SIGINT or SIGTERM has cancelled it and all is closed."""

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
