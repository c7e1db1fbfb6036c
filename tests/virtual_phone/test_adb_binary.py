"""Command lines of an unmodified `adb`, as people type them."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

import pytest

from app.adb.server import AdbServer
from app.virtual_phone.seeding import ADB_KEYBOARD, LATIN_KEYBOARD
from tests.phones import PhoneProcess, phone_process
from tests.virtual_phone.conftest import Adb
from tests.virtual_phone.touch import NOTES

LAUNCHER = "org.phonepilot.launcher"


def foreground(phone: PhoneProcess) -> str:
    return str(phone.state()["ui"]["foreground"])


def test_the_list_of_devices(adb: Adb, virtual_phone: PhoneProcess) -> None:
    rows = [line.split() for line in adb("devices", "-l").stdout.decode().splitlines()]
    (row,) = [row for row in rows if row[:1] == [virtual_phone.serial]]
    assert row[:5] == [
        virtual_phone.serial,
        "device",
        "product:vphone",
        "model:Virtual_Phone",
        "device:vphone",
    ]


def test_output_errors_and_exit_codes(adb: Adb) -> None:
    result = adb("shell", "echo out; foo")
    assert result.returncode == 127
    assert result.stdout == b"out\n"
    assert result.stderr == b"/system/bin/sh: foo: inaccessible or not found\n"


def test_the_screen_by_all_ways_is_one_picture(adb: Adb, tmp_path: Path) -> None:
    direct = adb("exec-out", "screencap", "-p").stdout
    assert direct.startswith(b"\x89PNG")
    assert adb("shell", "screencap", "-p").stdout == direct
    assert adb("shell", "screencap", "-p", "/sdcard/x.png").returncode == 0
    assert adb("pull", "/sdcard/x.png", str(tmp_path / "x.png")).returncode == 0
    assert (tmp_path / "x.png").read_bytes() == direct
    assert len(adb("exec-out", "screencap").stdout) == 16 + 1080 * 2400 * 4


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
def test_push_and_pull_round_trip(adb: Adb, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "there").write_bytes(data)
    os.utime(tmp_path / "there", (1_600_000_000, 1_600_000_000))
    assert adb("push", str(tmp_path / "there"), "/sdcard/new/dir/file").returncode == 0
    assert adb("pull", "-a", "/sdcard/new/dir/file", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == data
    assert int((tmp_path / "back").stat().st_mtime) == 1_600_000_000


def test_a_folder_is_pulled_whole(adb: Adb, tmp_path: Path) -> None:
    adb("shell", "mkdir -p /sdcard/f/g; echo 1 > /sdcard/f/a; echo 2 > /sdcard/f/g/b")
    assert adb("pull", "/sdcard/f", str(tmp_path)).returncode == 0
    assert (tmp_path / "f" / "g" / "b").read_text("utf-8") == "2\n"
    assert adb("ls", "/sdcard/f").stdout.split()[-1] == b"g"


@pytest.mark.parametrize(
    "arguments",
    [
        ("pull", "/sdcard/nope", "/dev/null"),
        ("push", __file__, "/system/bin/x"),
        ("install", __file__),
        ("root",),
    ],
)
def test_what_fails_says_so(adb: Adb, arguments: tuple[str, ...]) -> None:
    assert adb(*arguments).returncode != 0


def test_a_command_ends_when_its_client_goes(
    adb: Adb, adb_server: AdbServer, adb_binary: Path, virtual_phone: PhoneProcess
) -> None:
    environment = os.environ | {"ANDROID_ADB_SERVER_PORT": str(adb_server.port)}
    with subprocess.Popen(
        [adb_binary, "-s", virtual_phone.serial, "shell", "sleep 60"],
        env=environment,
        stdin=subprocess.DEVNULL,
    ) as client:
        client.kill()
    assert adb("shell", "echo", "still", "there").stdout == b"still there\n"


def test_the_phone_tells_one_serial_by_every_route(
    adb: Adb, virtual_phone: PhoneProcess, adb_server: AdbServer, adb_binary: Path
) -> None:
    def serial(route: str) -> bytes:
        command = [str(adb_binary), "-P", str(adb_server.port), "-s", route]
        done = subprocess.run(
            [*command, "shell", "getprop", "ro.serialno"], capture_output=True, timeout=30
        )
        assert done.returncode == 0
        return done.stdout.strip()

    own = serial(virtual_phone.serial)
    assert own.isalnum()
    virtual_phone.reset(8)  # another owner, the same phone
    other = f"localhost:{virtual_phone.serial.rpartition(':')[2]}"
    with phone_process() as second:
        for route in (other, second.serial):
            assert b"connected to" in adb("connect", route).stdout
        try:
            assert serial(other) == serial(virtual_phone.serial) == own
            assert serial(second.serial) not in (b"", own)
        finally:
            for route in (other, second.serial):
                adb("disconnect", route)


# What Open-AutoGLM has adb do, spelled as it does, and judged by the phone's state.


def test_an_app_is_started_by_monkey_and_seen_in_front(
    adb: Adb, virtual_phone: PhoneProcess
) -> None:
    virtual_phone.reset(7)
    started = adb("shell", "monkey", "-p", NOTES, "-c", "android.intent.category.LAUNCHER", "1")
    assert started.returncode == 0
    assert foreground(virtual_phone) == NOTES
    said = adb("shell", "dumpsys", "window").stdout.decode()
    focused = [
        line for line in said.splitlines() if "mCurrentFocus" in line or "mFocusedApp" in line
    ]
    assert len(focused) == 2
    assert all(NOTES in line for line in focused)


@pytest.mark.parametrize("key", ["4", "KEYCODE_HOME"])
def test_keys_leave_an_app(adb: Adb, virtual_phone: PhoneProcess, key: str) -> None:
    virtual_phone.reset(7)
    adb("shell", "monkey", "-p", NOTES, "-c", "android.intent.category.LAUNCHER", "1")
    assert foreground(virtual_phone) == NOTES
    assert adb("shell", "input", "keyevent", key).returncode == 0
    assert foreground(virtual_phone) == LAUNCHER


def test_a_text_is_typed_through_adb_keyboard(adb: Adb, virtual_phone: PhoneProcess) -> None:
    def title() -> object:
        return virtual_phone.state()["ui"]["drafts"]["notes.title"]

    def broadcast(*extras: str) -> subprocess.CompletedProcess[bytes]:
        return adb("shell", "am", "broadcast", "-a", "ADB_INPUT_B64", "--es", "msg", *extras)

    virtual_phone.reset(7)
    adb("shell", "monkey", "-p", NOTES, "-c", "android.intent.category.LAUNCHER", "1")
    adb("shell", "input", "tap", "928", "2176")
    asked = adb("shell", "settings", "get", "secure", "default_input_method")
    assert asked.stdout.decode().strip() == LATIN_KEYBOARD
    assert b"selected" in adb("shell", "ime", "set", ADB_KEYBOARD).stdout
    text = "Grüße, 微信 \U0001f600 $(reboot) 'x'"
    assert b"result=0" in broadcast(base64.b64encode(text.encode()).decode()).stdout
    assert title() == text
    # adb joins its arguments with spaces: an empty one is lost on the way to the phone's shell.
    lost = broadcast("")
    assert (lost.returncode, b'expected after "msg"' in lost.stderr) == (255, True)
    assert title() == text
    assert adb("shell", "am", "broadcast", "-a", "ADB_CLEAR_TEXT").returncode == 0
    assert title() == ""
    assert adb("shell", "ime", "set", LATIN_KEYBOARD).returncode == 0
    assert virtual_phone.state()["ime"]["current"] == LATIN_KEYBOARD


def test_a_swipe_on_the_spot_is_a_long_press(adb: Adb, virtual_phone: PhoneProcess) -> None:
    virtual_phone.reset(7)
    known = len(virtual_phone.events())
    assert adb("shell", "input", "swipe", "540", "1200", "540", "1200", "3000").returncode == 0
    (swipe,) = [e for e in virtual_phone.events()[known:] if e["kind"] == "swipe"]
    assert [swipe[key] for key in ("x1", "y1", "x2", "y2")] == [540, 1200, 540, 1200]
    assert swipe["duration_ms"] == 3000


def test_a_screenshot_by_file_is_the_screen(
    adb: Adb, virtual_phone: PhoneProcess, tmp_path: Path
) -> None:
    virtual_phone.reset(7)
    assert adb("shell", "screencap", "-p", "/sdcard/tmp.png").returncode == 0
    assert adb("pull", "/sdcard/tmp.png", str(tmp_path / "tmp.png")).returncode == 0
    seen = (tmp_path / "tmp.png").read_bytes()
    assert seen == adb("exec-out", "screencap", "-p").stdout
    assert seen == virtual_phone.http.get("/screen.png").content
    assert adb("shell", "rm", "-f", "/sdcard/tmp.png").returncode == 0
    assert adb("pull", "/sdcard/tmp.png", str(tmp_path / "again.png")).returncode != 0
