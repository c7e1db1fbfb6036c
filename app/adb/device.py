"""One phone, with everything a person does with it, as coroutines.

Every call has a deadline. Blocking work runs in a thread; if the caller is cancelled, the thread's
socket is shut down, so that the thread ends at once and nothing is left running here.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from app.adb import apps, gestures, parse, power, screen
from app.adb.apps import AppTable
from app.adb.capture import Capture, Displays, Kind
from app.adb.connection import Deadline, ExactClient
from app.adb.gestures import Gesture
from app.adb.hands import Hands
from app.adb.scrcpy.sessions import Sessions
from app.adb.screen import FINGERPRINT_STEP
from app.adb.setup import Finding, set_up
from app.adb.shell import Completed, Shell
from app.adb.threads import run_in_thread
from app.adb.typing.keyboard import Keyboard
from app.adb.typing.look import Look
from app.adb.typing.saved_keyboard import SavedKeyboard
from app.adb.ui_dump import ShownText, shown_texts
from app.errors import DeviceError, InputError
from app.glimpses import Glimpses

T = TypeVar("T")

COMMAND_S = 10.0
SCREENSHOT_S = 15.0
TYPE_S = 30.0
LAUNCH_S = 25.0
SET_UP_S = 180.0
PARALLEL_CALLS = 4
_DRAIN_S = 7.0
_FOCUS_POLL_S = 0.1
_FOCUS_POLLS = 5

# android.view.KeyEvent
KEYS: dict[str, int] = {
    "home": 3, "back": 4, "volume_up": 24, "volume_down": 25, "power": 26, "camera": 27,
    "tab": 61,
    "space": 62, "enter": 66, "delete": 67, "menu": 82, "search": 84, "page_up": 92,
    "page_down": 93, "escape": 111, "move_home": 122, "move_end": 123, "recents": 187,
    "sleep": 223, "wakeup": 224,
    "dpad_up": 19, "dpad_down": 20, "dpad_left": 21, "dpad_right": 22, "dpad_center": 23,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A phone's properties; size in pixels of the upright phone, density in dpi, 0 if unknown."""

    serial: str
    manufacturer: str
    model: str
    android: str
    sdk: int
    width: int
    height: int
    density: int


@dataclass(frozen=True, slots=True)
class ForegroundApp:
    """The app in front; `label` is None for an app that is not in the table."""

    package: str
    activity: str
    label: str | None


