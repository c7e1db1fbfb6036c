"""When the service was last alive: what was open then goes on, if that is not too long ago."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger(__name__)

EVERY_S = 15.0
FILE = "alive"


class Heartbeat:
    """Marks the time in a file below `folder`, from `start` to `close`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._job: asyncio.Task[None] | None = None

    def last(self) -> datetime | None:
        """The last mark of an earlier run, None when there was none."""
        try:
            return datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        except OSError:
            return None

    def start(self) -> None:
        self._job = asyncio.create_task(self._beat())

    async def close(self) -> None:
        if self._job is not None:
            self._job.cancel()
            await asyncio.wait({self._job})
            self._mark()

    async def _beat(self) -> None:
        while True:
            self._mark()
            await asyncio.sleep(EVERY_S)

    def _mark(self) -> None:
        try:
            self._path.touch()
        except OSError as exc:
            log.warning("%s cannot be written: %s", self._path, exc.strerror)
