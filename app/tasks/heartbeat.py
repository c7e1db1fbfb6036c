"""Records when the service was last alive, to decide whether its open tasks are resumed."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from app.background import Background
from app.private import touch_private

EVERY_S = 15.0
FILE = "alive"


class Heartbeat:
    """Updates a file's time in `folder`, from `start` to `close`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._beats = Background("the heartbeat", self._beat)

    def last(self) -> datetime | None:
        """Return the last beat of an earlier run, None if there was none."""
        try:
            return datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        except OSError:
            return None

    def start(self) -> None:
        self._beats.start()

    async def close(self) -> None:
        if self._beats.running:
            await self._beats.close()
            with suppress(OSError):  # it was reported while the service ran
                touch_private(self._path)

    async def _beat(self) -> float:
        touch_private(self._path)
        return EVERY_S
