"""Resolves the service of an OPEN: `shell:`, `shell,v2:`, `exec:`, `sync:` and `localabstract:` at
which a program listens; others are rejected.

`shell,v2` frames its output as `u8 id, u32le length, data` (AOSP `adb/shell_protocol.h`); the other
two shell services mix stdout and stderr and send no exit code, as on a phone.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable

from app.virtual_phone.abstract_sockets import AbstractSockets
from app.virtual_phone.filesystem import FileTree
from app.virtual_phone.shell.interpreter import Emit, Shell
from app.virtual_phone.sync import Input, SyncSession
from app.virtual_phone.transport import Service, Stream

STDOUT, STDERR, EXIT = 1, 2, 3
_FRAME = struct.Struct("<BI")
_FILLER = bytes(2**16)


def shell_frames(kind: int, data: bytes, payload_limit: int) -> bytes:
    """Encode `data` as shell protocol packets, none longer than one transport packet."""
    size = max(payload_limit - _FRAME.size, 1)
    return b"".join(
        _FRAME.pack(kind, len(data[start : start + size])) + data[start : start + size]
        for start in range(0, len(data), size)
    )


Receive = Callable[[int], Awaitable[bytes]]
NewShell = Callable[[Receive | None, Emit], Shell]


class Services:
    """Resolves the text of an OPEN with one phone's shell and files."""

    def __init__(self, new_shell: NewShell, files: FileTree, sockets: AbstractSockets) -> None:
        """`new_shell` gets the reader of the host's input, if the command may read it, and what
        sends output at once."""
        self._new_shell = new_shell
        self._files = files
        self._sockets = sockets

    def resolve(self, name: str) -> Service | None:
        kind, colon, rest = name.partition(":")
        if not colon:
            return None
        service, *options = kind.split(",")
        if service == "shell" and "v2" in options:
            return lambda stream: self._framed(stream, rest)
        if service == "shell":
            return lambda stream: self._mixed(stream, rest)
        if kind == "exec":
            return lambda stream: self._mixed(stream, rest, Input(stream).take)
        if kind == "localabstract":
            return self._sockets.resolve(rest)
        if kind == "sync":
            return lambda stream: SyncSession(stream, self._files).run()
        return None

    async def _mixed(self, stream: Stream, command: str, receive: Receive | None = None) -> None:
        if receive is None:
            stream.discard_input()

        async def emit(_: int, data: bytes) -> None:
            await stream.write(data)

        result = await self._new_shell(receive, emit).run(command)
        await stream.write(b"".join(data for _, data in result.output))
        while result.endless:
            await stream.write(_FILLER)
        if result.dropped:
            await stream.drop_link()

    async def _framed(self, stream: Stream, command: str) -> None:
        stream.discard_input()

        async def emit(kind: int, data: bytes) -> None:
            await stream.write(shell_frames(kind, data, stream.payload_limit))

        result = await self._new_shell(None, emit).run(command)
        frames = [shell_frames(kind, data, stream.payload_limit) for kind, data in result.output]
        while result.endless:
            await stream.write(b"".join(frames))
            frames = [shell_frames(STDOUT, _FILLER, stream.payload_limit)]
        if not result.dropped:
            frames.append(_FRAME.pack(EXIT, 1) + bytes([result.exit_code & 0xFF]))
        await stream.write(b"".join(frames))
        if result.dropped:
            await stream.drop_link()
