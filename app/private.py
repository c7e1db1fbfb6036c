"""Files and folders that only the user can access, whatever the umask.

They contain screenshots, what people wrote on the phone, and access tokens.
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
    """Create a folder and its missing parents; an existing one is not changed.

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
    """Create a file if it is missing, and set its time; raises OSError."""
    path.touch(FILE)


def tighten(path: Path) -> None:
    """Remove other users' permissions from a file, or from a folder and everything in it.

    A folder that is already private is skipped: nobody else can get into it. Links are not
    followed, and files of other users are not changed.
    """
    if sys.platform == "win32":  # a profile's folders are already private there
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
