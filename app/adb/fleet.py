"""The phones of one adb server: by serial, and each used by one task at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from app.adb import parse
from app.adb.apps import AppTable
from app.adb.connection import Deadline, ExactClient
from app.adb.device import PARALLEL_CALLS, Device
from app.adb.lease import Lease
from app.adb.parse import DeviceRow
from app.errors import (
    AdbServerUnreachable,
    DeviceBusy,
    DeviceError,
    DeviceNotChosen,
    DeviceNotFound,
    DeviceOffline,
    DeviceTimeout,
    DeviceUnauthorized,
    InputError,
)

log = logging.getLogger(__name__)

READY = "device"
DEFAULT_PORT = 5555
LIST_S = 5.0
PAIR_S = 30.0
CONNECT_S = 15.0
"""A peer that accepts and says nothing holds the adb server's connect for 10 s."""
_POLL_S = 0.05
_PROBE_S = 3.0
"""A shell that runs nothing takes milliseconds."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 3.0
"""Between two tries to reach a phone again; adb's own are 3 s apart."""
_PAIRING_CODE = re.compile(r"[0-9]{6}")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::(\d+))?")


def device_address(address: str) -> str:
    """`host:port` from `host` or `host:port`; raises InputError."""
    match = _ADDRESS.fullmatch(address.strip())
    port = int(match[2] or DEFAULT_PORT) if match and len(match[2] or "") <= 5 else 0
    if match is None or not 1 <= port <= 65535:
        raise InputError(f"{address!r} is no device address", "Give it as host or host:port.")
    return f"{match[1]}:{port}"


def is_address(serial: str) -> bool:
    """Whether a serial is that of a phone on the network, host and port."""
    return ":" in serial and _ADDRESS.fullmatch(serial) is not None


def _not_ready(row: DeviceRow) -> DeviceError:
    if row.state in ("unauthorized", "authorizing"):
        return DeviceUnauthorized(f"device {row.serial} has not allowed USB debugging")
    if row.state == "no permissions":
        return DeviceUnauthorized(
            f"this computer may not talk to device {row.serial}",
            "Install the udev rules for Android phones, or add yourself to the plugdev group.",
        )
    if row.state in ("offline", "connecting"):
        return DeviceOffline(f"device {row.serial} is offline")
    return DeviceOffline(f"device {row.serial} is in state {row.state}", "Start Android on it.")