class Device:
    """A phone behind an adb server, by serial."""

    def __init__(
        self,
        client: ExactClient,
        serial: str,
        table: AppTable,
        limiter: asyncio.Semaphore,
        wait_ready: Callable[[str, float], Awaitable[None]],
        in_use: Callable[[str], bool] = lambda serial: False,
        state_dir: Path | None = None,
        jar: Callable[[], bytes | None] | None = None,
    ) -> None:
        """`jar` returns scrcpy's server; without it, `input` does all touches."""
        self.serial = serial
        self._wait_ready = wait_ready
        self._shell = Shell(client, serial)
        self._table = table
        self._limiter = limiter
        self._in_use = in_use
        self._capture = Capture()
        self._running: set[asyncio.Future[Any]] = set()
        self._hands = Hands(Sessions(self._shell, jar) if jar else None)
        self._keyboard = Keyboard(SavedKeyboard(state_dir, serial))
        self._typing = asyncio.Lock()
        self._task_has_it = False
        self._glimpses = Glimpses(self._look)

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait until a disconnected phone is back; raises like `Fleet.wait_ready`."""
        await self._wait_ready(self.serial, timeout_s)

    async def _call(self, work: Callable[[Deadline], T], seconds: float) -> T:
        if not self._task_has_it:
            return await self._in_thread(work, seconds)
        with self._glimpses.working():
            return await self._in_thread(work, seconds)

    async def _in_thread(self, work: Callable[[Deadline], T], seconds: float) -> T:
        async with self._limiter:
            deadline = Deadline(seconds)
            thread = run_in_thread(lambda: work(deadline))
            self._running.add(thread)
            thread.add_done_callback(self._ended)
            try:
                # Shielded, to know when the thread has really ended: see drained().
                return await asyncio.shield(thread)
            except asyncio.CancelledError:
                deadline.abandon()
                raise

    def _ended(self, thread: asyncio.Future[Any]) -> None:
        self._running.discard(thread)
        if not thread.cancelled():
            thread.exception()  # nobody else retrieves it once the caller has gone

    def fenced(self, check: Callable[[], None]) -> Device:
        """Return the phone for the holder of a lease: `check` raises once the lease has ended."""
        device = copy.copy(self)
        device._shell = Shell(self._shell.client, self.serial, check)
        device._in_use = lambda serial: True
        device._task_has_it = True
        device._running = set()
        return device

    def ready_hands(self) -> None:
        """Start scrcpy now, so that it is there for the first touch; never waits or fails."""
        self._hands.begin()

    async def await_scrcpy(self, seconds: float) -> str:
        """Wait at most so long for scrcpy to start; return why it has not, empty if it has."""

        def start(deadline: Deadline) -> str:
            hand = self._hands.by_scrcpy(self._shell, deadline, seconds)
            return "" if hand is not None else self._hands.reason or "it has not started yet"

        return await self._call(start, seconds + COMMAND_S)

    @property
    def without_scrcpy(self) -> str:
        """Why touches go through `input`; empty if they do not, or none was made yet."""
        return self._hands.reason

    def close(self) -> None:
        """End what runs for this phone in the background."""
        self._hands.close()

    async def drained(self) -> None:
        """Wait until no call is under way, at most as long as restoring a keyboard takes."""
        if self._running:
            await asyncio.wait(self._running, timeout=_DRAIN_S)

    def _run(self, what: str, *commands: Sequence[str]) -> Awaitable[Completed]:
        return self._call(
            lambda deadline: self._shell.run(*commands, deadline=deadline).check(what), COMMAND_S
        )

    async def info(self) -> DeviceInfo:
        def ask(deadline: Deadline) -> DeviceInfo:
            def text(*argv: str) -> str:
                return self._shell.run(argv, deadline=deadline).text

            def prop(name: str) -> str:
                return text("getprop", name).strip()

            sdk = prop("ro.build.version.sdk")
            width, height = parse.size(text("wm", "size")) or (0, 0)
            return DeviceInfo(
                serial=self.serial,
                manufacturer=prop("ro.product.manufacturer"),
                model=prop("ro.product.model"),
                android=prop("ro.build.version.release"),
                sdk=int(sdk) if sdk.isascii() and sdk.isdecimal() else 0,
                width=width,
                height=height,
                density=parse.density(text("wm", "density")) or 0,
            )

        return await self._call(ask, COMMAND_S)

    async def hardware_serial(self) -> str:
        """Return the phone's own serial, the same over every route; empty if it reports none."""
        said = (await self._run("looking", ["getprop", "ro.serialno"])).text.strip()
        return "" if said.casefold() in ("unknown", "0", "null") else said[:200]

    async def screenshot(self) -> screen.Frame:
        """Take a screenshot; its size is the coordinate space of all calls.

        While a task uses the phone, a sleeping screen is woken, and a black one is explained by
        DeviceLocked or SecureScreen. For other callers a black screen is an ordinary picture.
        Raises ScreenshotUnavailable.
        """
        take = self._capture.take_lit if self._in_use(self.serial) else self._capture.take

        async def now() -> screen.Frame:
            return await self._call(lambda deadline: take(self._shell, deadline), SCREENSHOT_S)

        return await (self._glimpses.first(now) if self._task_has_it else now())

    async def glimpse(self, max_age_s: float) -> screen.Frame:
        """Return the screen at most `max_age_s` ago, for watchers: they all share one screenshot,
        and while a task works with the phone they get the task's.

        A black screen is an ordinary picture. Raises ScreenshotUnavailable.
        """
        return await self._glimpses.get(max_age_s)

    async def _look(self) -> screen.Frame:
        return await self._in_thread(
            lambda deadline: self._capture.take(self._shell, deadline), SCREENSHOT_S
        )

    async def shown_texts(self) -> list[ShownText]:
        """List every text on the screen and its place. Raises ScreenshotUnavailable."""
        return await self._call(lambda deadline: shown_texts(self._shell, deadline), COMMAND_S)

    async def screenshot_as(self, kind: Kind) -> screen.Frame:
        """Take the screen from raw pixels or the phone's own PNG; raises ScreenshotUnavailable."""
        return await self._call(
            lambda deadline: self._capture.take_as(self._shell, kind, deadline), SCREENSHOT_S
        )

    def forget_last_screenshot(self) -> None:
        """Decode the next screenshot even if the screen is unchanged, at the usual cost."""
        self._capture.forget_last()

    async def displays(self) -> Displays:
        """Return the phone's displays, and which one a screenshot shows."""
        return await self._call(
            lambda deadline: self._capture.displays(self._shell, deadline), COMMAND_S
        )

    async def screenshot_of(self, display: str) -> screen.Frame:
        """Take one display by id; raises InputError for an unknown one, ScreenshotUnavailable."""
        if display not in (await self.displays()).ids:
            raise InputError(f"device {self.serial} has no display {display!r}")
        return await self._call(
            lambda deadline: self._capture.take_display(self._shell, display, deadline),
            SCREENSHOT_S,
        )

    async def rotation(self) -> int:
        """Return the rotation of the picture: 0, 90, 180 or 270 degrees; raises DeviceError."""
        said = await self._run("looking", ["dumpsys", "window", "displays"])
        turned = parse.rotation(said.text)
        if turned is None:
            raise DeviceError("the phone did not report the rotation of its screen", "Look at it.")
        return turned

    async def current_app(self) -> ForegroundApp:
        """Return the app in front; raises DeviceError if the phone does not report it."""

        def ask(deadline: Deadline) -> parse.Component | None:
            for argv in (["dumpsys", "activity", "activities"], ["dumpsys", "window"]):
                found = parse.focus(self._shell.run(argv, deadline=deadline).text)
                if found is not None:
                    return found
            return None

        for _ in range(_FOCUS_POLLS):  # nothing has the focus while one app replaces another
            found = await self._call(ask, COMMAND_S)
            if found is not None:
                label = self._table.label(found.package)
                return ForegroundApp(found.package, found.activity, label)
            await asyncio.sleep(_FOCUS_POLL_S)
        raise DeviceError("the phone did not report which app is in front", "Look again.")

    async def tap(self, x: int, y: int) -> str:
        """Tap, and return by what: `scrcpy` or `input`. So do all gestures and keys."""
        return await self._play(gestures.tap(x, y))

    async def double_tap(self, x: int, y: int) -> str:
        return await self._play(gestures.double_tap(x, y))

    async def swipe(self, x1: int, y1: int, x2: int, y2: int, duration_ms: int = 300) -> str:
        height = self._capture.height
        return await self._play(gestures.swipe(x1, y1, x2, y2, duration_ms, height=height))

    async def long_press(self, x: int, y: int, ms: int = 800) -> str:
        return await self._play(gestures.long_press(x, y, ms))

    async def drag(self, x1: int, y1: int, x2: int, y2: int, duration_ms: int = 2000) -> str:
        """Hold the item at the first point, and release it at the second.

        `duration_ms` includes the long press at the start; below 1,500 ms no time is left for
        moving.
        """
        return await self._play(gestures.drag(x1, y1, x2, y2, duration_ms))

    async def _play(self, gesture: Gesture) -> str:
        def play(deadline: Deadline) -> str:
            return self._hands.play(self._shell, gesture, deadline)

        # The gesture's own time is not the phone's.
        return await self._call(play, COMMAND_S + gesture.touches[-1].at_ms / 1000)

    async def type_text(self, text: str, clear: bool = True, private: bool = False) -> str:
        """Type into the focused field, and return by what; raises TextRefused with the reason.

        A `private` text never gets into the phone's clipboard.
        """

        def work(deadline: Deadline) -> str:
            def look() -> Look | None:
                frame = self._capture.take(self._shell, deadline)
                if frame.is_black():
                    return None
                return Look(frame.fingerprint(), -(-frame.width // FINGERPRINT_STEP))

            return self._keyboard.type_text(
                self._shell,
                text,
                clear=clear,
                deadline=deadline,
                look=look,
                hands=self._hands,
                private=private,
            )

        async with self._typing:
            return await self._call(work, TYPE_S)

    @property
    def keyboard_is_ours(self) -> bool:
        """Whether ADBKeyboard was left in place of the person's keyboard, such as by a crash."""
        return self._keyboard.pending and not self._typing.locked()

    async def restore_keyboard(self) -> None:
        """Restore the person's keyboard if an earlier process could not; raises DeviceError."""
        async with self._typing:
            await self._call(
                lambda deadline: self._keyboard.restore(self._shell, deadline), COMMAND_S
            )

    async def press(self, key: str) -> str:
        """Press a key by its name in KEYS."""
        code = KEYS.get(key.lower())
        if code is None:
            raise InputError(f"unknown key {key!r}", f"Keys are: {', '.join(sorted(KEYS))}.")
        return await self._call(
            lambda deadline: self._hands.press(self._shell, key, code, deadline), COMMAND_S
        )

    async def back(self) -> str:
        return await self.press("back")

    async def home(self) -> str:
        return await self.press("home")

    async def find_app(self, name: str) -> str:
        """Return the package that a name or an alias means on this phone; raises AppNotFound."""

        def find(deadline: Deadline) -> str:
            return apps.find(self._shell, self._table, name, deadline)

        return await self._call(find, LAUNCH_S)

    async def launch(self, name: str) -> str:
        """Start an app by name, alias or package and return its package; raises AppNotFound."""

        def start(deadline: Deadline) -> str:
            package = apps.find(self._shell, self._table, name, deadline)
            apps.launch(self._shell, package, deadline)
            return package

        return await self._call(start, LAUNCH_S)

    async def stop_app(self, name: str) -> str:
        """Stop an app by name, alias or package and return its package; raises AppNotFound."""

        def stop(deadline: Deadline) -> str:
            package = apps.find(self._shell, self._table, name, deadline)
            apps.stop(self._shell, package, deadline)
            return package

        return await self._call(stop, COMMAND_S)

    async def open_url(self, url: str) -> None:
        """Open an http or https page; raises InputError, CommandFailed if nothing opens it."""
        await self._call(lambda deadline: apps.open_url(self._shell, url, deadline), LAUNCH_S)

    async def set_up(self, apk: Path | None = None) -> list[Finding]:
        """Check everything that tapping and typing need; install `apk` first if it is given.

        Raises InputError for a file that is not an APK, DeviceError if the phone is gone.
        """
        return await self._call(
            lambda deadline: set_up(self._shell, apk, self._hands, deadline), SET_UP_S
        )

    async def wake(self) -> None:
        """Switch the screen on and dismiss a lock screen without PIN; raises DeviceLocked.

        A phone that is on and unlocked is only checked.
        """
        await self._call(lambda deadline: power.wake(self._shell, deadline), COMMAND_S)

    async def answer(self, seconds: float) -> None:
        """Have the phone run a no-op; raises DeviceTimeout if its shell does not respond."""
        await self._call(lambda deadline: self._shell.run(["true"], deadline=deadline), seconds)

    async def is_awake(self) -> bool | None:
        """Whether the screen is on; None if the phone does not report it."""
        return await self._call(lambda deadline: power.is_awake(self._shell, deadline), COMMAND_S)
