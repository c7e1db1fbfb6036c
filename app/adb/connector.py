"""Connects phones to the adb server, reconnects them and disconnects them.

The server is always asked directly here, see app.adb.directory; its tracker only wakes the waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from app.adb.address import device_address, is_address
from app.adb.directory import READY, Directory
from app.adb.parse import DeviceRow
from app.errors import (
    AdbServerUnreachable,
    DeviceError,
    DeviceNotFound,
    DeviceOffline,
    DeviceTimeout,
    DeviceUnauthorized,
)

CONNECT_S = 15.0
"""A peer that accepts and sends nothing blocks the adb server's connect for 10 s."""
_LAST_TRY_S = 3.0
"""With less time left, the connection is not retried."""
_AGAIN_S = 0.05
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 3.0
"""Seconds between attempts to reach a phone again; adb's own are 3 s apart."""


def not_ready(row: DeviceRow) -> DeviceError:
    """Return why the device of a row that is not ready cannot be used."""
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


class Connector:
    """Connects and disconnects the phones of one adb server."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def connect(self, address: str, timeout_s: float) -> str:
        """Connect to a phone over TCP, wait until it is ready, and return its serial.

        Raises InputError for a bad address, DeviceNotFound if nothing answers there,
        DeviceUnauthorized, DeviceTimeout.
        """
        serial = device_address(address)
        end = asyncio.get_running_loop().time() + timeout_s
        try:
            while True:
                news = self._directory.news
                if await self._connected(serial, end):
                    return serial
                await self._directory.change(news, _AGAIN_S)
        finally:
            self._directory.renew()

    async def _connected(self, serial: str, end: float) -> bool:
        """Have the server connect. Return False if the connection failed and there is time for
        another attempt."""
        now = asyncio.get_running_loop().time
        # The server says "already connected" even of a device that went offline long ago.
        state = await self._directory.state(serial)
        if state not in (None, READY, "unauthorized", "authorizing"):
            await self._forget(serial)
        try:
            answer = await self._directory.query(f"host:connect:{serial}", end - now())
            if await self._became_ready(serial, answer.strip(), end):
                return True
        except DeviceTimeout as exc:
            await self._forget(serial)
            # When a phone has just come back, this connection may collide with the server's own
            # reconnection attempt, and one of them fails: retry while there is time.
            if end - now() <= _LAST_TRY_S:
                raise DeviceTimeout(f"what answers at {serial} does not speak adb") from exc
        return False

    async def _became_ready(self, serial: str, answer: str, end: float) -> bool:
        """Wait for a device that the server reports as connected; False if the server drops it."""
        while True:
            news = self._directory.news
            state = await self._directory.state(serial)
            if state == READY:
                return True
            if state == "unauthorized":
                raise not_ready(DeviceRow(serial, state))
            if state is None and "connected to" not in answer:
                raise DeviceNotFound(
                    f"no connection to {serial}: {answer}",
                    "Check the address, and that wireless debugging is on.",
                )
            left = end - asyncio.get_running_loop().time()
            if left <= 0 or "failed to connect" in answer:
                raise DeviceTimeout(f"device {serial} did not become ready")
            if state is None:
                # "Already connected" referred to a row that was about to go: a disconnect takes
                # until the server's own reconnection attempt has ended.
                return False
            await self._directory.change(news, left)

    async def _forget(self, serial: str) -> None:
        # "no such device" is the desired state.
        with contextlib.suppress(DeviceError):
            await self._directory.query(f"host:disconnect:{serial}")
        self._directory.renew()

    async def wait_ready(
        self, serial: str, timeout_s: float, answer: Callable[[str], Awaitable[None]]
    ) -> None:
        """Wait until a disconnected phone answers again; a phone on TCP is reconnected.

        `answer` has the phone prove that it is there, or raises why it is not. Raises the fault
        that remains after `timeout_s` seconds: DeviceNotFound, DeviceOffline, DeviceTimeout or
        AdbServerUnreachable; DeviceUnauthorized at once, because a person must fix it.
        """
        end = asyncio.get_running_loop().time() + timeout_s
        pause = _FIRST_PAUSE_S
        over_network = is_address(serial)
        while True:
            left = end - asyncio.get_running_loop().time()
            try:
                if over_network:
                    await self.connect(serial, max(min(left, CONNECT_S), _FIRST_PAUSE_S))
                await answer(serial)
                return
            except DeviceUnauthorized:
                raise
            except DeviceError as exc:
                if over_network and isinstance(exc, DeviceTimeout):
                    # The server still lists a connection that has died silently.
                    await self._forget(serial)
                if left <= pause:
                    raise
                away = isinstance(exc, (AdbServerUnreachable, DeviceNotFound, DeviceOffline))
            await self._directory.rest(serial, pause, away=away)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def disconnect(self, serial: str) -> None:
        """Disconnect a phone connected over TCP; raises DeviceNotFound."""
        if await self._directory.state(serial) is None:
            raise DeviceNotFound(f"device {serial} is not connected")
        try:
            await self._directory.query(f"host:disconnect:{serial}")
        finally:
            self._directory.renew()