class Fleet:
    """All devices behind one adb server. Used from one event loop."""

    def __init__(
        self,
        client: ExactClient,
        table: AppTable | None = None,
        state_dir: Path | None = None,
    ) -> None:
        """`state_dir` keeps what must outlive a crash: which keyboard a phone has to get back."""
        self._state_dir = state_dir
        self._client = client
        self._table = table or AppTable()
        self._devices: dict[str, Device] = {}
        self._leases: dict[str, Lease] = {}
        self._tokens: dict[str, int] = {}
        self._hardware: dict[str, str] = {}

    @property
    def server_address(self) -> tuple[str, int]:
        """Host and port of the adb server."""
        return self._client.host, self._client.port

    async def _query(self, request: str, seconds: float = LIST_S) -> str:
        deadline = Deadline(seconds)
        try:
            return await asyncio.to_thread(self._client.query, request, deadline)
        except asyncio.CancelledError:
            deadline.abandon()
            raise

    async def list(self) -> list[DeviceRow]:
        """Every device the server knows, ready or not; raises AdbServerUnreachable."""
        return parse.devices(await self._query("host:devices-l"))

    async def get(self, serial: str) -> Device:
        """A ready device; raises DeviceNotFound, DeviceOffline or DeviceUnauthorized."""
        for row in await self.list():
            if row.serial == serial:
                if row.state != READY:
                    raise _not_ready(row)
                return await self._device(serial)
        raise DeviceNotFound(f"device {serial} is not connected")

    async def choose(self, serial: str | None = None) -> Device:
        """The named device, or the only ready one; a phone over USB and Wi-Fi is one, by USB.

        Raises DeviceNotChosen when several are ready, and what `get` raises.
        """
        if serial is not None:
            return await self._named(serial)
        rows = await self.list()
        ready: Sequence[DeviceRow] = [row for row in rows if row.state == READY]
        if len(ready) > 1:
            ready = await self._each_phone_once(ready)
        if len(ready) > 1:
            names = ", ".join(row.serial for row in ready)
            raise DeviceNotChosen(f"{len(ready)} devices are connected: {names}")
        if ready:
            return await self._device(ready[0].serial)
        if rows:
            # What the person can mend by a tap on the phone comes first.
            errors = [_not_ready(row) for row in rows]
            raise min(errors, key=lambda error: not isinstance(error, DeviceUnauthorized))
        raise DeviceNotFound("no device is connected")

    async def _each_phone_once(self, rows: Sequence[DeviceRow]) -> Sequence[DeviceRow]:
        """One row for each phone, the one of the cable where there is one."""
        found: dict[str, DeviceRow] = {}
        keys = await asyncio.gather(*(self._key(row.serial) for row in rows))
        for key, row in zip(keys, rows, strict=True):
            if key not in found or ":" not in row.serial:
                found[key] = row
        return [*found.values()]

    async def _key(self, serial: str) -> str:
        """What stands for the phone by whichever way it is reached: asked once, kept while it is
        connected."""
        if serial not in self._hardware:
            try:
                self._hardware[serial] = await (await self.get(serial)).hardware_serial()
            except (DeviceError, InputError):
                return serial
        return self._hardware[serial] or serial

    async def _device(self, serial: str) -> Device:
        """The one object for a serial; before it is first used, what a crash left is put right."""
        device = self._devices.get(serial)
        if device is None:
            device = self._devices[serial] = Device(
                self._client,
                serial,
                self._table,
                asyncio.Semaphore(PARALLEL_CALLS),
                self.wait_ready,
                self.is_leased,
                self._state_dir,
            )
        if device.keyboard_is_ours:
            try:
                await device.restore_keyboard()
            except DeviceError as exc:  # tried again when the device is next asked for
                log.warning("keyboard of %s not restored: %s", serial, exc.message)
        return device

    async def _named(self, serial: str) -> Device:
        """The device of that serial; one named by its network address is connected if need be."""
        try:
            return await self.get(serial)
        except DeviceNotFound:
            if not is_address(serial):
                raise
            return await self.connect(serial)

    async def connect(self, address: str, timeout_s: float = CONNECT_S) -> Device:
        """Connect to a phone over TCP and wait until it is ready.

        Raises InputError for a bad address, DeviceNotFound when nothing answers there,
        DeviceUnauthorized, DeviceTimeout.
        """
        serial = device_address(address)
        end = asyncio.get_running_loop().time() + timeout_s
        left = timeout_s
        while True:
            # The server says "already connected" of a device that has long gone offline.
            if await self._state(serial) not in (None, READY, "unauthorized", "authorizing"):
                await self._forget(serial)
            try:
                answer = (await self._query(f"host:connect:{serial}", left)).strip()
                return await self._await_ready(serial, answer, end)
            except DeviceTimeout as exc:
                await self._forget(serial)
                left = end - asyncio.get_running_loop().time()
                # A phone that just came back may meet the server's own try to reach it again,
                # and one of the two then fails: once more while there is time.
                if left <= _PROBE_S:
                    raise DeviceTimeout(f"what answers at {serial} does not speak adb") from exc

    async def _await_ready(self, serial: str, answer: str, end: float) -> Device:
        while True:
            state = await self._state(serial)
            if state == READY:
                return await self._device(serial)
            if state == "unauthorized":
                raise _not_ready(DeviceRow(serial, state))
            if state is None and "connected to" not in answer:
                raise DeviceNotFound(
                    f"no connection to {serial}: {answer}",
                    "Check the address, and that wireless debugging is on.",
                )
            if asyncio.get_running_loop().time() >= end or "failed to connect" in answer:
                raise DeviceTimeout(f"device {serial} did not become ready")
            await asyncio.sleep(_POLL_S)

    async def _state(self, serial: str) -> str | None:
        return next((row.state for row in await self.list() if row.serial == serial), None)

    async def _forget(self, serial: str) -> None:
        # "no such device" is what we want to be true.
        with contextlib.suppress(DeviceNotFound, DeviceError):
            await self._query(f"host:disconnect:{serial}")

    async def wait_ready(self, serial: str, timeout_s: float) -> None:
        """Wait until a phone that dropped off answers again; one on TCP is connected again.

        Raises what still stands after `timeout_s` seconds: DeviceNotFound, DeviceOffline,
        DeviceTimeout or AdbServerUnreachable; at once DeviceUnauthorized, which a person must mend.
        """
        end = asyncio.get_running_loop().time() + timeout_s
        pause = _FIRST_PAUSE_S
        over_network = is_address(serial)
        while True:
            left = end - asyncio.get_running_loop().time()
            try:
                if over_network:
                    device = await self.connect(serial, max(min(left, CONNECT_S), _FIRST_PAUSE_S))
                else:
                    device = await self.get(serial)
                await device.answer(_PROBE_S)
                return
            except DeviceUnauthorized:
                raise
            except DeviceError as exc:
                if over_network and isinstance(exc, DeviceTimeout):
                    # The server believes in a link that has died without a word.
                    await self._forget(serial)
                if left <= pause:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def pair(self, address: str, code: str) -> None:
        """Pair with a phone that shows a code under "Wireless debugging" (Android 11 and later).

        The address is the one beside the code; connecting takes another port. Raises InputError,
        DeviceUnauthorized when the phone does not take the code, DeviceTimeout.
        """
        serial = device_address(address)
        if not _PAIRING_CODE.fullmatch(code):
            raise InputError("a pairing code has six digits", "The phone shows it.")
        if serial != address.strip():
            raise InputError(f"{address!r} has no port", "Give host:port as the phone shows it.")
        try:
            answer = (await self._query(f"host:pair:{code}:{serial}", PAIR_S)).strip()
        except (AdbServerUnreachable, DeviceTimeout):
            raise
        except DeviceError as exc:
            answer = exc.message
        if not answer.startswith("Successfully paired"):
            raise DeviceUnauthorized(
                f"not paired with {serial}: {answer[:200]}",
                "Open 'Pair device with pairing code' on the phone; both are new each time.",
            )

    async def disconnect(self, serial: str) -> None:
        """Let go of a phone connected over TCP; raises DeviceNotFound."""
        if serial not in {row.serial for row in await self.list()}:
            raise DeviceNotFound(f"device {serial} is not connected")
        await self._query(f"host:disconnect:{serial}")
        self._devices.pop(serial, None)
        self._hardware.pop(serial, None)

    @contextlib.asynccontextmanager
    async def hold(self, serial: str) -> AsyncIterator[Lease]:
        """Exclusive use of a device while the block runs; raises DeviceBusy when it is taken.

        At its end the device of the lease refuses, and what it was doing is over before the next
        lease can begin.
        """
        key = await self._key(serial)
        if key in self._leases:
            raise DeviceBusy(f"device {serial} is in use by another task")
        self._tokens[key] = self._tokens.get(key, 0) + 1
        lease = self._leases[key] = Lease(serial, self._tokens[key], self.get)
        try:
            yield lease
        finally:
            try:
                await lease.end()
            finally:
                del self._leases[key]

    def is_leased(self, serial: str) -> bool:
        return (self._hardware.get(serial) or serial) in self._leases
