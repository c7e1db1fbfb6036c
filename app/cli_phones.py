"""The commands `phonepilot devices` and `phonepilot bench`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from app.cli_run import MARKS, Config, Json, run_to_end
from app.show import Terminal, print_json, shown

if TYPE_CHECKING:
    from app.adb.fleet import Fleet
    from app.adb.setup import Finding
    from app.bench.device import Row

T = TypeVar("T")

devices_app = typer.Typer(
    help="List the phones that the adb server knows, and get one ready.",
    invoke_without_command=True,
    rich_markup_mode="markdown",
)


@devices_app.callback()
def devices(context: typer.Context, config: Config = None, json_: Json = False) -> None:
    """List the phones that the adb server knows."""
    if context.invoked_subcommand is not None:
        return
    rows = run_to_end(_with_fleet(config, _list_devices))
    if json_:
        print_json({"devices": rows})
        return
    terminal = Terminal()
    for row in rows:
        terminal.say(f"{shown(row['serial']):<28} {shown(row['state']):<14} {shown(row['model'])}")
        for route in row["routes"][1:]:
            state = f"{route['state']}, left over" if route["stale"] else route["state"]
            terminal.say(f"  also {shown(route['serial']):<21} {shown(state)}")
    if not rows:
        terminal.say("No phone. Connect one with USB debugging on, or try `phonepilot phone`.")


async def _list_devices(fleet: Fleet) -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(phone) for phone in await fleet.phones()]


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

    findings: list[Finding] = run_to_end(_with_fleet(config, look))
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

    run_to_end(_with_fleet(config, agree))
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


bench_app = typer.Typer(help="Measure.", no_args_is_help=True, rich_markup_mode="markdown")


@bench_app.command("device", epilog="Example: `phonepilot bench device --serial R58M123 --json`")
def bench_device(
    serial: Annotated[str | None, typer.Option(help="Which phone, if several.")] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="Rounds of each operation.")] = 20,
    type_: Annotated[
        bool, typer.Option("--type", help="Type too, into the field that has the keyboard.")
    ] = False,
    control: Annotated[
        str | None,
        typer.Option(help="Control port of a virtual phone, http://...: tells its work apart."),
    ] = None,
    control_token_env: Annotated[
        str, typer.Option(metavar="NAME", help="Environment variable with its token.")
    ] = "PHONEPILOT_CONTROL_TOKEN",
    config: Config = None,
    json_: Json = False,
) -> None:
    """Measure how long a phone takes, and how long by spawning adb. Taps the status bar."""
    from dataclasses import asdict

    from app.settings import load_settings

    binary = load_settings(config or ()).adb.binary
    told = (control, os.environ.get(control_token_env, "")) if control else None

    async def work(fleet: Fleet) -> tuple[str, list[Row]]:
        return await _bench(fleet, binary, serial, count, type_, told)

    serial, rows = run_to_end(_with_fleet(config, work))
    if json_:
        print_json({"serial": serial, "count": count, "rows": [asdict(row) for row in rows]})
        return
    terminal = Terminal()
    head = f"{'ms':<32}{'median':>9}{'p95':>9}{'spawned':>9}{'p95':>9}{'ratio':>8}"
    if control:
        head += f"{'phone':>9}{'p95':>9}{'overhead':>10}{'p95':>9}"
    terminal.say(f"[bold]{head}[/]")
    for row in rows:
        ours, spawned = row.ours, row.spawned
        line = (
            f"{row.name:<32}{ours.median_ms:>9.1f}{ours.p95_ms:>9.1f}"
            f"{spawned.median_ms:>9.1f}{spawned.p95_ms:>9.1f}{row.ratio:>8.2f}"
        )
        if row.phone and row.overhead:
            line += f"{row.phone.median_ms:>9.1f}{row.phone.p95_ms:>9.1f}"
            line += f"{row.overhead.median_ms:>10.1f}{row.overhead.p95_ms:>9.1f}"
        terminal.say(line)


async def _bench(
    fleet: Fleet,
    binary: str,
    serial: str | None,
    count: int,
    type_text: bool,
    control: tuple[str, str] | None,
) -> tuple[str, list[Row]]:
    from app.adb.server import find_binary
    from app.bench.device import WARNING, AdbProgram, PhoneWork, measure

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    device = await fleet.choose(serial)
    tell(WARNING)
    adb = AdbProgram(find_binary(binary), *fleet.server_address, device.serial)
    async with contextlib.AsyncExitStack() as stack:
        work = await stack.enter_async_context(PhoneWork(*control)) if control else None
        rows = await measure(device, adb, count, type_text=type_text, work=work, progress=tell)
    return device.serial, rows
