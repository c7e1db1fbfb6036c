"""Black, broken and wrong screens are told apart, and nothing is asked while all is well."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Callable, Sequence

import pytest

from app.adb import parse
from app.adb.capture import Capture
from app.adb.connection import Deadline
from app.adb.device import Device
from app.adb.fleet import Fleet
from app.adb.screen import decode_png, decode_raw
from app.adb.server import AdbServer
from app.adb.shell import MAX_TEXT, Completed, Shell
from app.errors import DeviceLocked, InputError, ScreenshotUnavailable, SecureScreen
from tests.phones import PhoneProcess

NOTES = "org.phonepilot.notes"


class Spoiled(Shell):
    """The same phone, whose screenshots are changed on the way while `spoil` says how."""

    spoil: Callable[[Completed], Completed] | None = None

    def run(
        self,
        *commands: Sequence[str],
        deadline: Deadline,
        limit: int = MAX_TEXT,
    ) -> Completed:
        result = super().run(*commands, deadline=deadline, limit=limit)
        is_picture = commands[0][0] == "screencap" and self.spoil is not None
        return self.spoil(result) if is_picture and self.spoil is not None else result


def shot(shell: Shell, capture: Capture | None = None) -> object:
    return (capture or Capture()).take_lit(shell, Deadline(20))


async def test_a_good_screen_costs_one_command(
    device: Device, fleet: Fleet, virtual_phone: PhoneProcess
) -> None:
    async with fleet.hold(device.serial):
        await device.screenshot()
        before = len(virtual_phone.commands())
        for _ in range(3):
            await device.screenshot()
    commands = virtual_phone.commands()[before:]
    assert len(commands) == 3
    assert {command.split()[0] for command in commands} == {"screencap"}


async def test_a_sleeping_phone_is_woken_for_its_task_only(
    device: Device, fleet: Fleet, virtual_phone: PhoneProcess
) -> None:
    await device.press("sleep")
    assert (await device.screenshot()).is_black()
    assert await device.is_awake() is False
    async with fleet.hold(device.serial):
        assert not (await device.screenshot()).is_black()
    assert await device.is_awake() is True


async def test_a_pin_is_a_persons(
    device: Device, fleet: Fleet, virtual_phone: PhoneProcess
) -> None:
    with virtual_phone.quirks("locked=2580"):
        await device.press("sleep")
        async with fleet.hold(device.serial):
            with pytest.raises(DeviceLocked):
                await device.screenshot()
        assert not [event for event in virtual_phone.events() if event["kind"] == "text"]


async def test_a_lock_without_pin_is_left(
    device: Device, fleet: Fleet, virtual_phone: PhoneProcess
) -> None:
    with virtual_phone.quirks("locked"):
        await device.press("sleep")
        async with fleet.hold(device.serial):
            assert not (await device.screenshot()).is_black()


async def test_an_app_that_forbids_screenshots(
    device: Device, fleet: Fleet, virtual_phone: PhoneProcess
) -> None:
    with virtual_phone.quirks(f"secure={NOTES}"):
        async with fleet.hold(device.serial):
            await device.launch("Notes")
            with pytest.raises(SecureScreen):
                await device.screenshot()
            await device.home()
            assert not (await device.screenshot()).is_black()


async def test_a_foldable_shows_the_panel_that_is_on(
    device: Device, fleet: Fleet, virtual_phone: PhoneProcess
) -> None:
    async with fleet.hold(device.serial):
        await device.screenshot()
        with virtual_phone.quirks("displays=2"):  # black at first: the panels are asked for again
            frames = [await device.screenshot() for _ in range(3)]
            displays = await device.displays()
        assert not any(frame.is_black() for frame in frames)
        assert len(displays.ids) == 2
        assert displays.on == displays.ids[1]
        # The phone is unfolded, and that id is still the one display of a phone without folds.
        assert not (await device.screenshot()).is_black()


async def test_a_foldable_is_seen_also_by_who_only_looks(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    await device.screenshot()
    with virtual_phone.quirks("displays=2"):
        frames = [await device.screenshot() for _ in range(3)]
        await device.press("sleep")
        assert (await device.screenshot()).is_black()
        await device.press("wakeup")
        frames.append(await device.screenshot())
    assert not any(frame.is_black() for frame in frames)


async def test_each_display_by_its_id(device: Device, virtual_phone: PhoneProcess) -> None:
    with virtual_phone.quirks("displays=2"):
        inner, cover = (await device.displays()).ids
        assert (await device.screenshot_of(inner)).is_black()
        assert not (await device.screenshot_of(cover)).is_black()
        with pytest.raises(InputError, match="no display"):
            await device.screenshot_of("1; reboot")


@pytest.mark.parametrize("android", [8, 9, 10, 12, 14, 16])
async def test_a_turned_screen_is_its_own_coordinate_space(
    device: Device, virtual_phone: PhoneProcess, android: int
) -> None:
    with virtual_phone.quirks(f"android={android}"):
        assert await device.rotation() == 0
        with virtual_phone.quirks("rotation=90"):
            frame = await device.screenshot()
            assert (frame.width, frame.height) == (2400, 1080)
            assert await device.rotation() == 90


async def test_a_truncated_picture_is_asked_for_once_more(
    device: Device, virtual_phone: PhoneProcess, adb_server: AdbServer
) -> None:
    shell, capture = Spoiled(adb_server.client(), virtual_phone.serial), Capture()

    def cut_once(result: Completed) -> Completed:
        shell.spoil = None
        return Completed(result.stdout[:-1], b"", 0)

    whole = (await device.screenshot()).image.tobytes()
    for _ in range(4):
        shell.spoil = cut_once
        frame = await asyncio.to_thread(capture.take, shell, Deadline(20))
        assert frame.image.tobytes() == whole


@pytest.mark.parametrize(
    "spoil",
    [
        lambda result: Completed(result.stdout[:100], b"", 0),
        lambda result: Completed(b"", b"", 0),
        lambda result: Completed(b"", b"Status: -1", 1),
        lambda result: Completed(b"[Warning] Multiple displays were found" + b"x" * 100, b"", 0),
    ],
)
async def test_what_stays_broken_is_never_a_frame(
    device: Device,
    virtual_phone: PhoneProcess,
    adb_server: AdbServer,
    spoil: Callable[[Completed], Completed],
) -> None:
    shell = Spoiled(adb_server.client(), virtual_phone.serial)
    shell.spoil = spoil
    with pytest.raises(ScreenshotUnavailable):
        await asyncio.to_thread(shot, shell)


async def test_a_warning_in_the_same_stream_is_cut_off_or_refused(
    device: Device, virtual_phone: PhoneProcess, adb_server: AdbServer
) -> None:
    shell, capture = Spoiled(adb_server.client(), virtual_phone.serial), Capture()
    shell.spoil = lambda result: Completed(b"[Warning] Multiple displays\n" + result.stdout, b"", 0)
    whole = (await device.screenshot()).image.tobytes()
    for _ in range(3):
        frame = await asyncio.to_thread(capture.take, shell, Deadline(20))
        assert frame.image.tobytes() == whole


FLAGS = """  Window #3 Window{{9d1 u0 StatusBar}}:
    mAttrs={{(0,0) ty=STATUS_BAR
      fl=NOT_FOCUSABLE SECURE}}
  Window #2 Window{{41b u0 com.bank/com.bank.Main}}:
    mAttrs={{(0,0)(fillxfill) sim={{adjust=pan}} ty=BASE_APPLICATION
      fl={flags}
      pfl=NO_MOVE_ANIMATION}}
  mCurrentFocus=Window{{41b u0 com.bank/com.bank.Main}}
