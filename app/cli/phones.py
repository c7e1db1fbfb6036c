"""The command `phonepilot devices`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from app.cli.options import MARKS, Config, Json, run_to_end
from app.cli.show import Terminal, print_json, shown

if TYPE_CHECKING:
    from app.adb.fleet import Fleet
    from app.adb.setup import Finding

T = TypeVar("T")

devices_app = typer.Typer(
    help="List the phones that the adb server knows, and get one ready.",
    invoke_without_command=True,
    epilog="Examples: `phonepilot devices`, `phonepilot devices setup R58M123`",
    rich_markup_mode="markdown",
)


@devices_app.callback()
def devices(context: typer.Context, config: Config = None, json_: Json = False) -> None:
    """List the phones that the adb server knows."""
    if context.invoked_subcommand is not None:
        return
    rows = run_to_end(with_fleet(config, _list_devices))
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
        terminal.say(
            "No phone. Connect one with USB debugging on; or start one with `phonepilot phone` and "
            "have the service connect it: `phonepilot connect 127.0.0.1:6555`."
        )


async def _list_devices(fleet: Fleet) -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(phone) for phone in await fleet.phones()]


@devices_app.command(epilog="Example: `phonepilot devices setup R58M123 --apk ADBKeyboard.apk`")
def setup(
    serial: Annotated[str, typer.Argument(help="Serial of the phone; see `phonepilot devices`.")],
    apk: Annotated[
        Path | None, typer.Option(help="ADBKeyboard's APK, to be installed on the phone.")
    ] = None,
    scrcpy: Annotated[
        bool, typer.Option("--scrcpy", help="Download scrcpy's server first, if it is not here.")
    ] = False,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Check whether a phone accepts taps and any text, and show which switch to turn on."""
    from dataclasses import asdict

    if scrcpy:
        run_to_end(get_scrcpy_server(config))

    async def look(fleet: Fleet) -> list[Finding]:
        return await (await fleet.choose(serial)).set_up(apk)

    findings: list[Finding] = run_to_end(with_fleet(config, look))
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


async def get_scrcpy_server(config: list[str] | None) -> None:
    """Download scrcpy's server, unless it is on this computer."""
    import httpx

    from app.adb.scrcpy import download, jar
    from app.proxies import Proxies, ProxyTransport
    from app.settings import load_settings

    settings = load_settings(config or ())
    folder = settings.service.data_dir
    if jar.find(settings.adb.scrcpy_server, folder) is not None:
        return
    transport = ProxyTransport(Proxies.from_environment())
    async with httpx.AsyncClient(timeout=30.0, transport=transport) as client:
        place = await download.download(folder, client)
    Terminal().say(f"scrcpy's server is now at {shown(str(place))}")


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

    run_to_end(with_fleet(config, agree))
    Terminal().say(f"paired with {shown(address)}; now connect to the port under its IP address")


async def with_fleet(config: list[str] | None, work: Callable[[Fleet], Awaitable[T]]) -> T:
    """Run `work` with the phones of the configured adb server."""
    from app.adb.fleet import Fleet
    from app.adb.scrcpy import jar
    from app.adb.server import AdbServer
    from app.settings import load_settings

    settings = load_settings(config or ())
    adb = settings.adb
    server = AdbServer(adb.server_host, adb.server_port, binary=adb.binary, private=adb.private)
    wanted = jar.source(adb.scrcpy == "auto", adb.scrcpy_server, settings.service.data_dir)
    async with server, Fleet(server.client(), jar=wanted) as fleet:
        await fleet.wait_for_any(server.usb_wait_s)
        return await work(fleet)
