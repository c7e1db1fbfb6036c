"""When the service was last alive: what was open then goes on, if that is not too long ago."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from app.background import Background
from app.private import touch_private

EVERY_S = 15.0
FILE = "alive"


class Heartbeat:
    """Marks the time in a file below `folder`, from `start` to `close`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._beats = Background("the heartbeat", self._beat)

    def last(self) -> datetime | None:
        """The last mark of an earlier run, None when there was none."""
        try:
            return datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        except OSError:
            return None

    def start(self) -> None:
        self._beats.start()

    async def close(self) -> None:
        if self._beats.running:
            await self._beats.close()
            with suppress(OSError):  # it was reported while it ran
                touch_private(self._path)

    async def _beat(self) -> float:
        touch_private(self._path)
        return EVERY_S
