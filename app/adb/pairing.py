"""Pairs over Wi-Fi, using the code that a phone shows (Android 11 and later).

The adb server does the work: it responds to `host:pair:CODE:HOST:PORT` with "Successfully paired to
..." or with the reason for a failure, as a response or as a FAIL (AOSP adb/client/adb_wifi.cpp).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from app.adb.address import device_address
from app.errors import (
    AdbServerUnreachable,
    DeviceError,
    DeviceTimeout,
    DeviceUnauthorized,
    InputError,
)

PAIR_S = 30.0
_CODE = re.compile(r"[0-9]{6}")


async def pair(query: Callable[[str, float], Awaitable[str]], address: str, code: str) -> None:
    """Pair using `query`, which sends a request to the adb server with a limit in seconds.

    Raises InputError, DeviceUnauthorized if the phone rejects the code, DeviceTimeout.
    """
    serial = device_address(address)
    if not _CODE.fullmatch(code):
        raise InputError(
            "a pairing code has six digits", "The phone shows it under Wireless debugging."
        )
    if serial != address.strip():
        raise InputError(f"{address!r} has no port", "Give host:port as the phone shows it.")
    try:
        answer = (await query(f"host:pair:{code}:{serial}", PAIR_S)).strip()
    except (AdbServerUnreachable, DeviceTimeout):
        raise
    except DeviceError as exc:
        answer = exc.message
    if not answer.startswith("Successfully paired"):
        raise DeviceUnauthorized(
            f"not paired with {serial}: {answer[:200]}",
            "Open 'Pair device with pairing code' on the phone; both are new each time.",
        )