"""


@pytest.mark.parametrize(
    ("flags", "secure"),
    [
        ("LAYOUT_IN_SCREEN SECURE HARDWARE_ACCELERATED", True),
        ("LAYOUT_IN_SCREEN HARDWARE_ACCELERATED", False),
        ("LAYOUT_INSECURE", False),
        ("#81812100", True),
        ("#81810100", False),
        ("?", None),
    ],
)
def test_the_flags_of_the_focused_window(flags: str, secure: bool | None) -> None:
    assert parse.secure(FLAGS.format(flags=flags)) is secure


def test_flags_that_are_not_told() -> None:
    assert parse.secure("") is None
    assert parse.secure("  mCurrentFocus=Window{41b u0 com.bank/.Main}") is None


@pytest.mark.parametrize("command", ["screencap", "uiautomator"])
async def test_a_phone_that_never_stops_sending_is_told_apart(
    device: Device, virtual_phone: PhoneProcess, command: str
) -> None:
    look = device.screenshot if command == "screencap" else device.shown_texts
    await look()
    endless = virtual_phone.quirks(f"endless={command}")
    with endless, pytest.raises(ScreenshotUnavailable, match="more than"):
        await look()
    await look()


@pytest.mark.parametrize(("width", "height"), [(16_000, 16_000), (4_100, 4_000)])
def test_a_picture_larger_than_any_screen_is_not_decoded(width: int, height: int) -> None:
    raw = struct.pack("<4I", width, height, 1, 1)
    with pytest.raises(ScreenshotUnavailable):
        decode_raw(raw + bytes(100))
    head = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)
        for name, data in chunks
    )
    with pytest.raises(ScreenshotUnavailable, match=f"{width}x{height}"):
        decode_png(png)
