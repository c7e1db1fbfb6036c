"""Files and folders that are the user's alone, whatever the umask.

They hold what stands on a phone's screen, what people wrote to it, and access tokens.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

FILE, FOLDER = 0o600, 0o700
_OTHERS = 0o077


def private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing; one that is there stays as it is.

    Raises OSError.
    """
    if folder.is_dir():
        return
    if folder.parent != folder:
        private_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(FOLDER)
    if not folder.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(folder))


def write_private(path: Path, data: bytes) -> None:
    """Write a file; raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE), "wb") as file:
        file.write(data)


def touch_private(path: Path) -> None:
    """Make a file when there is none, and set its time; raises OSError."""
    path.touch(FILE)


def tighten(path: Path) -> None:
    """Take the rights of others from a file, or from a folder with all that is in it.

    A folder that is the user's alone already is left at that: nobody else gets into it. Links are
    not followed, and what belongs to somebody else stays as it is.
    """
    if sys.platform == "win32":  # a profile's folders are the user's alone there
        return
    with suppress(OSError):
        found = path.lstat()
        ours = found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode)
        if not ours or not found.st_mode & _OTHERS:
            return
        inside = [*path.iterdir()] if path.is_dir() else []
        path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
        for each in inside:
            tighten(each)
