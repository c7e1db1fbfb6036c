"""Encodes and decodes ADB transport packets.

A packet is a header of six little-endian u32 (`command, arg0, arg1, data_length, data_check,
command ^ 0xffffffff`) and `data_length` bytes. Constants and rules are from AOSP's
`packages/modules/adb/protocol.txt` and `adb.h`. `arg0` is always the sender's stream id.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass

CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = (
    int.from_bytes(name, "little")
    for name in (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE")
)
AUTH_TOKEN, AUTH_SIGNATURE, AUTH_PUBLIC_KEY = 1, 2, 3
VERSION = 0x01000001
"""From this version on `data_check` is ignored; it is sent as 0."""
MAX_PAYLOAD = 1024 * 1024
MAX_PAYLOAD_BEFORE_CNXN = 4096

_HEADER = struct.Struct("<6I")


class LinkBroken(Exception):
    """The host broke the protocol or disconnected; the link and its streams end."""


@dataclass(frozen=True, slots=True)
class Packet:
    command: int
    arg0: int
    arg1: int
    payload: bytes = b""

    def encode(self) -> bytes:
        header = _HEADER.pack(
            self.command, self.arg0, self.arg1, len(self.payload), 0, self.command ^ 0xFFFFFFFF
        )
        return header + self.payload


async def read_packet(reader: asyncio.StreamReader, limit: int = MAX_PAYLOAD) -> Packet:
    """Read the next packet, of at most `limit` payload bytes.

    Raises LinkBroken for an invalid header, asyncio.IncompleteReadError at the end.
    """
    header = await reader.readexactly(_HEADER.size)
    command, arg0, arg1, length, _check, magic = _HEADER.unpack(header)
    if magic != command ^ 0xFFFFFFFF:
        raise LinkBroken(f"bad magic in header {header.hex()}")
    if length > limit:
        raise LinkBroken(f"payload of {length} bytes, {limit} allowed")
    return Packet(command, arg0, arg1, await reader.readexactly(length))
