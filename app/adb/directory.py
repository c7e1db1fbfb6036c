"""Which devices the adb server knows, now and at each change.

The server owns the truth. The tracker has a copy of it that may be some milliseconds old. This is
good enough for showing and choosing, because a phone may drop off after any look. It is not good
enough for a caller that has just had the server connect or disconnect a phone and must see the
effect: such a caller uses `ask` and `state`, and calls `renew` at the end, so that later callers do
not get the old list. The tracker only wakes such callers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from app.adb import parse
from app.adb.connection import Deadline, ExactClient
from app.adb.parse import DeviceRow
from app.adb.threads import run_in_thread
from app.adb.tracker import Tracker

READY = "device"
LIST_S = 5.0
_POLL_S = 0.05
"""Seconds between two looks of a waiting caller, if no tracker reports changes."""


class Directory:
    """The devices of one adb server; without `start` every look asks the server."""

    def __init__(self, client: ExactClient) -> None:
        self._client = client
        self._tracker = Tracker(client.host, client.port)

    @property
    def server_address(self) -> tuple[str, int]:
        """Host and port of the adb server."""
        return self._client.host, self._client.port

    def start(self) -> None:
        """Follow the server's changes until `close`."""
        self._tracker.start()

    async def close(self) -> None:
        await self._tracker.close()

    def renew(self) -> None:
        """Discard everything that the tracker received before this call."""
        self._tracker.renew()

    async def query(self, request: str, seconds: float = LIST_S) -> str:
        """Send a `host:` request and return the response; raises the error of its FAIL text."""
        deadline = Deadline(seconds)
        try:
            return await run_in_thread(lambda: self._client.query(request, deadline))
        except asyncio.CancelledError:
            deadline.abandon()
            raise

    async def ask(self) -> list[DeviceRow]:
        """Return every device that the server knows right now; raises AdbServerUnreachable."""
        return parse.devices(await self.query("host:devices-l"))

    async def rows(self) -> list[DeviceRow]:
        """Return every device, from the tracker if it is running; raises AdbServerUnreachable."""
        told = self._tracker.rows
        return await self.ask() if told is None else list(told)

    async def state(self, serial: str) -> str | None:
        """Return a device's state right now, None if the server does not know it."""
        return _state(await self.ask(), serial)

    @property
    def news(self) -> asyncio.Event:
        """Set at the next change; get it before looking."""
        return self._tracker.news

    async def change(self, news: asyncio.Event, seconds: float) -> None:
        """Wait until `news` is set, at most `seconds`; without a tracker, at most one poll."""
        if self._tracker.rows is None:
            seconds = min(seconds, _POLL_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await news.wait()

    async def rest(self, serial: str, seconds: float, *, away: bool) -> None:
        """Sleep; less if a device that was not ready is reported as ready.

        `away` means that the caller has just seen it not ready. A device that is reported as ready
        all the time, although it does not answer, wakes nobody.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    news, told = self._tracker.news, self._tracker.rows
                    if told is not None:
                        ready = _state(told, serial) == READY
                        if ready and away:
                            return
                        away = not ready
                    await news.wait()

    async def changes(self) -> AsyncIterator[None]:
        """Yield at each change until the directory is closed; simultaneous changes count as one."""
        while self._tracker.running:
            news = self._tracker.news
            yield
            await news.wait()


def _state(rows: list[DeviceRow], serial: str) -> str | None:
    return next((row.state for row in rows if row.serial == serial), None)
