"""Builds and runs one virtual phone: the ADB port and, with a token, the control port."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass

from app.errors import ConfigError
from app.virtual_phone.abstract_sockets import AbstractSockets
from app.virtual_phone.control import Control, listening
from app.virtual_phone.filesystem import FileTree
from app.virtual_phone.phone import Phone
from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.scrcpy.server import app_process
from app.virtual_phone.seeding import hardware_serial
from app.virtual_phone.services import Services
from app.virtual_phone.shell.android import COMMANDS
from app.virtual_phone.shell.interpreter import Shell
from app.virtual_phone.transport import FEATURES, Endpoint

DEFAULT_PORT = 6555
BANNER = (
    "device::ro.product.name=vphone;ro.product.model=Virtual_Phone;"
    f"ro.product.device=vphone;features={FEATURES}"
)


@dataclass(frozen=True, slots=True)
class Ports:
    """The phone's ports on loopback; `control` is None if there is no control port."""

    adb: int
    control: int | None


def announce(ports: Ports) -> None:
    """Report the ports to the parent process: one line of JSON on stdout."""
    print(json.dumps(asdict(ports)), flush=True)


def _check_port(port: int) -> None:
    if not 0 <= port <= 65_535:
        raise ConfigError(f"{port} is no port", "Choose 1 to 65535, or 0 for any free one.")


def _port_in_use(port: int, exc: OSError) -> Exception:
    if exc.errno == errno.EADDRINUSE:
        return ConfigError(
            f"port {port} is in use", "Stop what listens there, or choose another port."
        )
    return ConfigError(f"port {port} cannot be opened: {exc.strerror}", "Choose another port.")


@contextlib.asynccontextmanager
async def running(
    phone: Phone,
    *,
    port: int = DEFAULT_PORT,
    control_port: int = 0,
    control_token: str = "",
) -> AsyncIterator[Ports]:
    """Run the phone on its ports during the block; raises ConfigError for a port in use.

    Port 0 means any free port.
    """
    _check_port(port)
    _check_port(control_port)
    files = FileTree(phone.now)

    def reset(seed: int, scatter: bool) -> None:
        phone.reset(seed, scatter=scatter)
        files.reset()

    sockets = AbstractSockets()
    commands = {**COMMANDS, "app_process": app_process(sockets)}
    services = Services(
        lambda receive, emit: Shell(phone, files, commands, receive, emit), files, sockets
    )
    endpoint = Endpoint(BANNER, services.resolve, phone.quirks)
    async with contextlib.AsyncExitStack() as stack:
        try:
            adb_port = await endpoint.start(port)
        except OSError as exc:
            raise _port_in_use(port, exc) from exc
        stack.push_async_callback(endpoint.stop)
        phone.serial = hardware_serial(phone.state.seed, adb_port)
        bound = None
        if control_token:
            try:
                listener = socket.create_server(("127.0.0.1", control_port))
            except OSError as exc:
                raise _port_in_use(control_port, exc) from exc
            bound = int(listener.getsockname()[1])
            control = Control(phone, reset, control_token)
            await stack.enter_async_context(listening(control, listener))
        yield Ports(adb_port, bound)


async def serve(
    port: int = DEFAULT_PORT,
    seed: int = 0,
    control_port: int = 0,
    control_token: str = "",
    *,
    quirks: Sequence[str] = (),
    ready: Callable[[Ports], None] = announce,
) -> None:
    """Run a phone until cancelled; `ready` gets the ports once both are open.

    `quirks` are `NAME` or `NAME=VALUE`, as listed in QUIRKS. Raises ConfigError for an unknown
    quirk, and for a port that is in use or invalid.
    """
    wanted = Quirks()
    for quirk in quirks:
        wanted.add(quirk)
    async with running(
        Phone(seed, wanted), port=port, control_port=control_port, control_token=control_token
    ) as ports:
        ready(ports)
        await asyncio.get_running_loop().create_future()


def report(error: ConfigError) -> None:
    print(f"{error.message}\n{error.hint}", file=sys.stderr)
