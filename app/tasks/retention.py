"""How long ended tasks are kept, and how much disk space is left free."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.background import Background
from app.errors import DiskFull
from app.tasks.store import Store

log = logging.getLogger(__name__)

EVERY_S = 600.0
MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """The limits; 0 means no limit."""

    keep_days: float
    screenshots_mib: int
    min_free_mib: int


class Retention:
    """Deletes old data at `start` and every ten minutes, until `close`."""

    def __init__(self, store: Store, folder: Path, limits: Limits) -> None:
        self._store = store
        self._folder = folder
        self._limits = limits
        self._tidying = Background("tidying up", self._tidy_again)

    def start(self) -> None:
        self._tidying.start()

    async def close(self) -> None:
        await self._tidying.close()

    @property
    def is_tight(self) -> bool:
        """Whether less disk space is free than must stay free."""
        wanted = self._limits.min_free_mib
        return bool(wanted) and shutil.disk_usage(self._folder).free < wanted * MIB

    def check(self) -> None:
        """Raise DiskFull if there is no room to record a new task."""
        if self.is_tight:
            raise DiskFull(f"less than {self._limits.min_free_mib} MiB are free on the disk")

    async def tidy(self) -> None:
        """Delete tasks that are too old, and the oldest screenshots above the size limit."""
        if self._limits.keep_days:
            before = datetime.now(UTC) - timedelta(days=self._limits.keep_days)
            gone = await self._store.forget(before)
            if gone:
                log.info("forgot %d tasks that ended before %s", gone, before.date())
        if self._limits.screenshots_mib:
            left = await self._store.shrink_screenshots(self._limits.screenshots_mib * MIB)
            if left:
                log.info("removed the screenshots of %d tasks", left)

    async def _tidy_again(self) -> float:
        await self.tidy()
        return EVERY_S
