"""The host's end of the wire, written without the code under test."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HOST_BANNER = b"host::features=shell_v2,cmd,stat_v2"


def packet(command: bytes, arg0: int, arg1: int, payload: bytes = b"") -> bytes:
    """A packet as AOSP's protocol.txt lays it out, written without the code under test."""
    number = int.from_bytes(command, "little")
    magic = number ^ 0xFFFFFFFF
    return struct.pack("<6I", number, arg0, arg1, len(payload), 0, magic) + payload


CNXN = packet(b"CNXN", 0x01000001, 1024 * 1024, HOST_BANNER)


class Host:
    """The host's end of a link, at the level of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def expect(self, data: bytes) -> None:
        assert await asyncio.wait_for(self._reader.readexactly(len(data)), 5) == data

    async def expect_end(self) -> None:
        assert await asyncio.wait_for(self._reader.read(), 5) == b""

    async def packet(self) -> tuple[bytes, int, int, bytes]:
        header = await asyncio.wait_for(self._reader.readexactly(24), 5)
        command, arg0, arg1, length, _, _ = struct.unpack("<6I", header)
        return command.to_bytes(4, "little"), arg0, arg1, await self._reader.readexactly(length)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Host]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Host(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
