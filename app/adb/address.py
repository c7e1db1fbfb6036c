"""Addresses of phones on the network: `host:port`, the adb server's form."""

from __future__ import annotations

import re

from app.errors import InputError

DEFAULT_PORT = 5555
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::(\d+))?")


def device_address(address: str) -> str:
    """Return `host:port` from `host` or `host:port`; raises InputError."""
    match = _ADDRESS.fullmatch(address.strip())
    port = int(match[2] or DEFAULT_PORT) if match and len(match[2] or "") <= 5 else 0
    if match is None or not 1 <= port <= 65535:
        raise InputError(f"{address!r} is not a device address", "Give it as host or host:port.")
    return f"{match[1]}:{port}"


def is_address(serial: str) -> bool:
    """Whether a serial is the address of a phone on the network, host and port."""
    return ":" in serial and _ADDRESS.fullmatch(serial) is not None
