"""Writes a file on the phone, with the `sync:` service (AOSP `adb/SYNC.TXT`)."""

from __future__ import annotations

import struct
import time

from app.adb.connection import Deadline
from app.adb.shell import Shell
from app.errors import CommandFailed, DeviceDisconnected

_HEAD = struct.Struct("<4sI")
_CHUNK = 64 * 1024
"""The most that one DATA may have."""
_REGULAR = 0o100644
_MOST_REASON = 4096


def push(shell: Shell, path: str, data: bytes, deadline: Deadline) -> None:
    """Write `data` to a new file at `path`; one that was there is unlinked first.

    Raises CommandFailed with the phone's reason, and like `Shell.open`.
    """
    name = f"{path},{_REGULAR}".encode()
    with shell.open("sync:", deadline) as connection:
        connection.write(_HEAD.pack(b"SEND", len(name)) + name)
        for start in range(0, len(data), _CHUNK):
            part = data[start : start + _CHUNK]
            connection.write(_HEAD.pack(b"DATA", len(part)) + part)
        connection.write(_HEAD.pack(b"DONE", int(time.time())))
        status, length = _HEAD.unpack(connection.exactly(_HEAD.size))
        if status == b"OKAY":
            return
        if status != b"FAIL":
            raise DeviceDisconnected(f"device {shell.serial} does not speak the sync protocol")
        reason = connection.exactly(min(length, _MOST_REASON)).decode("utf-8", "replace")
        raise CommandFailed(f"{path} was not written on the phone: {reason[:200]}", 1, reason)
