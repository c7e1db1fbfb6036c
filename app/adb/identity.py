"""Identifies the phone behind a serial: one phone may have several serials, one per route.

A phone reports its own serial, `ro.serialno`, over every route. The adb server uses it as the
serial of the USB route, and Android puts it in the name under which wireless debugging is announced
(`adb-SERIAL-XXXXXX._adb-tls-connect._tcp`; AOSP AdbDebuggingManager).
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
"""A healthy phone answers in about ten milliseconds."""
_ASK_AGAIN_S = 30.0
"""A phone that did not answer is asked again after this many seconds, or when it comes back."""
_MDNS = re.compile(
    r"adb-(?:(.+)-[0-9A-Za-z]{6}(?: \(\d+\))?\._adb-tls-connect|(.+)\._adb)\._tcp\.?"
)
_EMULATOR = re.compile(r"emulator-\d+")
_SHARED = re.compile(
    r"|unknown|null|0+|EMULATOR\d+X\w*|0?123456789ABCDEF0?|1234567890(ABCDEF)?", re.I
)
"""Values of ro.serialno shared by many devices: all emulators of a version have the same one, and
so have many cheap phones."""


def kind_of(serial: str) -> Kind:
    """Return the kind of route of a serial."""
    if _EMULATOR.fullmatch(serial):
        return "emulator"
    if _MDNS.fullmatch(serial):
        return "mdns"
    return "network" if is_address(serial) else "usb"


def _named(serial: str) -> str:
    """Return the phone's own serial if the route's name contains it, else empty."""
    kind = kind_of(serial)
    if kind == "usb":
        return serial
    match = _MDNS.fullmatch(serial)
    return (match[1] or match[2]) if match else ""


class Identities:
    """What is known about the phones behind the serials. `ask` asks a phone for `ro.serialno`.

    A phone's answer is kept as long as the adb server knows the serial, even while the phone is
    away, so that a dead route can still be attributed to it. When the phone comes back it is asked
    again: another phone may have the address by then.
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
        """Return the phone's identifier: the same for all its serials, else the serial itself."""
        found = self._told.get(serial) or _named(serial)
        if not found or _SHARED.fullmatch(found):
            return serial
        cables = [s for s, told in self._told.items() if told == found and kind_of(s) == "usb"]
        # Two cables are two phones, whatever they report; a shared serial identifies neither.
        return serial if len(cables) > 1 else found

    def saw(self, rows: Iterable[DeviceRow]) -> None:
        """Update which serials exist (`rows` lists all of them), and which are ready."""
        states = {row.serial: row.state for row in rows}
        for serial in [*self._told]:
            if serial not in states:
                del self._told[serial]
        for serial in {*self._settled, *self._not_before}:
            if states.get(serial) != READY:
                self._settled.discard(serial)
                self._not_before.pop(serial, None)

    async def learn(self, serials: Iterable[str], *, insist: bool = False) -> None:
        """Ask the ready phones that have not answered yet; never fails, takes at most 3 s.

        With `insist`, also those that recently did not answer.
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
        """Like `learn`, but waits for no phone longer than a healthy one takes; later answers are
        still recorded."""
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
