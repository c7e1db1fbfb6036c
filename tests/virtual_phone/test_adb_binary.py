"""Command lines of an unmodified `adb`, as people type them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from app.adb.server import AdbServer
from tests.phones import PhoneProcess
from tests.virtual_phone.conftest import Adb


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
