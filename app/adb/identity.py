"""Which phone is behind a serial of the adb server: one phone may have several, one for each route.

A phone tells its own serial, `ro.serialno`, by whichever route it is reached. The adb server takes
it as the serial of the cable's route, and Android puts it in the name under which wireless
debugging is announced (`adb-SERIAL-XXXXXX._adb-tls-connect._tcp`; AOSP AdbDebuggingManager).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

from app.adb.address import is_address
from app.adb.directory import READY
from app.adb.parse import DeviceRow
from app.errors import DeviceError, InputError

Kind = Literal["usb", "emulator", "network", "mdns"]

_ASK_S = 3.0
_PROMPT_S = 0.3
"""A phone that is well tells in some ten milliseconds."""
_ASK_AGAIN_S = 30.0
"""A phone that did not tell is asked again after so long, or when it comes back."""
_MDNS = re.compile(
    r"adb-(?:(.+)-[0-9A-Za-z]{6}(?: \(\d+\))?\._adb-tls-connect|(.+)\._adb)\._tcp\.?"
)
_EMULATOR = re.compile(r"emulator-\d+")
_SHARED = re.compile(
    r"|unknown|null|0+|EMULATOR\d+X\w*|0?123456789ABCDEF0?|1234567890(ABCDEF)?", re.I
)
"""What makers leave in ro.serialno of many devices: every emulator of a version has the same one,
and so have many cheap phones."""


def kind_of(serial: str) -> Kind:
    """By which route a serial leads to its phone."""
    if _EMULATOR.fullmatch(serial):
        return "emulator"
    if _MDNS.fullmatch(serial):
        return "mdns"
    return "network" if is_address(serial) else "usb"


def _named(serial: str) -> str:
    """The phone's own serial as far as the name of the route tells it, or empty."""
    kind = kind_of(serial)
    if kind == "usb":
        return serial
    match = _MDNS.fullmatch(serial)
    return (match[1] or match[2]) if match else ""


class Identities:
    """What is known of the phones behind the serials. `ask` has a phone tell `ro.serialno`.

    What a phone told is kept while the adb server knows the serial, also while it is away, so that
    a route that has died is still known for one of that phone. When it comes back it is asked
    again: by then another phone may have the address.
    """

    def __init__(self, ask: Callable[[str], Awaitable[str]]) -> None:
        self._ask = ask
        self._told: dict[str, str] = {}
        self._settled: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def has_told(self, serial: str) -> bool:
        """Whether the phone has answered since it was last connected."""
        return serial in self._settled

    def of(self, serial: str) -> str:
        """What stands for the phone: the same for all of its serials, else the serial itself."""
        found = self._told.get(serial) or _named(serial)
        if not found or _SHARED.fullmatch(found):
            return serial
        cables = [s for s, told in self._told.items() if told == found and kind_of(s) == "usb"]
        # Two cables are two phones, whatever they say; what they have in common names neither.
        return serial if len(cables) > 1 else found

    def saw(self, rows: Iterable[DeviceRow]) -> None:
        """Take note of which serials there are, all of them, and which are ready."""
        states = {row.serial: row.state for row in rows}
        for serial in [*self._told]:
            if serial not in states:
                del self._told[serial]
        for serial in {*self._settled, *self._not_before}:
            if states.get(serial) != READY:
                self._settled.discard(serial)
                self._not_before.pop(serial, None)

    async def learn(self, serials: Iterable[str], *, insist: bool = False) -> None:
        """Ask the phones that are ready and have not told yet; never fails, takes 3 s at most.

        With `insist` also those that have lately been asked in vain.
        """
        now = asyncio.get_running_loop().time()
        await asyncio.gather(
            *(
                self._learn(serial)
                for serial in set(serials) - self._settled
                if insist or self._not_before.get(serial, now) <= now
            )
        )

    async def learn_soon(self, serials: Iterable[str]) -> None:
        """As `learn`, but wait for no phone longer than one that is well takes; what it tells later
        is taken note of all the same."""
        now = asyncio.get_running_loop().time()
        fresh: list[asyncio.Task[None]] = []
        for serial in set(serials) - self._settled:
            if serial not in self._asking and self._not_before.get(serial, now) <= now:
                self._asking[serial] = asyncio.create_task(self._learn(serial), name=serial)
                self._asking[serial].add_done_callback(self._asked)
                fresh.append(self._asking[serial])
        if fresh:
            await asyncio.wait(fresh, timeout=_PROMPT_S)

    def _asked(self, job: asyncio.Task[None]) -> None:
        self._asking.pop(job.get_name(), None)

    async def _learn(self, serial: str) -> None:
        try:
            async with asyncio.timeout(_ASK_S):
                told = await self._ask(serial)
        except (DeviceError, InputError, TimeoutError):
            self._not_before[serial] = asyncio.get_running_loop().time() + _ASK_AGAIN_S
            return
        self._told[serial] = told
        self._settled.add(serial)
