"""Follows the adb server's list of devices.

The server responds to `host:track-devices-l` with OKAY and then the whole list, at once and again
at every change: each time the text of `host:devices-l`, preceded by its length in four hexadecimal
digits (AOSP packages/modules/adb, docs/dev/services.md, and `device_tracker` in transport.cpp). An
older server has only `host:track-devices`, whose rows lack the model.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from app.adb import parse
from app.adb.connection import LENGTH, failure
from app.adb.parse import DeviceRow
from app.background import Background
from app.errors import AdbServerUnreachable, DeviceError

log = logging.getLogger(__name__)

_ANSWER_S = 5.0
"""Timeout in seconds for the connection, and then for the first list, which is sent at once."""
_SILENT_S = 30.0
"""Seconds without news after which the stream is reopened: a server that hangs, or a host that was
switched off, looks like one without changes."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0


async def read_frame(reader: asyncio.StreamReader) -> str:
    """Read one text, preceded by its length.

    Raises AdbServerUnreachable if the stream ends before the text does, and for an invalid length.
    """
    try:
        digits = await reader.readexactly(4)
        if not LENGTH.fullmatch(digits):
            raise AdbServerUnreachable(f"the adb server sent an invalid length ({digits!r})")
        return (await reader.readexactly(int(digits, 16))).decode("utf-8", "replace")
    except (asyncio.IncompleteReadError, OSError) as exc:
        raise AdbServerUnreachable("the adb server closed the list of devices") from exc


class Tracker:
    """Follows one adb server from `start` to `close`, and reconnects when it is lost.

    `rows` is the newest list, or None while there is no reliable one: before the first list, while
    the server is away, after `renew`, and always with a server that does not report models. `news`
    is set at the next change; a waiter gets it before looking, so that it misses no change.
    """

    def __init__(self, host: str, port: int) -> None:
        self.rows: list[DeviceRow] | None = None
        self.news = asyncio.Event()
        self._host, self._port = host, port
        self._following = Background("following the adb server's devices", self._round)
        self._pause = _FIRST_PAUSE_S
        self._writer: asyncio.StreamWriter | None = None
        self._again = asyncio.Event()
        self._with_models = True

    @property
    def running(self) -> bool:
        return self._following.running

    def start(self) -> None:
        self._following.start()

    async def close(self) -> None:
        """Stop following; waiters for news are woken."""
        await self._following.close()
        self.rows = None
        self._announce()

    def renew(self) -> None:
        """Drop the list and have it sent again, at once even if the server was away.

        Afterwards no list that was sent before this call is used.
        """
        self.rows = None
        self._again.set()
        self._following.wake()
        if self._writer is not None:
            self._writer.transport.abort()

    async def _round(self) -> float:
        """Follow until the stream ends; return the seconds until it is reopened."""
        self._again.clear()
        try:
            await self._follow()
        except DeviceError as exc:
            if self._again.is_set():
                return 0.0  # renew() has closed the stream
            if self.rows is not None:
                self._pause = _FIRST_PAUSE_S
                log.info("the adb server was lost: %s", exc.message)
                self.rows = None
                self._announce()
            pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE_S)
            return pause
        self._pause = _FIRST_PAUSE_S
        return 0.0

    async def _follow(self) -> None:
        """Receive lists until the stream has to be reopened; raises DeviceError if it breaks."""
        address = f"{self._host}:{self._port}"
        try:
            async with asyncio.timeout(_ANSWER_S):
                reader, writer = await asyncio.open_connection(self._host, self._port)
        except OSError as exc:  # includes TimeoutError
            raise AdbServerUnreachable(f"no adb server answers at {address} ({exc})") from exc
        self._writer, heard = writer, False
        try:
            async with asyncio.timeout(_ANSWER_S) as limit:
                if not await self._accepted(reader, writer):
                    return
                while True:
                    text = await read_frame(reader)
                    if self._again.is_set():
                        return
                    heard = True
                    self._take(text)
                    limit.reschedule(asyncio.get_running_loop().time() + _SILENT_S)
        except TimeoutError as exc:
            if not heard:
                raise AdbServerUnreachable(f"the adb server at {address} is silent") from exc
        finally:
            self._writer = None
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Request the lists; return False if the older request must be used."""
        request = b"host:track-devices-l" if self._with_models else b"host:track-devices"
        writer.write(b"%04x" % len(request) + request)
        try:
            status = await reader.readexactly(4)
        except (asyncio.IncompleteReadError, OSError) as exc:
            raise AdbServerUnreachable("the adb server closed the connection") from exc
        if status == b"OKAY":
            return True
        if status != b"FAIL":
            raise AdbServerUnreachable(f"what answers there is not an adb server ({status!r})")
        text = await read_frame(reader)
        if not self._with_models:
            raise failure(text)
        self._with_models = False
        return False

    def _take(self, text: str) -> None:
        if self._with_models:
            rows = parse.devices(text)
            if rows == self.rows:
                return
            self.rows = rows
        self._announce()

    def _announce(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()
