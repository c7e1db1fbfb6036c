"""Bringing phones to the adb server and back to it: connect, wait for the return, let go.

Here the server is asked directly throughout, see app.adb.directory; its tracker only wakes us.
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
"""A peer that accepts and says nothing holds the adb server's connect for 10 s."""
_LAST_TRY_S = 3.0
"""With less time left, connecting is not tried again."""
_AGAIN_S = 0.05
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 3.0
"""Between two tries to reach a phone again; adb's own are 3 s apart."""


def not_ready(row: DeviceRow) -> DeviceError:
    """Why the device of a row that is not ready cannot be used."""
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

        Raises InputError for a bad address, DeviceNotFound when nothing answers there,
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
        """Have the server connect; False when its connection came to nothing and there is time for
        another try."""
        now = asyncio.get_running_loop().time
        # The server says "already connected" of a device that has long gone offline.
        state = await self._directory.state(serial)
        if state not in (None, READY, "unauthorized", "authorizing"):
            await self._forget(serial)
        try:
            answer = await self._directory.query(f"host:connect:{serial}", end - now())
            if await self._became_ready(serial, answer.strip(), end):
                return True
        except DeviceTimeout as exc:
            await self._forget(serial)
            # A phone that just came back may meet the server's own try to reach it again, and one
            # of the two then fails: once more while there is time.
            if end - now() <= _LAST_TRY_S:
                raise DeviceTimeout(f"what answers at {serial} does not speak adb") from exc
        return False

    async def _became_ready(self, serial: str, answer: str, end: float) -> bool:
        """Wait for a device that the server says it has connected; False when it dropped it."""
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
                # "Already connected" was said of a row that was on its way out: a disconnect takes
                # until the server's own try to reach the phone again has ended.
                return False
            await self._directory.change(news, left)

    async def _forget(self, serial: str) -> None:
        # "no such device" is what we want to be true.
        with contextlib.suppress(DeviceError):
            await self._directory.query(f"host:disconnect:{serial}")
        self._directory.renew()

    async def wait_ready(
        self, serial: str, timeout_s: float, answer: Callable[[str], Awaitable[None]]
    ) -> None:
        """Wait until a phone that dropped off answers again; one on TCP is connected again.

        `answer` has the phone show that it is there, or raises why it is not.
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
                    await self.connect(serial, max(min(left, CONNECT_S), _FIRST_PAUSE_S))
                await answer(serial)
                return
            except DeviceUnauthorized:
                raise
            except DeviceError as exc:
                if over_network and isinstance(exc, DeviceTimeout):
                    # The server believes in a link that has died without a word.
                    await self._forget(serial)
                if left <= pause:
                    raise
                away = isinstance(exc, (AdbServerUnreachable, DeviceNotFound, DeviceOffline))
            await self._directory.rest(serial, pause, away=away)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def disconnect(self, serial: str) -> None:
        """Let go of a phone connected over TCP; raises DeviceNotFound."""
        if await self._directory.state(serial) is None:
            raise DeviceNotFound(f"device {serial} is not connected")
        try:
            await self._directory.query(f"host:disconnect:{serial}")
        finally:
            self._directory.renew()
