"""The `sync:` service, version 1: STAT, LIST, RECV, SEND, QUIT (AOSP `adb/SYNC.TXT`).

A request is a four-letter id, a little-endian u32 length and that many bytes of path. The newer
variants (stat_v2, ls_v2, sendrecv_v2) are not in the banner, so hosts do not use them.
"""

from __future__ import annotations

import struct

from app.virtual_phone.filesystem import FileTree, Node
from app.virtual_phone.packets import LinkBroken
from app.virtual_phone.transport import Stream

MAX_CHUNK = 64 * 1024
MAX_PATH = 1024

_REQUEST = struct.Struct("<4sI")
_STAT = struct.Struct("<4sIII")
_DENT = struct.Struct("<4sIIII")


class Input:
    """Exact reads over the pieces in which a stream arrives."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._data = bytearray()

    async def take(self, count: int) -> bytes:
        while len(self._data) < count:
            piece = await self._stream.read()
            if not piece:
                raise LinkBroken("the host left in the middle of what it sends")
            self._data += piece
        taken = bytes(self._data[:count])
        del self._data[:count]
        return taken


class SyncSession:
    """One `sync:` stream: answers requests until QUIT."""

    def __init__(self, stream: Stream, files: FileTree) -> None:
        self._stream = stream
        self._files = files
        self._input = Input(stream)

    async def run(self) -> None:
        while True:
            name, length = _REQUEST.unpack(await self._input.take(_REQUEST.size))
            if name == b"QUIT":
                return
            if length > MAX_PATH:
                await self._fail("path too long")
                return
            path = (await self._input.take(length)).decode("utf-8", "surrogateescape")
            if name == b"STAT":
                await self._stat(path)
            elif name == b"LIST":
                await self._list(path)
            elif name == b"RECV":
                await self._receive(path)
            elif name == b"SEND":
                await self._send(path)
            else:
                await self._fail(f"unknown command {name!r}")
                return

    async def _stat(self, path: str) -> None:
        try:
            node = self._files.stat(path)
        except OSError:
            node = Node(0, 0, b"")  # all zero means that it does not exist
        await self._stream.write(_STAT.pack(b"STAT", node.mode, node.size, node.mtime))

    async def _list(self, path: str) -> None:
        try:
            entries = self._files.list(path)
        except OSError:
            entries = []  # v1 cannot report the reason
        answer = bytearray()
        for name, node in entries:
            encoded = name.encode("utf-8", "surrogateescape")
            answer += _DENT.pack(b"DENT", node.mode, node.size, node.mtime, len(encoded)) + encoded
        answer += _DENT.pack(b"DONE", 0, 0, 0, 0)
        await self._stream.write(bytes(answer))

    async def _receive(self, path: str) -> None:
        try:
            data = self._files.read(path)
        except OSError as exc:
            await self._fail(exc.strerror or "read failed")
            return
        answer = bytearray()
        for start in range(0, len(data), MAX_CHUNK):
            piece = data[start : start + MAX_CHUNK]
            answer += _REQUEST.pack(b"DATA", len(piece)) + piece
        answer += _REQUEST.pack(b"DONE", 0)
        await self._stream.write(bytes(answer))

    async def _send(self, target: str) -> None:
        path, _, mode = target.rpartition(",")
        data = bytearray()
        while True:
            name, value = _REQUEST.unpack(await self._input.take(_REQUEST.size))
            if name == b"DONE":
                break  # the value is the modification time
            if name != b"DATA" or value > MAX_CHUNK:
                raise LinkBroken(f"{name!r} of {value} bytes within a SEND")
            data += await self._input.take(value)
        try:
            self._files.write(path, bytes(data), mode=int(mode or "0644"), mtime=value)
        except OSError as exc:
            await self._fail(f"couldn't create file: {exc.strerror}")
        except ValueError:
            await self._fail(f"bad mode {mode!r}")
        else:
            await self._stream.write(_REQUEST.pack(b"OKAY", 0))

    async def _fail(self, reason: str) -> None:
        encoded = reason.encode()
        await self._stream.write(_REQUEST.pack(b"FAIL", len(encoded)) + encoded)
