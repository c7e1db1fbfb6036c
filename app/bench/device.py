"""Measures a phone's latency for an agent's operations, compared with spawning adb.

Both ways alternate, in the same run and with the same adb server, so that a warm or busy phone
slows both. Times are milliseconds of wall clock, including the phone's own work. A virtual phone
reports how long it worked; the rest is overhead: adb server, link and this program. For a real
phone this share is unknown.

The phone is touched: each round taps the status bar, where a tap has no effect, and types only if
requested.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from app.adb.capture import Kind
from app.adb.device import Device
from app.adb.screen import Frame
from app.adb.typing.adb_keyboard import ADB_KEYBOARD
from app.errors import CommandFailed, DeviceTimeout, InputError

COUNT = 20
WARNING = (
    "This taps the status bar of the phone; with --type it also writes into the focused field."
)
_TEXTS = ("phonepilot bench", "how long it takes")
"""Used alternately: the same text again would show no change."""
_HARMLESS = (1, 1)
"""In the corner of the status bar, in pixels."""
_SPAWN_S = 30.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of one operation in milliseconds; the 95th percentile is the nearest rank."""

    median_ms: float
    p95_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        ranked = sorted(seconds)
        p95 = ranked[-(-95 * len(ranked) // 100) - 1]
        return cls(round(statistics.median(ranked) * 1000, 2), round(p95 * 1000, 2))


@dataclass(frozen=True, slots=True)
class Row:
    """One operation: phonepilot's time, that of spawning adb, and spawned / ours."""

    name: str
    ours: Latency
    spawned: Latency
    ratio: float
    phone: Latency | None = None
    """The phone's own share of `ours`, and below it the rest; None for a real phone."""
    overhead: Latency | None = None


class PhoneWork:
    """How long a virtual phone worked, from the events at its control port (`ms` of `shell`)."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )
        self._seen = 0

    async def seconds(self) -> float:
        """Return the seconds of work in all commands since the last call; raises InputError."""
        try:
            answer = await self._http.get("/events", params={"follow": 0, "after": self._seen})
            answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise InputError(f"no virtual phone tells its work at {self._http.base_url}") from exc
        lines = answer.text.splitlines()
        events = [json.loads(line[len("data: ") :]) for line in lines if line[:6] == "data: "]
        self._seen = max([self._seen, *(event["seq"] for event in events)])
        return sum(float(event["ms"]) for event in events if event["kind"] == "shell") / 1000

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.aclose()


@dataclass(frozen=True, slots=True)
class AdbProgram:
    """The adb program, for one server and one phone."""

    binary: Path
    host: str
    port: int
    serial: str

    def run(self, *argv: str) -> bytes:
        """Run adb and return its output; blocking. Raises CommandFailed, DeviceTimeout."""
        command = [str(self.binary), "-H", self.host, "-P", str(self.port), "-s", self.serial]
        try:
            done = subprocess.run(
                [*command, *argv], stdin=subprocess.DEVNULL, capture_output=True, timeout=_SPAWN_S
            )
        except subprocess.TimeoutExpired as exc:
            raise DeviceTimeout(f"adb {argv[0]} gave no answer within {_SPAWN_S:g} s") from exc
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise CommandFailed(f"adb {argv[0]} failed: {said[:200]}", done.returncode, said)
        return done.stdout


Operation = Callable[[], Awaitable[object]]


def our_operations(device: Device) -> dict[str, Operation]:
    """Return phonepilot's measured operations by name; none of them starts a process.

    Each screenshot counts as one of a changed screen.
    """
    leased = device.fenced(lambda: None)

    def picture(kind: Kind) -> Awaitable[Frame]:
        device.forget_last_screenshot()
        return device.screenshot_as(kind)

    async def ready() -> bytes:
        """Take a screenshot as a task does, which does not accept a black picture."""
        device.forget_last_screenshot()
        frame = await leased.screenshot()
        return await asyncio.to_thread(frame.png)

    texts = itertools.cycle(_TEXTS)
    return {
        "screenshot raw": lambda: picture("raw"),
        "screenshot PNG": lambda: picture("png"),
        "screenshot ready for the model": ready,
        "tap": lambda: device.tap(*_HARMLESS),
        "current app": device.current_app,
        "type": lambda: device.type_text(next(texts)),
    }


def _spawned(adb: AdbProgram) -> dict[str, Operation]:
    x, y = map(str, _HARMLESS)
    texts = itertools.cycle(_TEXTS[::-1])

    def type_text() -> None:
        """Type like programs that drive ADBKeyboard through adb, without the pauses they add."""
        setting = adb.run("shell", "settings", "get", "secure", "default_input_method")
        adb.run("shell", "ime", "set", ADB_KEYBOARD)
        adb.run("shell", "am", "broadcast", "-a", "ADB_CLEAR_TEXT")
        text = base64.b64encode(next(texts).encode()).decode()
        adb.run("shell", "am", "broadcast", "-a", "ADB_INPUT_B64", "--es", "msg", text)
        adb.run("shell", "ime", "set", setting.decode("utf-8", "replace").strip())

    def spawn(*argv: str) -> Operation:
        return lambda: asyncio.to_thread(adb.run, *argv)

    return {
        "screenshot raw": spawn("exec-out", "screencap"),
        "screenshot PNG": spawn("exec-out", "screencap", "-p"),
        "screenshot ready for the model": spawn("exec-out", "screencap", "-p"),
        "tap": spawn("shell", "input", "tap", x, y),
        "current app": spawn("shell", "dumpsys", "activity", "activities"),
        "type": lambda: asyncio.to_thread(type_text),
    }


async def measure(
    device: Device,
    adb: AdbProgram,
    count: int = COUNT,
    *,
    type_text: bool = False,
    work: PhoneWork | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Measure each operation `count` times both ways, after one warm-up round of all of them.

    Raises DeviceError, in the warm-up round if possible: typing raises TextRefused if no text field
    has the keyboard. With `work` the phone's own share is separated; raises InputError if it is not
    reported.
    """
    ours, spawned = our_operations(device), _spawned(adb)
    names = [name for name in ours if type_text or name != "type"]
    for name in names:
        await _round(ours[name], spawned[name], work)
    rows = []
    for name in names:
        progress(name)
        rounds = [await _round(ours[name], spawned[name], work) for _ in range(count)]
        mine, theirs = (Latency.of([each[way] for each in rounds]) for way in (0, 1))
        phone = overhead = None
        if work is not None:
            phone = Latency.of([each[2] for each in rounds])
            overhead = Latency.of([each[0] - each[2] for each in rounds])
        ratio = round(theirs.median_ms / mine.median_ms, 2)
        rows.append(Row(name, mine, theirs, ratio, phone, overhead))
    return rows


async def _round(
    ours: Operation, spawned: Operation, work: PhoneWork | None
) -> tuple[float, float, float]:
    """Return seconds of ours, of the spawned one, and of the phone's own work in ours."""
    if work is not None:
        await work.seconds()
    mine = await _timed(ours)
    phone = await work.seconds() if work is not None else 0.0
    return mine, await _timed(spawned), phone


async def _timed(operation: Operation) -> float:
    begun = time.perf_counter()
    await operation()
    return time.perf_counter() - begun
