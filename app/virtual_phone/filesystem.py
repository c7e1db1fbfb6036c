"""A small file tree in memory, for pull, push, `ls` and `screencap FILE`.

Only `/sdcard` (also called `/storage/emulated/0`) and `/data/local/tmp` are writable, as for a
phone's shell user. Failures are OSErrors with the errno that a phone would return.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field

WRITABLE = ("/sdcard", "/data/local/tmp")
_DIRECTORIES = (
    "/",
    "/data",
    "/data/local",
    "/data/local/tmp",
    "/sdcard",
    "/sdcard/DCIM",
    "/sdcard/Download",
    "/sdcard/Pictures",
    "/system",
    "/system/bin",
)
_ALIASES = ("/storage/emulated/0", "/storage/self/primary", "/mnt/sdcard")


@dataclass(slots=True)
class Node:
    """A directory (`data` is None) or a file; `mtime` in seconds since the epoch."""

    mode: int
    mtime: int
    data: bytes | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        return 4096 if self.data is None else len(self.data)


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


class FileTree:
    """Paths are absolute POSIX paths; a relative path starts at `/`."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._nodes: dict[str, Node] = {}
        self.reset()

    def reset(self) -> None:
        """Restore the empty directories of a new phone."""
        now = int(self._clock())
        self._nodes = {path: Node(stat.S_IFDIR | 0o771, now) for path in _DIRECTORIES}

    def resolve(self, path: str) -> str:
        full = posixpath.normpath(posixpath.join("/", path))
        full = "/" + full.lstrip("/")
        for alias in _ALIASES:
            if full == alias or full.startswith(alias + "/"):
                return "/sdcard" + full[len(alias) :]
        return full

    def stat(self, path: str) -> Node:
        node = self._nodes.get(self.resolve(path))
        if node is None:
            raise _error(errno.ENOENT, path)
        return node

    def list(self, path: str) -> list[tuple[str, Node]]:
        """List the names in a directory, sorted; for a file, its own name."""
        full = self.resolve(path)
        node = self.stat(path)
        if node.data is not None:
            return [(path, node)]
        return sorted(
            (posixpath.basename(name), child)
            for name, child in self._nodes.items()
            if name != "/" and posixpath.dirname(name) == full
        )

    def read(self, path: str) -> bytes:
        node = self.stat(path)
        if node.data is None:
            raise _error(errno.EISDIR, path)
        return node.data

    def write(self, path: str, data: bytes, *, mode: int = 0o660, mtime: int | None = None) -> None:
        """Create or replace a file; missing directories are created, as adbd does for a push."""
        full = self._writable(path)
        node = self._nodes.get(full)
        if node is not None and node.data is None:
            raise _error(errno.EISDIR, path)
        self.make_directory(posixpath.dirname(full))
        when = int(self._clock()) if mtime is None else mtime
        self._nodes[full] = Node(stat.S_IFREG | (mode & 0o777), when, data)

    def append(self, path: str, data: bytes) -> None:
        full = self.resolve(path)
        self.write(path, self.read(path) + data if full in self._nodes else data)

    def make_directory(self, path: str) -> None:
        """Create a directory and its parents; an existing one is fine."""
        full = self.resolve(path)
        missing = []
        while full not in self._nodes:
            missing.append(full)
            full = posixpath.dirname(full)
        if self._nodes[full].data is not None:
            raise _error(errno.ENOTDIR, path)
        for name in reversed(missing):
            self._writable(name)
            self._nodes[name] = Node(stat.S_IFDIR | 0o771, int(self._clock()))

    def remove(self, path: str, *, recursive: bool = False) -> None:
        full = self._writable(path)
        node = self.stat(path)
        if node.data is None and not recursive:
            raise _error(errno.EISDIR, path)
        if full in WRITABLE:
            raise _error(errno.EACCES, path)
        for name in [name for name in self._nodes if name == full or name.startswith(full + "/")]:
            del self._nodes[name]

    def _writable(self, path: str) -> str:
        full = self.resolve(path)
        if not any(full == root or full.startswith(root + "/") for root in WRITABLE):
            raise _error(errno.EROFS if full.startswith("/system") else errno.EACCES, path)
        return full
