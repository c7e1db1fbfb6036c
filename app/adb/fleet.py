"""The phones of one adb server: by serial, and each used by one task at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Self

from app.adb import pairing, routes
from app.adb.address import is_address
from app.adb.apps import AppTable
from app.adb.connection import ExactClient
from app.adb.connector import CONNECT_S, Connector, not_ready
from app.adb.device import PARALLEL_CALLS, Device
from app.adb.directory import READY, Directory
from app.adb.identity import Identities
from app.adb.lease import Lease, Leases
from app.adb.parse import DeviceRow
from app.adb.routes import Phone
from app.errors import (
    DeviceError,
    DeviceNotChosen,
    DeviceNotFound,
    DeviceUnauthorized,
)

log = logging.getLogger(__name__)

_PROBE_S = 3.0
"""A shell that runs a no-op takes milliseconds."""


class Fleet:
    """All devices behind one adb server. Used from one event loop.

    From `start` to `close` it follows the server's changes; otherwise it asks the server each time.
    """

    def __init__(
        self,
        client: ExactClient,
        table: AppTable | None = None,
        state_dir: Path | None = None,
        jar: Callable[[], bytes | None] | None = None,
    ) -> None:
        """`state_dir` keeps what must survive a crash: which keyboard to restore on a phone. `jar`
        returns scrcpy's server, None if there is none now; without it, scrcpy is never used."""
        self._jar = jar
        self._state_dir = state_dir
        self._client = client
        self._directory = Directory(client)
        self._table = table or AppTable()
        self._devices: dict[str, Device] = {}
        self._identities = Identities(lambda serial: self._object(serial).hardware_serial())
        self._connector = Connector(self._directory)
        self._leases = Leases(self._identities.of, self.get)

    async def start(self) -> None:
        """Follow the adb server's changes."""
        self._directory.start()

    async def close(self) -> None:
        """Stop following; `changes` ends."""
        for device in self._devices.values():
            device.close()
        await self._directory.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def server_address(self) -> tuple[str, int]:
        """Host and port of the adb server."""
        return self._directory.server_address

    async def list(self) -> list[DeviceRow]:
        """List every serial the server knows, ready or not; raises AdbServerUnreachable."""
        rows = await self._directory.rows()
        self._identities.saw(rows)
        return rows

    async def phones(self) -> Sequence[Phone]:
        """List every phone once, with its routes; raises AdbServerUnreachable.

        If there are several serials, the phones are asked for their identity: once while they stay
        connected, and for at most 3 s.
        """
        rows = await self.list()
        if len(rows) > 1:
            await self._identities.learn(row.serial for row in rows if row.state == READY)
        return routes.phones(rows, self._identities.of)

    async def answering(self) -> Sequence[tuple[str, str]]:
        """List (phone identity, serial) of each phone that is ready and answers, by its best route.
        An unresponsive phone is not waited for; it is left out until it has answered.

        Raises AdbServerUnreachable.
        """
        rows = await self.list()
        await self._identities.learn_soon(row.serial for row in rows if row.state == READY)
        rows = [row for row in rows if self._identities.has_told(row.serial)]
        found = routes.phones(rows, self._identities.of)
        return [(self._identities.of(phone.serial), phone.serial) for phone in found]

    async def wait_for_any(self, timeout_s: float) -> None:
        """Wait at most `timeout_s` until a device is ready; raises AdbServerUnreachable."""
        end = asyncio.get_running_loop().time() + timeout_s
        while True:
            news = self._directory.news
            left = end - asyncio.get_running_loop().time()
            if left <= 0 or any(row.state == READY for row in await self.list()):
                return
            await self._directory.change(news, left)

    def changes(self) -> AsyncIterator[None]:
        """Yield at once and when a device appears, disappears or changes state; until `close`."""
        return self._directory.changes()

    async def get(self, serial: str) -> Device:
        """Return a ready device; raises DeviceNotFound, DeviceOffline or DeviceUnauthorized."""
        for row in await self.list():
            if row.serial == serial:
                if row.state == READY:
                    return await self._device(serial)
                error = not_ready(row)
                for phone in await self.phones():
                    if any(route.serial == serial and route.stale for route in phone.routes):
                        error.hint = f"It is reached as {phone.serial} now."
                raise error
        raise DeviceNotFound(f"device {serial} is not connected")

    async def choose(self, serial: str | None = None) -> Device:
        """Return the named device, or the only ready one; a phone on USB and Wi-Fi is used by USB.

        Raises DeviceNotChosen if several are ready, and whatever `get` raises.
        """
        if serial is not None:
            return await self._named(serial)
        phones = await self.phones()
        ready = [phone for phone in phones if phone.state == READY]
        if len(ready) > 1:
            names = ", ".join(phone.serial for phone in ready)
            raise DeviceNotChosen(f"{len(ready)} devices are connected: {names}")
        if ready:
            return await self._device(ready[0].serial)
        if phones:
            # What the person can fix by a tap on the phone comes first.
            errors = [not_ready(phone.row) for phone in phones]
            raise min(errors, key=lambda error: not isinstance(error, DeviceUnauthorized))
        raise DeviceNotFound("no device is connected")

    async def _named(self, serial: str) -> Device:
        """Return the device of that serial; a network address is connected if necessary."""
        try:
            return await self.get(serial)
        except DeviceNotFound:
            if not is_address(serial):
                raise
            return await self.connect(serial)

    def _object(self, serial: str) -> Device:
        """Return the one object for a serial."""
        if serial not in self._devices:
            self._devices[serial] = Device(
                self._client,
                serial,
                self._table,
                asyncio.Semaphore(PARALLEL_CALLS),
                self.wait_ready,
                self.is_leased,
                self._state_dir,
                self._jar,
            )
        return self._devices[serial]

    async def _device(self, serial: str) -> Device:
        """Return the device; before its first use, repair what a crash left on the phone."""
        device = self._object(serial)
        if device.keyboard_is_ours:
            try:
                await device.restore_keyboard()
            except DeviceError as exc:  # retried when the device is next requested
                log.warning("keyboard of %s not restored: %s", serial, exc.message)
        return device

    async def connect(self, address: str, timeout_s: float = CONNECT_S) -> Device:
        """Connect to a phone over TCP and wait until it is ready.

        Raises InputError for a bad address, DeviceNotFound if nothing answers there,
        DeviceUnauthorized, DeviceTimeout.
        """
        return await self._device(await self._connector.connect(address, timeout_s))

    async def wait_ready(self, serial: str, timeout_s: float) -> None:
        """Wait until a disconnected phone answers again; a phone on TCP is reconnected.

        Raises the fault that remains after `timeout_s` seconds: DeviceNotFound, DeviceOffline,
        DeviceTimeout or AdbServerUnreachable; DeviceUnauthorized at once, because a person must fix
        it.
        """
        await self._connector.wait_ready(serial, timeout_s, self._answer)

    async def _answer(self, serial: str) -> None:
        await (await self.get(serial)).answer(_PROBE_S)

    async def pair(self, address: str, code: str) -> None:
        """Pair with a phone that shows a code under "Wireless debugging" (Android 11 and later).

        The address is the one next to the code; connecting uses another port. Raises InputError,
        DeviceUnauthorized if the phone rejects the code, DeviceTimeout.
        """
        await pairing.pair(self._directory.query, address, code)

    async def disconnect(self, serial: str) -> None:
        """Disconnect a phone connected over TCP; raises DeviceNotFound."""
        await self._connector.disconnect(serial)
        if (device := self._devices.pop(serial, None)) is not None:
            device.close()

    async def phone_of(self, serial: str) -> str:
        """Return an identifier of the serial's phone, the same for each of its routes."""
        with contextlib.suppress(DeviceError):  # without a list there is no phone to ask
            ready = {row.serial for row in await self.list() if row.state == READY}
            await self._identities.learn(ready & {serial}, insist=True)
        return self._identities.of(serial)

    @contextlib.asynccontextmanager
    async def hold(self, serial: str) -> AsyncIterator[Lease]:
        """Hold a phone exclusively, over any route, while the block runs; raises DeviceBusy.

        Afterwards the lease's device rejects calls, and those under way end before the next lease
        begins.
        """
        with contextlib.suppress(DeviceError):  # without a list there is no phone to ask
            ready = {row.serial for row in await self.list() if row.state == READY}
            await self._identities.learn(ready & {serial}, insist=True)
            # Serials in use may be the same phone over another route. An unresponsive one among
            # them must not delay the others.
            await self._identities.learn_soon(ready & {*self._leases.serials})
        async with self._leases.hold(serial) as lease:
            yield lease

    def is_leased(self, serial: str) -> bool:
        """Whether a task holds the phone of that serial, over any route."""
        return self._leases.cover(serial)
