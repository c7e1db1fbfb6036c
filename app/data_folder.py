"""The data folder, which one service at a time uses.

A second service on the same folder would take over the tasks that the first one is running. So the
first holds a lock on a file in it, which is released when the process ends in any way; next to it
is a file with the process id, for people.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from app.errors import ConfigError, DataFolderBusy
from app.private import FILE, private_folder, tighten, write_private

LOCK, OWNER = "service.lock", "service.pid"


_OURS = re.compile(
    r"phonepilot\.db.*|screenshots|prompts|models|tokens\.json|webhook-secret|alive|"
    r"keyboard-.*|service\.(lock|pid)|.*\.part"
)
"""The files that phonepilot creates in its folder."""


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold the folder while the block runs; it is created if necessary.

    Raises DataFolderBusy while another service holds it, ConfigError if it is not writable.
    """
    lock = FileLock(folder / LOCK, timeout=0, mode=FILE)
    try:
        private_folder(folder)
        lock.acquire()
        _tighten(folder)
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
            write_private(owner, f"{os.getpid()}\n".encode())
        yield
    finally:
        with suppress(OSError):
            owner.unlink(missing_ok=True)
        lock.release()


def _tighten(folder: Path) -> None:
    """Restrict phonepilot's files to the user, which earlier versions did not.

    Also the folder itself, unless it contains something else: then others may need it.
    """
    inside = [*folder.iterdir()]
    ours = [path for path in inside if _OURS.fullmatch(path.name)]
    for path in [folder] if len(ours) == len(inside) else ours:
        tighten(path)


def owner_of(folder: Path) -> DataFolderBusy | None:
    """Return the error that a service would get here now; None if the folder is free."""
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
