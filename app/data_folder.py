"""The data folder: one service at a time uses it.

A second service on the same folder would take over the tasks that the first one is running. So the
first holds a lock on a file in it, which ends with the process however that ends; beside it stands
the process id, for people.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from app.errors import ConfigError, DataFolderBusy

LOCK, OWNER = "service.lock", "service.pid"


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold the folder while the block runs; it is made if need be.

    Raises DataFolderBusy while another service holds it, ConfigError when it cannot be written.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise _busy(folder) from None
    except OSError as exc:
        raise ConfigError(
            f"service.data_dir: {folder} cannot be written: {exc}",
            "Set service.data_dir to a folder of your own.",
        ) from exc
    owner = folder / OWNER
    try:
        with suppress(OSError):  # it only helps people; the lock is what counts
            owner.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            owner.unlink(missing_ok=True)
        lock.release()


def owner_of(folder: Path) -> DataFolderBusy | None:
    """The error that a service would meet here now; None when the folder is free."""
    if not (folder / LOCK).is_file():
        return None
    try:
        with FileLock(folder / LOCK, timeout=0):
            return None
    except Timeout:
        return _busy(folder)
    except OSError:
        return None


def _busy(folder: Path) -> DataFolderBusy:
    pid = ""
    with suppress(OSError, UnicodeDecodeError):
        pid = (folder / OWNER).read_text(encoding="utf-8").strip()
    who = f"the phonepilot service with process id {pid}" if pid.isdecimal() else "another service"
    return DataFolderBusy(f"{folder} is in use by {who}")
