"""What a person does with a phone, over a real adb server, judged by the phone's own state."""

from __future__ import annotations

import asyncio
import shlex
import threading
from collections.abc import Sequence

import pytest

from app.adb import apps
from app.adb.connection import Deadline
from app.adb.device import KEYS, PARALLEL_CALLS, Device
from app.adb.server import AdbServer
from app.adb.shell import MAX_TEXT, Completed, Shell
from app.errors import AppNotFound, CommandFailed, DeviceError, InputError
from tests.phones import PhoneProcess

WIDTH, HEIGHT = 1080, 2400


async def test_info(device: Device) -> None:
    info = await device.info()
    assert (info.width, info.height, info.density) == (WIDTH, HEIGHT, 420)
    assert (info.model, info.android, info.sdk) == ("Virtual_Phone", "14", 34)


async def test_raw_and_png_screenshots_are_the_same_picture(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    frames = [await device.screenshot() for _ in range(3)]
    assert {(frame.width, frame.height) for frame in frames} == {(WIDTH, HEIGHT)}
    assert len({frame.image.tobytes() for frame in frames}) == 1
    assert {"screencap", "screencap -p"} <= set(virtual_phone.commands())
    assert not frames[0].is_black()


async def test_a_sleeping_phone_is_black_until_it_wakes(device: Device) -> None:
    await device.press("sleep")
    assert await device.is_awake() is False
    assert (await device.screenshot()).is_black()
    await device.wake()
    assert await device.is_awake() is True


async def test_launch_back_home_and_current_app(device: Device) -> None:
    assert (await device.current_app()).label == "Home"
    assert await device.launch("notes") == "org.phonepilot.notes"
    app = await device.current_app()
    assert (app.package, app.activity, app.label) == (
        "org.phonepilot.notes",
        ".MainActivity",
        "Notes",
    )
    await device.back()
    assert (await device.current_app()).label == "Home"
    await device.launch("设置")
    assert (await device.current_app()).package == "com.android.settings"
    await device.home()
    assert (await device.current_app()).label == "Home"


@pytest.mark.parametrize("name", ["org.phonepilot.clock", "Clock", "clock ", "Clok"])
async def test_launch_beyond_the_table(device: Device, name: str) -> None:
    assert await device.launch(name) == "org.phonepilot.clock"
    assert (await device.current_app()).package == "org.phonepilot.clock"


@pytest.mark.parametrize(
    "name", ["WeChat", "com.example.nothing", "Nights", "Cl", "; reboot", "$(reboot)", "", "😀"]
)
async def test_launch_of_what_is_not_there(
    device: Device, virtual_phone: PhoneProcess, name: str
) -> None:
    with pytest.raises(AppNotFound):
        await device.launch(name)
    assert virtual_phone.state()["ui"]["foreground"] == "org.phonepilot.launcher"
    assert not virtual_phone.state()["settings"]["auto_rotate"]  # monkey was not asked


async def test_gestures_arrive_as_given(device: Device, virtual_phone: PhoneProcess) -> None:
    before = len(virtual_phone.events())
    await device.tap(5, 6)
    await device.double_tap(7, 8)
    await device.swipe(500, 1500, 500, 600, 400)
    await device.long_press(9, 10)
    events = [event for event in virtual_phone.events()[before:] if event["kind"] != "shell"]
    assert [event["kind"] for event in events] == ["tap", "tap", "tap", "swipe", "swipe"]
    assert [(event["x"], event["y"]) for event in events[:3]] == [(5, 6), (7, 8), (7, 8)]
    assert (events[3]["y1"], events[3]["y2"], events[3]["duration_ms"]) == (1500, 600, 400)
    assert (events[4]["x1"], events[4]["x2"], events[4]["duration_ms"]) == (9, 9, 800)


async def test_a_drag_leaves_time_to_move(device: Device, virtual_phone: PhoneProcess) -> None:
    await device.drag(100, 900, 500, 1200)
    assert virtual_phone.commands()[-1] == "input draganddrop 100 900 500 1200 2000"


async def test_stopping_an_app(device: Device, virtual_phone: PhoneProcess) -> None:
    await device.launch("Notes")
    assert await device.stop_app("Notepad") == "org.phonepilot.notes"
    assert virtual_phone.state()["ui"]["foreground"] == "org.phonepilot.launcher"
    for name in ("; reboot", "org.phonepilot.notes; reboot", "-n"):
        with pytest.raises(AppNotFound):
            await device.stop_app(name)


async def test_a_page_that_nothing_opens(device: Device, virtual_phone: PhoneProcess) -> None:
    url = "https://example.org/a?b=1&c='x'$(reboot);#%20"
    with pytest.raises(CommandFailed, match="no app opens"):
        await device.open_url(url)
    line = virtual_phone.commands()[-1]
    assert shlex.split(line) == ["am", "start", "-W", "-a", "android.intent.action.VIEW", "-d", url]


async def test_monkey_leaves_auto_rotate_as_it_was(
    device: Device, virtual_phone: PhoneProcess, adb_server: AdbServer
) -> None:
    class Unresolving(Shell):
        """The same phone, too old for `resolve-activity`."""

        def run(
            self, *commands: Sequence[str], deadline: Deadline, limit: int = MAX_TEXT
        ) -> Completed:
            if "resolve-activity" in commands[0]:
                return Completed(b"", b"Unknown command", 255)
            return super().run(*commands, deadline=deadline, limit=limit)

    shell = Unresolving(adb_server.client(), virtual_phone.serial)
    assert not virtual_phone.state()["settings"]["auto_rotate"]
    await asyncio.to_thread(apps.launch, shell, "org.phonepilot.notes", Deadline(10))
    assert virtual_phone.state()["ui"]["foreground"] == "org.phonepilot.notes"
    assert any(command.startswith("monkey") for command in virtual_phone.commands())
    assert not virtual_phone.state()["settings"]["auto_rotate"]


async def test_bad_gestures_never_reach_the_phone(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    before = virtual_phone.commands()
    for call in (
        device.tap(-1, 5),
        device.tap(True, 5),
        device.tap(1.5, 5),  # type: ignore[arg-type]
        device.swipe(1, 2, 3, 4, 0),
        device.swipe(1, 2, 3, 4, 60_000),
        device.press("selfdestruct"),
        device.drag(1, 2, 3, 4, 300),
        device.open_url("intent://x#Intent;end"),
    ):
        with pytest.raises(InputError):
            await call
    assert virtual_phone.commands() == before


async def test_every_key_has_its_number(device: Device, virtual_phone: PhoneProcess) -> None:
    before = len(virtual_phone.events())
    keys = [key for key in KEYS if key not in ("power", "sleep")]
    for key in keys:
        await device.press(key)
    codes = [event["code"] for event in virtual_phone.events()[before:] if event["kind"] == "key"]
    assert codes == [KEYS[key] for key in keys]


async def test_many_calls_at_once(device: Device) -> None:
    results = await asyncio.gather(*[device.current_app() for _ in range(20)])
    assert len(set(results)) == 1


async def test_silent_phones_keep_no_other_waiting(device: Device) -> None:
    released = threading.Event()
    silent = [
        Device(
            device._shell.client,
            f"127.0.0.1:{number}",
            device._table,
            asyncio.Semaphore(PARALLEL_CALLS),
            device._wait_ready,
        )
        for number in range(1, 41)
    ]
    waiting = [asyncio.create_task(one._call(lambda _: released.wait(60), 60)) for one in silent]
    try:
        async with asyncio.timeout(10):
            await device.current_app()
        assert not any(task.done() for task in waiting)
    finally:
        released.set()
        await asyncio.gather(*waiting)


async def test_cancelling_ends_the_call_and_its_thread(device: Device) -> None:
    started, ended = threading.Event(), threading.Event()

    def hang(deadline: Deadline) -> None:
        try:
            device._shell.features(deadline)
            started.set()
            device._shell.run(["sleep", "60"], deadline=deadline)
        finally:
            ended.set()

    task = asyncio.create_task(device._call(hang, 60))
    assert await asyncio.to_thread(started.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 1)


async def test_errors_of_a_device_that_left(device: Device, virtual_phone: PhoneProcess) -> None:
    other = Device(
        device._shell.client,
        "127.0.0.1:1",
        device._table,
        asyncio.Semaphore(),
        device._wait_ready,
    )
    with pytest.raises(DeviceError, match=r"127\.0\.0\.1:1"):
        await other.tap(1, 1)
